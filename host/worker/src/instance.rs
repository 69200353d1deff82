//! One instance, from its start to its end.

mod ending;
pub(crate) mod files;
mod setup;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use qyv_sched::{GroupId, Quota, Share, Weight};
use qyv_spec::manifest::Kind;
use qyv_spec::service::Name;
use qyv_svc::ListenerId;
use qyv_vfs::Budget;
use qyv_wasi::Denial;
use qyvol_engine::shared::{SharedEnd, SharedProgram, SharedStart};
use qyvol_logs::{LogOptions, LogStream};
use qyvol_protocol::InstanceId;
use qyvol_protocol::worker::{Exited, FromWorker, Running, Start, Used};

pub(crate) use self::ending::Why;
pub(crate) use self::setup::outbound;
use crate::executor::{Meter, Task};
use crate::guest::GuestHost;
use crate::http::{self, Server};
use crate::worker::{Code, Opened, Worker};

/// An instance that runs.
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    revision: u64,
    started: Instant,
    group: GroupId,
    task: Mutex<Option<Task>>,
    meter: Arc<Meter>,
    memory: Budget,
    descriptors: Budget,
    connections: Arc<AtomicU32>,
    log: LogStream,
    /// Its services and their listeners: closing these is how it is asked to stop.
    listeners: Vec<(Name, ListenerId)>,
    /// The first address that it listens on.
    address: Option<String>,
    /// What answers its requests, when its program is a handler.
    server: Option<Arc<Server>>,
    /// [`Why`] it is ended from outside; the first reason counts.
    why: AtomicU8,
}

/// Why an instance does not start.
pub(crate) enum NotStarted {
    /// Its program has to be compiled first.
    NotCompiled,
    /// Trying again does not help.
    Failed(String),
}

impl From<String> for NotStarted {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl Instance {
    /// Starts an instance. Its end is told by itself.
    pub(crate) fn start(
        worker: &Arc<Worker>,
        start: &Start,
        sockets: Vec<OwnedFd>,
    ) -> Result<Arc<Self>, NotStarted> {
        if matches!(start.kind, Kind::Gui | Kind::Web) {
            return Err(
                format!("`{}` draws or runs in a browser, which no worker does", start.instance.app).into()
            );
        }
        // Before anything is done under its name.
        if worker.instance(&start.instance).is_some() {
            return Err(format!("`{}` runs already", start.instance).into());
        }
        let program = match worker.code(start.kind, start.module.0)?.ok_or(NotStarted::NotCompiled)? {
            Code::Program(program) => program,
            Code::Handler(handler) => {
                return http::begin(worker, start, sockets, handler).map_err(|message| {
                    worker.services.down(&start.instance.app, start.instance.generation, false);
                    message.into()
                });
            }
        };
        let opened = worker.bundle(&start.bundle)?;
        let (memory, meter) = (Budget::new(start.limits.memory), Arc::new(Meter::default()));
        let log = log(worker, start);
        let group = worker
            .executor
            .add_group(start.instance.app.as_str(), share(start))
            .ok_or_else(|| "too many instances".to_owned())?;
        let result = setup::prepare(worker, start, sockets, &opened, &memory, &meter, &log);
        let (shared, listeners) = match result {
            Ok(prepared) => prepared,
            Err(message) => {
                worker.executor.remove_group(group);
                let id = &start.instance;
                worker.services.down(&id.app, id.generation, !start.services.is_empty());
                return Err(message.into());
            }
        };
        let instance = Arc::new(Self {
            id: start.instance.clone(),
            revision: start.revision,
            started: Instant::now(),
            group,
            task: Mutex::default(),
            meter: Arc::clone(&meter),
            memory,
            descriptors: shared.process.descriptors().clone(),
            connections: shared.host.connections(),
            log,
            listeners: start.services.iter().map(|service| service.name.clone()).zip(listeners).collect(),
            address: start.listen.first().cloned(),
            server: None,
            why: AtomicU8::new(0),
        });
        if !worker.add(Arc::clone(&instance)) {
            worker.executor.remove_group(group);
            return Err(format!("`{}` runs already", instance.id).into());
        }
        let denials = shared.host.denials();
        let run = Run { worker: Arc::clone(worker), instance: Arc::clone(&instance), denials, ended: None };
        let cpu_time = start.limits.cpu_time_ms.map(Duration::from_millis);
        let task = worker.executor.spawn(group, meter, run.go(program, shared, opened, cpu_time));
        *instance.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
        if let Some(wall) = start.limits.wall_ms {
            let instance = Arc::downgrade(&instance);
            worker.reactor.spawn(async move {
                tokio::time::sleep(Duration::from_millis(wall)).await;
                if let Some(instance) = instance.upgrade() {
                    instance.end(Why::Timeout);
                }
            });
        }
        Ok(instance)
    }

    /// One whose requests are answered by `server`.
    pub(crate) fn serving(
        start: &Start,
        group: GroupId,
        meter: Arc<Meter>,
        memory: Budget,
        log: LogStream,
        server: Arc<Server>,
    ) -> Self {
        Self {
            id: start.instance.clone(),
            revision: start.revision,
            started: Instant::now(),
            group,
            task: Mutex::default(),
            meter,
            memory,
            descriptors: Budget::new(0),
            connections: Arc::default(),
            log,
            listeners: Vec::new(),
            address: start.listen.first().cloned(),
            server: Some(server),
            why: AtomicU8::new(0),
        }
    }

    /// Asks it to stop: it serves no more. What cannot notice that is ended at once.
    pub(crate) fn stop(&self, worker: &Worker) {
        if let Some(server) = &self.server {
            let _ = self.why.compare_exchange(0, Why::Stopped as u8, Ordering::AcqRel, Ordering::Acquire);
            server.drain();
            return;
        }
        if self.listeners.is_empty() {
            self.end(Why::Stopped);
            return;
        }
        let _ = self.why.compare_exchange(0, Why::Stopped as u8, Ordering::AcqRel, Ordering::Acquire);
        for (_, listener) in &self.listeners {
            worker.services.close(*listener);
        }
    }

    /// Where it takes connections to a service of its own.
    pub(crate) fn listener(&self, service: &Name) -> Option<ListenerId> {
        self.listeners.iter().find(|(name, _)| name == service).map(|(_, listener)| *listener)
    }

    /// What answers its requests, when its program is a handler.
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.server.as_ref()
    }

    /// The first address that it listens on, as in its manifest.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Ends it now.
    pub(crate) fn end(&self, why: Why) {
        let first = self.why.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        // Whoever was asked to stop and did not was killed.
        if why == Why::Killed && first == Err(Why::Stopped as u8) {
            self.why.store(why as u8, Ordering::Release);
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.kill();
        }
        if let Some(server) = &self.server {
            server.kill();
        }
    }

    /// Takes it out of its worker, and tells how it ended: by itself, or else as [`Why`] says.
    pub(crate) fn tell_end(
        &self,
        worker: &Worker,
        ended: Option<&qyvol_engine::Result<SharedEnd>>,
        denials: &[Denial],
    ) {
        self.log.finish();
        worker.services.down(&self.id.app, self.id.generation, !self.listeners.is_empty());
        worker.executor.remove_group(self.group);
        let (cause, code, message) = ending::describe(ended, self.why.load(Ordering::Acquire));
        let (denials, used) = (denials.iter().map(ending::denial).collect(), self.used());
        worker.remove(&self.id);
        worker.reporter.tell(FromWorker::Exited(Box::new(Exited {
            instance: self.id.clone(),
            cause: cause.into(),
            code,
            message,
            denials,
            used,
        })));
    }

    /// For the welcome. An instance is ready when it runs: it has listened from its beginning.
    pub(crate) fn running(&self) -> Running {
        let age = self.started.elapsed().as_millis();
        let age_ms = u64::try_from(age).unwrap_or(u64::MAX);
        Running { instance: self.id.clone(), revision: self.revision, ready: true, age_ms }
    }

    /// What it has used so far.
    pub(crate) fn used(&self) -> Used {
        let log = self.log.counters();
        let descriptors = u32::try_from(self.descriptors.used()).unwrap_or(u32::MAX);
        let connections = self.connections.load(Ordering::Relaxed);
        // What a handler's requests open lives no longer than they do: its descriptors are its connections.
        let served = self.server.as_ref().map_or(0, |server| server.open_connections());
        Used {
            instance: self.id.clone(),
            cpu_ns: self.meter.used(),
            memory: self.memory.used(),
            memory_peak: self.memory.peak(),
            fds: descriptors.saturating_add(served),
            connections: connections.saturating_add(served),
            log_bytes: log.bytes,
            log_dropped: log.dropped,
            requests: self.server.as_ref().map_or(0, |server| server.requests()),
        }
    }
}

/// Where what an instance prints goes.
pub(crate) fn log(worker: &Worker, start: &Start) -> LogStream {
    worker.logs.open(LogOptions {
        path: start.log.clone(),
        bytes: start.limits.log,
        generation: start.instance.generation,
    })
}

/// What an instance gets of the processors, against others.
pub(crate) fn share(start: &Start) -> Share {
    Share {
        weight: Weight::new(start.weight).unwrap_or_default(),
        quota: start.limits.cpu_milli.and_then(Quota::thousandths),
    }
}

/// A run under way. Dropping it tells the end, whichever it was.
struct Run {
    worker: Arc<Worker>,
    instance: Arc<Instance>,
    denials: Arc<Mutex<Vec<Denial>>>,
    ended: Option<qyvol_engine::Result<SharedEnd>>,
}

impl Run {
    async fn go(
        mut self,
        program: Arc<SharedProgram<GuestHost>>,
        start: SharedStart<GuestHost>,
        _opened: Arc<Opened>,
        cpu_time: Option<Duration>,
    ) {
        let instance = Arc::clone(&self.instance);
        let mut run = pin!(program.run(start));
        self.ended = std::future::poll_fn(|context| {
            if cpu_time.is_some_and(|most| u128::from(instance.meter.used()) >= most.as_nanos()) {
                let why = Why::CpuTime as u8;
                let _ = instance.why.compare_exchange(0, why, Ordering::AcqRel, Ordering::Acquire);
                return Poll::Ready(None);
            }
            run.as_mut().poll(context).map(Some)
        })
        .await;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        self.instance.tell_end(&self.worker, self.ended.as_ref(), &denials);
    }
}
