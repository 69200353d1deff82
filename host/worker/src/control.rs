//! The conversation with the daemon.

use std::os::fd::{AsFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qyvol_engine::Cache;
use qyvol_net::Roots;
use qyvol_protocol::channel::{self, Received};
use qyvol_protocol::worker::{
    CONTROL_FD, DRAIN_SECONDS, FromWorker, Hello, ORPHAN_SECONDS, SERVICES_FD, Start, TOKEN_VARIABLE,
    ToWorker, VERSION, Welcome,
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::arguments::Arguments;
use crate::instance::{Instance, NotStarted, Why, outbound};
use crate::session;
use crate::walls;
use crate::worker::Worker;

/// How often a worker without a daemon looks at itself.
const LOOK: Duration = Duration::from_secs(1);

/// How long who connects has to say who it is.
const GREETING: Duration = Duration::from_secs(2);

/// How long instances have to stop when the worker drains.
const DRAIN: Duration = Duration::from_secs(DRAIN_SECONDS);

/// The exit code of a worker in which nothing was left but what hung.
const STUCK: i32 = 124;

/// The whole life of the process.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let arguments = Arguments::parse(arguments)?;
    let token =
        std::env::var(TOKEN_VARIABLE).map_err(|_| "a worker is started by the daemon, not by hand")?;
    let control = inherited(CONTROL_FD)?;
    let services = inherited(SERVICES_FD)?;
    let cache = Cache::open(&arguments.cache).map_err(|error| error.to_string())?;
    let roots = Roots::of_environment().map_err(|error| error.to_string())?;
    // Before any other thread, so that they hold for all.
    let walls = walls::build(
        &[&arguments.read[..], std::slice::from_ref(&arguments.cache)].concat(),
        &arguments.write,
        arguments.outside,
    )?;
    let worker = Worker::new(&arguments, cache, walls, services, roots)?;
    serve(&worker, &control, &token)
}

/// A listening socket that the daemon left for this process.
fn inherited(number: i32) -> Result<UnixListener, String> {
    // SAFETY: the daemon starts this process with exactly these descriptors for it to own, this function is called once
    // for each before anything else is opened, and the check below ends the process if it was started otherwise.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    let is_socket = rustix::fs::fstat(&owned)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket);
    if !is_socket {
        // Not ours to close.
        let _ = owned.into_raw_fd();
        return Err("a worker is started by the daemon, not by hand".into());
    }
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    Ok(UnixListener::from(owned))
}

/// Listens to one daemon after the other, until it is drained.
fn serve(worker: &Arc<Worker>, control: &UnixListener, token: &str) -> Result<(), String> {
    let mut lease = 0;
    let mut draining = false;
    let mut orphan_since = Instant::now();
    let mut next = None;
    loop {
        if draining && worker.is_idle() {
            return Ok(());
        }
        let knock = match next.take() {
            Some(knock) => knock,
            None => match accept(control, LOOK).map_err(|error| error.to_string())? {
                Some(stream) => greeted(stream, lease, token),
                None => Knock::Nobody,
            },
        };
        let late = orphan_since.elapsed() >= Duration::from_secs(ORPHAN_SECONDS);
        let (stream, hello) = match knock {
            Knock::Daemon(stream, hello) => (stream, hello),
            Knock::Nobody if !late => continue,
            Knock::Nobody | Knock::OtherVersion => {
                drain(worker);
                return Ok(());
            }
        };
        lease = hello.lease;
        let over = converse(worker, &Arc::new(stream), control, lease, token);
        worker.reporter.disconnect();
        worker.asks.disconnect();
        draining |= over.drain;
        next = over.next;
        orphan_since = Instant::now();
    }
}

/// How a conversation ended.
struct Over {
    /// The worker is to end with its last instance.
    drain: bool,
    /// Who takes over.
    next: Option<Knock>,
}

/// Who connected.
enum Knock {
    /// A daemon to listen to.
    Daemon(UnixStream, Hello),
    /// The daemon of another release, which has taken the place of ours: no later one will speak this version.
    OtherVersion,
    /// Nobody who counts.
    Nobody,
}

fn greeted(stream: UnixStream, lease: u64, token: &str) -> Knock {
    if stream.set_read_timeout(Some(GREETING)).is_err() {
        return Knock::Nobody;
    }
    let Ok(Some(Received { message: ToWorker::Hello(hello), .. })) = channel::receive(&stream) else {
        return Knock::Nobody;
    };
    let (knock, message) = if hello.token != token {
        (Knock::Nobody, "this is not its daemon".to_owned())
    } else if hello.lease < lease {
        (Knock::Nobody, format!("lease {} is older than {lease}", hello.lease))
    } else if hello.version != VERSION {
        (Knock::OtherVersion, format!("this worker speaks version {VERSION}, not {}", hello.version))
    } else {
        let waits = stream.set_read_timeout(None);
        return if waits.is_ok() { Knock::Daemon(stream, hello) } else { Knock::Nobody };
    };
    let ends = matches!(knock, Knock::OtherVersion);
    let _ = channel::send(&stream, &FromWorker::Refused { message, ends }, &[]);
    knock
}

/// Waits for a daemon; `None` when none comes in time.
fn accept(control: &UnixListener, patience: Duration) -> std::io::Result<Option<UnixStream>> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = rustix::time::Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(control, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => return control.accept().map(|(stream, _)| Some(stream)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Does what one daemon says until it goes, or a later one takes over.
fn converse(
    worker: &Arc<Worker>,
    stream: &Arc<UnixStream>,
    control: &UnixListener,
    lease: u64,
    token: &str,
) -> Over {
    worker.reporter.connect(Arc::clone(stream), |ended| {
        FromWorker::Welcome(Welcome {
            version: VERSION,
            worker: worker.name.clone(),
            pid: std::process::id(),
            walls: worker.walls.clone(),
            running: worker.running(),
            ended,
        })
    });
    worker.asks.connect();
    let mut drain = false;
    loop {
        let mut waiting = [
            PollFd::new(stream.as_ref(), PollFlags::IN),
            PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN),
        ];
        // A drained worker looks now and then whether its last instance is gone.
        let timeout = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        if poll(&mut waiting, drain.then_some(&timeout)).is_err_and(|error| error != rustix::io::Errno::INTR)
        {
            return Over { drain, next: None };
        }
        if drain && worker.is_idle() {
            return Over { drain, next: None };
        }
        let [says, knocks] = waiting.map(|waiting| !waiting.revents().is_empty());
        if says {
            match channel::receive(stream) {
                Ok(Some(Received { message: ToWorker::Drain, .. })) => drain = true,
                Ok(Some(Received { message: ToWorker::Start(start), .. })) if drain => {
                    let message = "the worker takes no more instances".to_owned();
                    worker.reporter.tell(FromWorker::Failed { instance: start.instance, message });
                }
                Ok(Some(received)) => obey(worker, received),
                Ok(None) | Err(_) => return Over { drain, next: None },
            }
        } else if knocks && let Ok((stream, _)) = control.accept() {
            match greeted(stream, lease, token) {
                Knock::Nobody => {}
                next => return Over { drain, next: Some(next) },
            }
        }
    }
}

fn obey(worker: &Arc<Worker>, received: Received<ToWorker>) {
    let Received { message, descriptors } = received;
    match message {
        ToWorker::Start(start) => worker.starting.begin(worker, start, descriptors, begin),
        ToWorker::Stop { instance } => {
            if worker.starting.end(worker, &instance, Why::Stopped) {
                return;
            }
            if let Some(instance) = worker.instance(&instance) {
                instance.stop(worker);
            }
        }
        ToWorker::Kill { instance } => {
            let starts = worker.starting.end(worker, &instance, Why::Killed);
            let running = worker.instance(&instance);
            if !starts && let Some(running) = &running {
                running.end(Why::Killed);
            }
            if (starts || running.is_some()) && worker.kills.count(worker, &instance) {
                eprintln!(
                    "the worker ends, since `{instance}` hangs in a call of the kernel and nothing else runs"
                );
                std::process::exit(STUCK);
            }
        }
        ToWorker::Probe { instance, probe, what, timeout_ms } => {
            let worker = Arc::clone(worker);
            worker.reactor.handle().clone().spawn(async move {
                let result = match worker.instance(&instance) {
                    Some(running) => {
                        let timeout = Duration::from_millis(timeout_ms);
                        crate::probe::probe(&worker, &running, &what, timeout).await
                    }
                    None => Err("it does not run".into()),
                };
                let (ok, message) = (result.is_ok(), result.err().unwrap_or_default());
                worker.reporter.tell(FromWorker::Probed { instance, probe, ok, message });
            });
        }
        ToWorker::Routes(routes) => worker.services.routes(&routes),
        ToWorker::Revoke { app, dial, connect, anywhere } => {
            worker.services.revoke(&app, &dial);
            worker.grant_outside(&app, &outbound(&connect, anywhere));
        }
        ToWorker::Usage { request } => {
            worker.reporter.tell(FromWorker::Usage { request, instances: worker.used() });
        }
        ToWorker::Answer(answer) => worker.asks.answered(*answer),
        ToWorker::Exec(exec) => session::exec(worker, *exec, descriptors),
        ToWorker::Attach { instance } => session::attach(worker, instance, descriptors),
        ToWorker::Hello(_) | ToWorker::Drain => {}
    }
}

fn begin(worker: &Arc<Worker>, start: &Start, sockets: Vec<OwnedFd>) {
    let instance = start.instance.clone();
    match Instance::start(worker, start, sockets) {
        Ok(_) => {
            worker.reporter.tell(FromWorker::Started { instance: instance.clone() });
            for service in &start.services {
                worker.reporter.tell(FromWorker::Serving {
                    instance: instance.clone(),
                    service: service.name.clone(),
                    port: service.port,
                    up: true,
                });
            }
            if start.kind != qyv_spec::manifest::Kind::Command && start.health.is_none() {
                worker.reporter.tell(FromWorker::Ready { instance });
            }
        }
        Err(NotStarted::NotCompiled) => {
            worker.reporter.tell(FromWorker::NotCompiled { instance, module: start.module });
        }
        Err(NotStarted::Failed(message)) => worker.reporter.tell(FromWorker::Failed { instance, message }),
    }
}

/// Ends every instance: politely, then not.
fn drain(worker: &Arc<Worker>) {
    for instance in worker.instances() {
        instance.stop(worker);
    }
    let until = Instant::now() + DRAIN;
    while !worker.is_idle() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    for instance in worker.instances() {
        instance.end(Why::Killed);
    }
    let until = Instant::now() + DRAIN;
    while !worker.is_idle() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
}
