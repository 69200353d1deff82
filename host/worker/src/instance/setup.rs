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
use qyvol_protocol::worker::Start;

use crate::door::Bell;
use crate::executor::Meter;
use crate::guest::{GuestHost, Listening};
use crate::stdio::Stdio;
use crate::tcp::{Accepting, backlog};
use crate::worker::{Opened, Worker};

/// What all programs of an instance share: its own, and those beside it.
pub(super) struct Given {
    pub(super) app: Name,
    pub(super) opened: Arc<Opened>,
    /// The instance's own.
    pub(super) program: Arc<SharedProgram<GuestHost>>,
    pub(super) files: SharedTree,
    pub(super) env: Vec<(String, String)>,
    pub(super) fds: u32,
    /// Who they are for the service network, and whether they may dial any service.
    pub(super) dialler: AppId,
    pub(super) dials: bool,
    pub(super) outside: Arc<Outside>,
    pub(super) group: GroupId,
    pub(super) memory: Budget,
    /// Counts the processor time of all of them, which ends at `cpu_time`.
    pub(super) meter: Arc<Meter>,
    pub(super) cpu_time: Option<Duration>,
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
}

impl Given {
    /// Sets a program up; `listening` has a name for each socket.
    pub(super) fn program(
        &self,
        worker: &Worker,
        wanted: Wanted<'_>,
        listening: Vec<(String, Listening)>,
    ) -> Result<SharedStart<GuestHost>, String> {
        let Wanted { name, args, env, stdio, meter } = wanted;
        let mut builder = ProcessBuilder::new()
            .arg(name)
            .limits(Limits::with_fds(self.fds))
            .memory_budget(self.memory.clone())
            .services(self.dials);
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
            self.dialler,
            services,
            stdio,
            meter,
            self.memory.clone(),
            Arc::clone(&self.outside),
            listeners,
        );
        Ok(SharedStart { process, host, memory: self.memory.clone() })
    }
}

impl Given {
    /// Runs a program to its end; `None` when the processor time of all of them is used up before.
    pub(super) async fn within_time<R>(&self, run: impl Future<Output = R>) -> Option<R> {
        let mut run = pin!(run);
        poll_fn(|context| {
            let used = u128::from(self.meter.used());
            if self.cpu_time.is_some_and(|most| used >= most.as_nanos()) {
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
