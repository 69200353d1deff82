//! The beginning of an instance that answers requests.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use qyv_spec::app::REQUESTS_DEFAULT;
use qyv_vfs::Budget;
use qyvol_engine::shared::SharedHandler;
use qyvol_protocol::worker::Start;
use tokio::sync::watch;

use super::gate::Gate;
use super::given::Given;
use super::life::{Denied, Life};
use super::limits::{CONNECTIONS_MAX, PATIENCE, WAITING_EACH};
use super::{Server, Tasks};
use crate::door::Room;
use crate::executor::Meter;
use crate::guest::GuestHost;
use crate::instance::{Instance, files, log, outbound, share};
use crate::stdio::Watchers;
use crate::system::Caller;
use crate::worker::Worker;

/// Starts an instance that answers requests on the sockets that came with `start`.
///
/// # Errors
///
/// Why it cannot start, for people; then nothing of it is left.
pub(crate) fn begin(
    worker: &Arc<Worker>,
    start: &Start,
    sockets: Vec<OwnedFd>,
    handler: Arc<SharedHandler<GuestHost>>,
) -> Result<Arc<Instance>, String> {
    if sockets.len() != start.listen.len() {
        return Err("the daemon passed other sockets than it announced".into());
    }
    if sockets.is_empty() {
        return Err("it answers HTTP requests and listens at no address (`permissions.net.listen`)".into());
    }
    if let Some(service) = start.services.first() {
        return Err(format!(
            "it answers HTTP requests and cannot offer `service://{}`: that takes a program that accepts connections",
            service.name
        ));
    }
    let opened = worker.bundle(&start.bundle)?;
    let app = &start.instance.app;
    let (memory, meter, log) =
        (Budget::new(start.limits.memory), Arc::new(Meter::default()), log(worker, start));
    let watchers = Arc::<Watchers>::default();
    let dialler = worker.services.grant(app, start.instance.generation, &start.dial);
    let granted = outbound(&start.connect, start.anywhere);
    let given = Given {
        args: [app.to_string()].into_iter().chain(start.args.iter().cloned()).collect(),
        env: start.env.clone(),
        fds: start.limits.fds,
        dials: !start.dial.is_empty() || granted.connects(),
        outside: worker.outside(app, granted, start.limits.fds, &memory),
        caller: Caller {
            worker: Arc::clone(worker),
            instance: start.instance.clone(),
            via: Vec::new(),
            given: None,
            memory: memory.clone(),
        },
        files: files::tree(&start.into(), &opened, &memory)?,
        app: dialler,
        services: Arc::clone(&worker.services),
        log: log.clone(),
        watchers: Arc::clone(&watchers),
        meter: Arc::clone(&meter),
        memory: memory.clone(),
    };
    // What no request could be given is told now.
    given.start()?;
    let connections = Room::new(CONNECTIONS_MAX);
    // From here on it has its turn.
    let takers = start.listen.iter().zip(sockets).map(|(address, socket)| {
        let taker = worker.doors.open(app, address, socket, &connections);
        taker.map_err(|error| format!("cannot listen on `{address}`: {error}"))
    });
    let takers = takers.collect::<Result<Vec<_>, _>>()?;
    let group = worker
        .executor
        .add_group(app.as_str(), share(start))
        .ok_or_else(|| "too many instances".to_owned())?;
    let denied = Arc::<Denied>::default();
    let at_once = start.limits.requests.unwrap_or(REQUESTS_DEFAULT) as usize;
    let server = Arc::new(Server {
        worker: Arc::clone(worker),
        handler,
        given,
        gate: Gate::new(at_once, at_once.saturating_mul(WAITING_EACH), PATIENCE.room),
        patience: PATIENCE,
        wall: start.limits.wall_ms.map(Duration::from_millis),
        cpu_time: start.limits.cpu_time_ms.map(Duration::from_millis),
        connections,
        draining: watch::Sender::new(false),
        group,
        meter: Arc::clone(&meter),
        memory: memory.clone(),
        log: log.clone(),
        tasks: std::sync::Mutex::new(Tasks::default()),
        life: std::sync::OnceLock::new(),
        denied: Arc::clone(&denied),
        requests: AtomicU64::new(0),
        _opened: opened,
    });
    let instance =
        Arc::new(Instance::serving(start, group, meter, memory, log, watchers, Arc::clone(&server)));
    if !worker.add(Arc::clone(&instance)) {
        worker.executor.remove_group(group);
        return Err(format!("`{}` runs already", instance.id));
    }
    let life = Arc::new(Life::new(Arc::clone(worker), Arc::clone(&instance), denied));
    let _ = server.life.set(Arc::downgrade(&life));
    for taker in takers {
        server.spawn(Arc::clone(&server).accept(taker));
    }
    Ok(instance)
}
