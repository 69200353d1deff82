//! One instance, from its start to its end.

mod beside;
mod ending;
pub(crate) mod files;
mod setup;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use qyv_sched::{GroupId, Quota, Share, Weight};
use qyv_spec::manifest::Kind;
use qyv_spec::service::Name;
use qyv_svc::ListenerId;
use qyv_vfs::Budget;
use qyv_wasi::Denial;
use qyvol_engine::shared::{SharedEnd, SharedStart};
use qyvol_logs::{LogOptions, LogStream};
use qyvol_protocol::InstanceId;
use qyvol_protocol::worker::{Exited, FromWorker, Running, Start, Used};

use self::beside::Besides;
pub(crate) use self::beside::{Beside, Purpose, WORKER_CHILDREN_MAX, WORKER_EXECS_MAX};
pub(crate) use self::ending::{End, Why};
use self::setup::{Dialler, Wanted};
pub(crate) use self::setup::{Given, outbound};
use crate::door::Bell;
use crate::executor::{Meter, Task};
use crate::guest::GuestHost;
use crate::http::{self, Server};
use crate::stdio::{Stdio, Watchers};
use crate::system::Turns;
use crate::worker::{Code, Worker};

/// An instance that runs.
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    revision: u64,
    started: Instant,
    group: GroupId,
    meter: Arc<Meter>,
    memory: Budget,
    descriptors: Budget,
    connections: Arc<AtomicU32>,
    /// For programs beside its own; a handler of requests has none.
    given: Option<Arc<Given>>,
    task: Mutex<Option<Task>>,
    /// Programs that run beside its own.
    besides: Besides,
    /// What it may ask of the system at once.
    pub(crate) turns: Turns,
    /// Told of its end when the last of its programs is gone; for those that are to be added.
    over: Mutex<Weak<Over>>,
    log: LogStream,
    pub(crate) watchers: Arc<Watchers>,
    /// Its services and their listeners: closing these is how it is asked to stop.
    listeners: Vec<(Name, ListenerId)>,
    /// How it is asked whether it works, at the first address where it takes connections itself.
    bell: Option<Bell>,
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
        let log = log(worker, start);
        let (memory, meter) = (Budget::new(start.limits.memory), Arc::new(Meter::default()));
        let files = files::tree(&start.into(), &opened, &memory)?;
        let group = worker
            .executor
            .add_group(start.instance.app.as_str(), share(start))
            .ok_or_else(|| "too many instances".to_owned())?;
        let dialler = worker.services.grant(&start.instance.app, start.instance.generation, &start.dial);
        let outgoing = outbound(&start.connect, start.anywhere);
        let given = Arc::new(Given {
            instance: start.instance.clone(),
            via: Vec::new(),
            app: start.instance.app.clone(),
            opened,
            program,
            files,
            env: start.env.clone(),
            fds: start.limits.fds,
            descriptors: Budget::new(start.limits.fds.into()),
            dialler: Dialler::of_instance(dialler),
            dials: !start.dial.is_empty() || outgoing.connects(),
            outside: worker.outside(&start.instance.app, outgoing, start.limits.fds, &memory),
            group,
            memory: memory.clone(),
            meter: Arc::clone(&meter),
            times: setup::times(&meter, start.limits.cpu_time_ms),
        });
        let watchers = Arc::new(Watchers::default());
        let set_up = || {
            let listens = setup::listen(worker, start, sockets, &given.opened, &given.memory)?;
            let (name, args) = (start.instance.app.as_str(), &start.args[..]);
            let stdio = Stdio::log(&log, &watchers);
            let descriptors = Some(given.descriptors.clone());
            let wanted = Wanted { name, args, env: &[], stdio, meter: &given.meter, descriptors };
            Ok((listens.services, listens.bell, given.program(worker, wanted, listens.all)?))
        };
        let (listeners, bell, shared) = match set_up() {
            Ok(set_up) => set_up,
            Err(message) => {
                worker.executor.remove_group(group);
                let id = &start.instance;
                worker.services.down(&id.app, id.generation, !start.services.is_empty());
                return Err(NotStarted::Failed(message));
            }
        };
        let instance = Arc::new(Self {
            id: start.instance.clone(),
            revision: start.revision,
            started: Instant::now(),
            group,
            meter: Arc::clone(&meter),
            memory,
            descriptors: shared.process.descriptors().clone(),
            connections: shared.host.connections(),
            given: Some(given),
            task: Mutex::default(),
            besides: Besides::default(),
            turns: Turns::default(),
            over: Mutex::default(),
            log,
            watchers,
            listeners: start.services.iter().map(|service| service.name.clone()).zip(listeners).collect(),
            bell,
            server: None,
            why: AtomicU8::new(0),
        });
        if !worker.add(Arc::clone(&instance)) {
            worker.executor.remove_group(group);
            return Err(format!("`{}` runs already", instance.id).into());
        }
        let over = Arc::new(Over {
            worker: Arc::clone(worker),
            instance: Arc::clone(&instance),
            denials: shared.host.denials(),
            ended: Mutex::default(),
        });
        *lock(&instance.over) = Arc::downgrade(&over);
        let task = worker.executor.spawn(group, meter, Run { over, ended: None }.go(shared));
        *lock(&instance.task) = task;
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
        watchers: Arc<Watchers>,
        server: Arc<Server>,
    ) -> Self {
        Self {
            id: start.instance.clone(),
            revision: start.revision,
            started: Instant::now(),
            group,
            meter,
            memory,
            descriptors: Budget::new(0),
            connections: Arc::default(),
            given: None,
            task: Mutex::default(),
            besides: Besides::default(),
            turns: Turns::default(),
            over: Mutex::default(),
            log,
            watchers,
            listeners: Vec::new(),
            bell: None,
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

    /// How it is asked whether it works, when it takes connections at an address itself.
    pub(crate) fn bell(&self) -> Option<&Bell> {
        self.bell.as_ref()
    }

    /// Ends it now.
    pub(crate) fn end(&self, why: Why) {
        let first = self.why.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        // Whoever was asked to stop and did not was killed.
        if why == Why::Killed && first == Err(Why::Stopped as u8) {
            self.why.store(why as u8, Ordering::Release);
        }
        let task = lock(&self.task).clone();
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
        let end = End::of(ended, self.why.load(Ordering::Acquire), denials);
        self.watchers.ended(&end);
        let End { cause, code, message, denials } = end;
        let (instance, used) = (self.id.clone(), self.used());
        worker.remove(&self.id);
        let exited = Exited { instance, cause, code, message, denials, used };
        worker.reporter.tell(FromWorker::Exited(Box::new(exited)));
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

/// The instance's own program under way. With it end those beside it.
struct Run {
    over: Arc<Over>,
    ended: Option<qyvol_engine::Result<SharedEnd>>,
}

impl Run {
    async fn go(mut self, start: SharedStart<GuestHost>) {
        let instance = Arc::clone(&self.over.instance);
        let Some(given) = &instance.given else { return };
        self.ended = given.within_time(given.program.run(start)).await;
        if self.ended.is_none() {
            let why = Why::CpuTime as u8;
            let _ = instance.why.compare_exchange(0, why, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        *lock(&self.over.ended) = self.ended.take();
        self.over.instance.besides.end();
    }
}

/// What is told when the last program of an instance is gone, whichever way they ended: not before, as the next instance of
/// its slot has the same volume.
struct Over {
    worker: Arc<Worker>,
    instance: Arc<Instance>,
    denials: Arc<Mutex<Vec<Denial>>>,
    /// How its own program has ended by itself.
    ended: Mutex<Option<qyvol_engine::Result<SharedEnd>>>,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.instance.tell_end(&self.worker, lock(&self.ended).as_ref(), &lock(&self.denials));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
