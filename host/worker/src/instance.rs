//! One instance, from its start to its end.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use qyv_sched::{GroupId, Quota, Share, Weight};
use qyv_spec::manifest::{Kind, Mode};
use qyv_spec::service::Name;
use qyv_svc::ListenerId;
use qyv_vfs::{Access, Budget};
use qyv_wasi::{Denial, Limits, Listener, ProcessBuilder, Right, StreamKind};
use qyvol_engine::shared::{SharedEnd, SharedProgram, SharedStart};
use qyvol_engine::{Ending, Limit, Output};
use qyvol_fs::Folder;
use qyvol_launch::{BundleFiles, Show, Tree};
use qyvol_logs::{LogOptions, LogStream};
use qyvol_protocol::InstanceId;
use qyvol_protocol::worker::{Exited, FromWorker, MountFrom, Running, Start, Used};

use crate::executor::{Meter, Task};
use crate::guest::{GuestHost, Listening};
use crate::tcp::Accepting;
use crate::worker::{Opened, Worker};

/// Where secrets are found.
const SECRETS: &str = "/run/secrets";

/// An instance that runs.
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    revision: u64,
    started: Instant,
    group: GroupId,
    task: Mutex<Option<Task>>,
    meter: Arc<Meter>,
    memory: Budget,
    log: LogStream,
    /// Its services and their listeners: closing these is how it is asked to stop.
    listeners: Vec<(Name, ListenerId)>,
    /// The first address that it listens on.
    address: Option<String>,
    /// [`Why`] it is ended from outside; the first reason counts.
    why: AtomicU8,
}

/// Why an instance is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Why {
    Killed = 1,
    Stopped = 2,
    Timeout = 3,
    CpuTime = 4,
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
        let program = worker.program(start.module.0)?.ok_or(NotStarted::NotCompiled)?;
        let opened = worker.bundle(&start.bundle)?;
        let (memory, meter) = (Budget::new(start.limits.memory), Arc::new(Meter::default()));
        let log = worker.logs.open(LogOptions {
            path: start.log.clone(),
            bytes: start.limits.log,
            generation: start.instance.generation,
        });
        let group = worker.executor.add_group(share(start)).ok_or_else(|| "too many instances".to_owned())?;
        let result = prepare(worker, start, sockets, &opened, &memory, &meter, &log);
        let (shared, listeners) = match result {
            Ok(prepared) => prepared,
            Err(message) => {
                worker.executor.remove_group(group);
                stop_serving(worker, &start.instance, !start.services.is_empty());
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
            log,
            listeners: start.services.iter().map(|service| service.name.clone()).zip(listeners).collect(),
            address: start.listen.first().cloned(),
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

    /// Asks it to stop: it serves no more. What cannot notice that is ended at once.
    pub(crate) fn stop(&self, worker: &Worker) {
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

    /// The first address that it listens on, as in its manifest.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Ends it now.
    pub(crate) fn end(&self, why: Why) {
        let _ = self.why.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.kill();
        }
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
        Used {
            instance: self.id.clone(),
            cpu_ns: self.meter.used(),
            memory: self.memory.used(),
            memory_peak: self.memory.peak(),
            fds: 0,
            connections: 0,
            log_bytes: log.bytes,
            log_dropped: log.dropped,
            requests: 0,
        }
    }
}

fn stop_serving(worker: &Worker, id: &InstanceId, serves: bool) {
    if serves {
        worker.services.down(&id.app, id.generation);
    }
}

fn share(start: &Start) -> Share {
    Share {
        weight: Weight::new(start.weight).unwrap_or_default(),
        quota: start.limits.cpu_milli.and_then(Quota::thousandths),
    }
}

/// Everything that the guest needs, and the listeners of its services.
fn prepare(
    worker: &Worker,
    start: &Start,
    sockets: Vec<OwnedFd>,
    opened: &Arc<Opened>,
    memory: &Budget,
    meter: &Arc<Meter>,
    log: &LogStream,
) -> Result<(SharedStart<GuestHost>, Vec<ListenerId>), String> {
    if sockets.len() != start.listen.len() {
        return Err("the daemon passed other sockets than it announced".into());
    }
    let app = &start.instance.app;
    let description = opened.app.description.as_deref().unwrap_or_default();
    let listeners = if start.services.is_empty() {
        Vec::new()
    } else {
        let generation = start.instance.generation;
        worker.services.listen(app, generation, &start.services, description, memory)?
    };
    worker.services.grant(app, &start.dial);
    let mut builder = ProcessBuilder::new()
        .arg(app.as_str())
        .limits(Limits::with_fds(start.limits.fds))
        .memory_budget(memory.clone())
        .services(!start.dial.is_empty());
    for argument in &start.args {
        builder = builder.arg(argument);
    }
    for (name, value) in &start.env {
        builder = builder.env(name, value);
    }
    let mut files = tree(start, opened, memory)?.build().map_err(|error| error.to_string())?;
    for place in &files.places {
        let node = files.vfs.open_root(place).map_err(|error| error.to_string())?;
        builder = builder.preopen(place, node);
    }
    if !files.places.iter().any(|place| place == "/") {
        builder = builder.deny_root();
    }
    let mut listening = Vec::new();
    for (service, listener) in start.services.iter().zip(&listeners) {
        builder = builder.listener(&listener_name(service), Listener(number(listening.len())));
        listening.push(Listening::Service(*listener));
    }
    for (address, socket) in start.listen.iter().zip(sockets) {
        let accepting = Accepting::start(socket, memory, worker.reactor.handle())
            .map_err(|error| format!("cannot listen on `{address}`: {error}"))?;
        builder = builder.listener(address, Listener(number(listening.len())));
        listening.push(Listening::Tcp(accepting));
    }
    let process = builder
        .vfs(files.vfs)
        .build()
        .map_err(|error| format!("the arguments or the environment do not fit: {error}"))?;
    let number = worker.services.app(app);
    let host = GuestHost::new(
        number,
        Arc::clone(&worker.services),
        log,
        Arc::clone(meter),
        memory.clone(),
        listening,
    );
    let output = |stream: LogStream| Output { sink: Arc::new(Mutex::new(stream)), kind: StreamKind::Pipe };
    let (stdout, stderr) = (output(log.clone()), output(log.stderr()));
    Ok((SharedStart { process, host, stdout, stderr, memory: memory.clone() }, listeners))
}

/// `logger`, or `logger/80` for a service with a port.
fn listener_name(service: &qyv_spec::manifest::Service) -> String {
    match service.port {
        Some(port) => format!("{}/{port}", service.name),
        None => service.name.to_string(),
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn tree<'a>(start: &'a Start, opened: &Arc<Opened>, memory: &'a Budget) -> Result<Tree<'a>, String> {
    let text = |error: qyvol_launch::Error| error.to_string();
    let open = |path: &Path| {
        Folder::open(path).map_err(|error| format!("cannot open the folder `{}`: {error}", path.display()))
    };
    let mut tree = Tree::new(&start.limits, memory);
    if start.own_files {
        let files = Arc::new(BundleFiles::new(Arc::clone(&opened.bundle)));
        tree.packaged(files, None).map_err(text)?;
    }
    for mount in &start.mounts {
        let place = mount.place.as_str();
        let access = if mount.mode == Mode::ReadOnly { Access::ReadOnly } else { Access::ReadWrite };
        match &mount.from {
            MountFrom::Memory { bytes } => tree.memory(place, *bytes),
            MountFrom::Volume { path } => tree.volume(place, &open(path)?, path).map_err(text)?,
            MountFrom::Folder { path, beneath } => {
                let mut folder = open(path)?;
                if let Some(beneath) = beneath.as_deref().and_then(Path::to_str) {
                    folder = folder.open_beneath(beneath).map_err(|error| {
                        format!("cannot open `{beneath}` beneath `{}`: {error}", path.display())
                    })?;
                }
                tree.folder(place, &folder, path, access, Show::Disk).map_err(text)?;
            }
        }
    }
    if !start.secrets.is_empty() {
        let files: Vec<_> =
            start.secrets.iter().map(|secret| (secret.name.as_str(), secret.value.as_slice())).collect();
        tree.given(SECRETS, &files).map_err(text)?;
    }
    Ok(tree)
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
        let Self { worker, instance, denials, ended } = self;
        instance.log.finish();
        stop_serving(worker, &instance.id, !instance.listeners.is_empty());
        worker.executor.remove_group(instance.group);
        let (cause, code, message) = describe(ended.as_ref(), instance.why.load(Ordering::Acquire));
        let denials = denials.lock().unwrap_or_else(PoisonError::into_inner);
        let denials = denials.iter().map(denial).collect();
        let used = instance.used();
        worker.remove(&instance.id);
        let instance = instance.id.clone();
        worker.reporter.tell(FromWorker::Exited(Box::new(Exited {
            instance,
            cause: cause.into(),
            code,
            message,
            denials,
            used,
        })));
    }
}

/// The word, the exit code and the message of an end.
fn describe(ended: Option<&qyvol_engine::Result<SharedEnd>>, why: u8) -> (&'static str, u8, String) {
    let of = |ending: Ending| (ending.cause(), ending.exit_code(), ending.to_string());
    match ended {
        Some(Ok(end)) => {
            let (cause, code, mut message) = of(end.ending);
            if let Some(trap) = &end.trap {
                message = format!("{message}: {}", trap.reason);
                for frame in &trap.frames {
                    message = format!("{message}\n  at {}", frame.function);
                    if let Some(location) = &frame.location {
                        message = format!("{message} ({location})");
                    }
                }
            }
            (cause, code, message)
        }
        Some(Err(error)) => ("error", 126, error.to_string()),
        None if why == Why::Timeout as u8 => of(Ending::TimedOut),
        None if why == Why::CpuTime as u8 => of(Ending::Limit(Limit::CpuTime)),
        None if why == Why::Stopped as u8 => ("stopped", 143, "it was stopped".into()),
        None => ("killed", 137, "it was killed".into()),
    }
}

/// A denial in a line.
fn denial(denial: &Denial) -> String {
    let Denial { call, what, right, times, .. } = denial;
    let asked = match right {
        Right::Files => "permissions.fs".to_owned(),
        Right::Write(mount) => format!("writing to the mount at `{mount}`"),
        Right::Dial(name) => format!("permissions.net: {{ connect: [service://{name}] }}"),
        Right::Connect(address) => format!("connecting to {address}"),
        Right::Listen => "permissions.net: { listen: […] }".to_owned(),
        _ => "a right that was not granted".to_owned(),
    };
    format!("{call} on {what} was refused ({times}x): {asked}")
}
