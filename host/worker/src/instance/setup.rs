//! What a guest is given before its first instruction.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use qyv_spec::service::Endpoint;
use qyv_svc::ListenerId;
use qyv_svc::outbound::Outbound;
use qyv_vfs::Budget;
use qyv_wasi::{Limits, Listener, ProcessBuilder};
use qyvol_engine::shared::SharedStart;
use qyvol_logs::LogStream;
use qyvol_protocol::worker::Start;

use super::files::tree;
use crate::executor::Meter;
use crate::guest::{GuestHost, Listening};
use crate::tcp::Accepting;
use crate::worker::{Opened, Worker};

/// Everything that the guest needs, and the listeners of its services.
pub(super) fn prepare(
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
    let dialler = worker.services.grant(app, start.instance.generation, &start.dial);
    let granted = outbound(&start.connect, start.anywhere);
    let mut builder = ProcessBuilder::new()
        .arg(app.as_str())
        .limits(Limits::with_fds(start.limits.fds))
        .memory_budget(memory.clone())
        .services(!start.dial.is_empty() || granted.connects());
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
    let host = GuestHost::new(
        dialler,
        Arc::clone(&worker.services),
        log,
        Arc::clone(meter),
        memory.clone(),
        worker.outside(app, granted, start.limits.fds, memory),
        listening,
    );
    Ok((SharedStart { process, host, memory: memory.clone() }, listeners))
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
fn listener_name(service: &qyv_spec::manifest::Service) -> String {
    match service.port {
        Some(port) => format!("{}/{port}", service.name),
        None => service.name.to_string(),
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
