//! What a guest is given before its first instruction.

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use qyv_sched::GroupId;
use qyv_spec::manifest::Service;
use qyv_spec::service::{Endpoint, Name};
use qyv_svc::outbound::Outbound;
use qyv_svc::{AppId, ListenerId};
use qyv_vfs::Budget;
use qyv_wasi::{Limits, Listener, ProcessBuilder};
use qyvol_engine::shared::{SharedProgram, SharedStart};
use qyvol_launch::SharedTree;
use qyvol_net::Outside;
use qyvol_protocol::InstanceId;
use qyvol_protocol::system::Child;
use qyvol_protocol::worker::Start;

use super::files;
use crate::door::Bell;
use crate::executor::Meter;
use crate::guest::{GuestHost, Listening};
use crate::services::Services;
use crate::stdio::Stdio;
use crate::system::Caller;
use crate::tcp::{Accepting, backlog};
use crate::worker::{Opened, Worker};

/// What all programs of an instance share: its own, and those beside it.
pub(crate) struct Given {
    /// The instance that they are, or beside which they run.
    pub(super) instance: InstanceId,
    /// The apps through which they were started; the last of them is their own.
    pub(super) via: Vec<Name>,
    pub(crate) app: Name,
    pub(super) opened: Arc<Opened>,
    /// What the app itself runs.
    pub(crate) program: Arc<SharedProgram<GuestHost>>,
    pub(super) files: SharedTree,
    pub(super) env: Vec<(String, String)>,
    pub(super) fds: u32,
    /// Counts what the instance and its children hold open.
    pub(super) descriptors: Budget,
    /// Who they are for the service network, and whether they may dial any service.
    pub(super) dialler: Dialler,
    pub(super) dials: bool,
    pub(super) outside: Arc<Outside>,
    pub(super) group: GroupId,
    pub(super) memory: Budget,
    /// Counts the processor time of all of them.
    pub(super) meter: Arc<Meter>,
    /// The times at which they end.
    pub(super) times: Vec<(Arc<Meter>, Duration)>,
}

/// The most processor time of what is counted by `meter`.
pub(super) fn times(meter: &Arc<Meter>, milliseconds: Option<u64>) -> Vec<(Arc<Meter>, Duration)> {
    milliseconds.map(|most| (Arc::clone(meter), Duration::from_millis(most))).into_iter().collect()
}

/// Who programs are for the service network.
pub(super) struct Dialler {
    number: AppId,
    /// Where it is forgotten when they are gone; an instance's is with the instance.
    forget: Option<Arc<Services>>,
}

impl Dialler {
    pub(super) const fn of_instance(number: AppId) -> Self {
        Self { number, forget: None }
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        if let Some(services) = &self.forget {
            services.forget(self.number);
        }
    }
}

/// One program that is to run.
pub(super) struct Wanted<'a> {
    /// Its name, as its first argument.
    pub(super) name: &'a str,
    /// The other arguments.
    pub(super) args: &'a [String],
    /// Variables besides those of the instance, or in their place.
    pub(super) env: &'a [(String, String)],
    pub(super) stdio: Stdio,
    pub(super) meter: &'a Arc<Meter>,
    /// Where its descriptors are counted, besides its own limit.
    pub(super) descriptors: Option<Budget>,
}

impl Given {
    /// What a program of another app is given, which one of these starts: what the daemon says of it, within the memory,
    /// the processor time and the descriptors of these.
    pub(crate) fn of_child(
        worker: &Arc<Worker>,
        starter: &Arc<Self>,
        child: &Child,
        program: Arc<SharedProgram<GuestHost>>,
    ) -> Result<Arc<Self>, String> {
        let opened = worker.bundle(&child.bundle)?;
        let files = files::tree(&child.into(), &opened, &starter.memory)?;
        let reach = child.reach.iter().map(|reach| outbound(&reach.connect, reach.anywhere));
        let reach = reach.reduce(Outbound::within).unwrap_or_default();
        let services = Arc::clone(&worker.services);
        let dialler = Dialler { number: services.grant_child(&child.dial), forget: Some(services) };
        let meter = Arc::new(Meter::within(&starter.meter));
        let mut times = times(&meter, child.limits.cpu_time_ms);
        times.extend(starter.times.iter().cloned());
        Ok(Arc::new(Self {
            instance: starter.instance.clone(),
            via: starter.via.iter().chain([&child.app]).cloned().collect(),
            app: child.app.clone(),
            opened,
            program,
            files,
            env: child.env.clone(),
            fds: child.limits.fds,
            descriptors: starter.descriptors.clone(),
            dialler,
            dials: !child.dial.is_empty() || reach.connects(),
            outside: worker.outside_of_child(reach, child.limits.fds, &starter.memory),
            group: starter.group,
            memory: starter.memory.clone(),
            meter,
            times,
        }))
    }

    /// Sets a program up; `listening` has a name for each socket.
    pub(super) fn program(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        wanted: Wanted<'_>,
        listening: Vec<(String, Listening)>,
    ) -> Result<SharedStart<GuestHost>, String> {
        let Wanted { name, args, env, stdio, meter, descriptors } = wanted;
        let mut builder = ProcessBuilder::new()
            .arg(name)
            .limits(Limits::with_fds(self.fds))
            .memory_budget(self.memory.clone())
            .services(self.dials);
        if let Some(descriptors) = descriptors {
            builder = builder.descriptor_budget(descriptors);
        }
        for argument in args {
            builder = builder.arg(argument);
        }
        let replaced = |name: &String| env.iter().any(|(other, _)| other == name);
        for (name, value) in self.env.iter().filter(|(name, _)| !replaced(name)).chain(env) {
            builder = builder.env(name, value);
        }
        let (mut vfs, places) = self.files.mount().map_err(|error| error.to_string())?;
        for place in &places {
            let node = vfs.open_root(place).map_err(|error| error.to_string())?;
            builder = builder.preopen(place, node);
        }
        if !places.iter().any(|place| place == "/") {
            builder = builder.deny_root();
        }
        let mut listeners = Vec::new();
        for (name, listening) in listening {
            let number = u32::try_from(listeners.len()).unwrap_or(u32::MAX);
            builder = builder.listener(&name, Listener(number));
            listeners.push(listening);
        }
        let process = builder
            .vfs(vfs)
            .build()
            .map_err(|error| format!("the arguments or the environment do not fit: {error}"))?;
        let (services, meter) = (Arc::clone(&worker.services), Arc::clone(meter));
        let host = GuestHost::new(
            self.dialler.number,
            services,
            stdio,
            meter,
            Arc::clone(&self.outside),
            listeners,
            Caller {
                worker: Arc::clone(worker),
                instance: self.instance.clone(),
                via: self.via.clone(),
                given: Some(Arc::clone(self)),
                memory: self.memory.clone(),
            },
        );
        Ok(SharedStart { process, host, memory: self.memory.clone() })
    }
}

impl Given {
    /// Runs a program to its end; `None` when the processor time of all of them is used up before.
    pub(super) async fn within_time<R>(&self, run: impl Future<Output = R>) -> Option<R> {
        let mut run = pin!(run);
        poll_fn(|context| {
            let over = |(meter, most): &(Arc<Meter>, Duration)| u128::from(meter.used()) >= most.as_nanos();
            if self.times.iter().any(over) {
                return Poll::Ready(None);
            }
            run.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// What an instance listens on.
pub(super) struct Listens {
    /// The listeners of its services.
    pub(super) services: Vec<ListenerId>,
    /// All, by name.
    pub(super) all: Vec<(String, Listening)>,
    /// How it is asked whether it works, at the first of its addresses.
    pub(super) bell: Option<Bell>,
}

/// Begins to listen.
pub(super) fn listen(
    worker: &Worker,
    start: &Start,
    sockets: Vec<OwnedFd>,
    opened: &Opened,
    memory: &Budget,
) -> Result<Listens, String> {
    if sockets.len() != start.listen.len() {
        return Err("the daemon passed other sockets than it announced".into());
    }
    let description = opened.app.description.as_deref().unwrap_or_default();
    let services = if start.services.is_empty() {
        Vec::new()
    } else {
        let generation = start.instance.generation;
        worker.services.listen(&start.instance.app, generation, &start.services, description, memory)?
    };
    let (mut all, mut bell) = (Vec::new(), None);
    for (service, listener) in start.services.iter().zip(&services) {
        all.push((listener_name(service), Listening::Service(*listener)));
    }
    for (address, socket) in start.listen.iter().zip(sockets) {
        let taker = worker
            .doors
            .open(&start.instance.app, address, socket, &backlog())
            .map_err(|error| format!("cannot listen on `{address}`: {error}"))?;
        bell.get_or_insert_with(|| taker.bell());
        let accepting = Accepting::new(taker, memory, worker.reactor.handle());
        all.push((address.clone(), Listening::Tcp(accepting)));
    }
    Ok(Listens { services, all, bell })
}

/// What may be reached outside.
pub(crate) fn outbound(connect: &[Endpoint], anywhere: bool) -> Outbound {
    let hosts = connect.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Host(host) => Some(host.clone()),
        Endpoint::Service(_) => None,
    });
    Outbound::new(hosts, anywhere)
}

/// `logger`, or `logger/80` for a service with a port.
fn listener_name(service: &Service) -> String {
    match service.port {
        Some(port) => format!("{}/{port}", service.name),
        None => service.name.to_string(),
    }
}
