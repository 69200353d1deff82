//! The service network of this process, and its bridges to those of other workers.
//!
//! Another worker is reached by its Unix socket. Who dials says one line of JSON, [`Asked`]; who is dialled answers with
//! one byte, [`TAKEN`] or [`REFUSED`]; then the bytes of the connection follow, both ways.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qyv_spec::manifest::{Protocol, Service};
use qyv_spec::service::{Name, ServiceAddress};
use qyv_svc::{AppId, Bridge, Connection, Dial, End, InstanceId, Link, ListenerId, Network, Provider, Wakes};
use qyv_vfs::{Budget, Result};
use qyvol_protocol::system::SERVICE;
use qyvol_protocol::worker::Route;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::pump::pump;

/// The answer of a worker that took a connection.
const TAKEN: u8 = 0;
/// The answer of one that did not.
const REFUSED: u8 = 1;

/// What one connection from another worker may hold here, in bytes.
const TRANSIT_BYTES: u64 = 1 << 20;

/// The longest line that asks for a service, in bytes.
const ASKED_BYTES_MAX: usize = 256;

/// How long a worker may take to say what it asks for, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections whose worker has not said yet what it asks for.
const ASKING_MAX: usize = 256;

/// What one worker asks of another.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    service: Name,
    port: Option<u16>,
}

/// A connection behind a lock of this host.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Connection>>);

impl Link for Shared {
    fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The service network of this process.
pub(crate) struct Services {
    state: Mutex<State>,
    reactor: Handle,
}

#[derive(Default)]
struct State {
    network: Network<Shared>,
    /// Numbers given to apps and to instances so far.
    numbers: u64,
    /// Who offers services: an app, whichever of its instances run.
    apps: HashMap<Name, AppId>,
    /// Who dials: an instance, by its app and generation. What one may dial is of its revision, and two revisions run while
    /// one replaces the other.
    diallers: BTreeMap<(Name, u64), AppId>,
    /// What other workers serve: the instance, its service and port, and where.
    elsewhere: BTreeSet<(u64, Name, Option<u16>, PathBuf)>,
    /// The sockets of other workers that serve something, by number. No number is given twice.
    sockets: BTreeMap<u64, PathBuf>,
    /// The apps that offer something here, and how many of their instances run.
    local: HashMap<Name, usize>,
}

impl Services {
    /// A network without names, and the socket on which other workers dial its services.
    pub(crate) fn start(socket: StdUnixListener, reactor: Handle) -> std::io::Result<Arc<Self>> {
        socket.set_nonblocking(true)?;
        let mut state = State::default();
        offer_system(&mut state.network).map_err(std::io::Error::other)?;
        let services = Arc::new(Self { state: Mutex::new(state), reactor });
        let listener = {
            let _entered = services.reactor.enter();
            UnixListener::from_std(socket)?
        };
        let serving = Arc::clone(&services);
        services.reactor.spawn(async move { serving.serve(listener).await });
        Ok(services)
    }

    /// Says what an instance of this process may dial, and gives the number that it dials under.
    pub(crate) fn grant(&self, app: &Name, generation: u64, dial: &[ServiceAddress]) -> AppId {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let known = state.diallers.get(&(app.clone(), generation)).copied();
        let number = known.unwrap_or_else(|| {
            let number = state.number();
            state.diallers.insert((app.clone(), generation), number);
            number
        });
        state.network.grant(number, dial.iter().cloned().collect(), &mut wakes);
        drop(state);
        number
    }

    /// Says what a program may dial that another one starts, and gives the number that it dials under.
    pub(crate) fn grant_child(&self, dial: &[ServiceAddress]) -> AppId {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let number = state.number();
        state.network.grant(number, dial.iter().cloned().collect(), &mut wakes);
        drop(state);
        number
    }

    /// Who dials under this number is gone.
    pub(crate) fn forget(&self, number: AppId) {
        self.lock().network.forget(number);
    }

    /// Says what all instances of an app in this process may still dial. Their other connections end.
    pub(crate) fn revoke(&self, app: &Name, dial: &[ServiceAddress]) {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let State { network, diallers, .. } = &mut *state;
        let all = (app.clone(), 0)..=(app.clone(), u64::MAX);
        for number in diallers.range(all).map(|(_, number)| *number) {
            network.grant(number, dial.iter().cloned().collect(), &mut wakes);
        }
        drop(state);
    }

    /// Makes an instance of this process listen on everything that its app offers. What it sends is charged to `memory`.
    pub(crate) fn listen(
        &self,
        app: &Name,
        generation: u64,
        services: &[Service],
        description: &str,
        memory: &Budget,
    ) -> std::result::Result<Vec<ListenerId>, String> {
        let mut state = self.lock();
        let provider = Provider::App(state.app(app));
        state.network.claim(provider, services, description).map_err(|error| error.to_string())?;
        *state.local.entry(app.clone()).or_default() += 1;
        let instance = InstanceId(generation);
        services
            .iter()
            .map(|service| {
                let name = service.name.as_str();
                state
                    .network
                    .listen(provider, instance, name, service.port, memory)
                    .map_err(|error| format!("cannot serve `{name}`: {error}"))
            })
            .collect()
    }

    /// An instance of this process is no more; whether it served anything.
    pub(crate) fn down(&self, app: &Name, generation: u64, served: bool) {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        if let Some(number) = state.diallers.remove(&(app.clone(), generation)) {
            state.network.forget(number);
        }
        if served {
            state.network.down(InstanceId(generation), &mut wakes);
            if let Some(count) = state.local.get_mut(app) {
                *count = count.saturating_sub(1);
            }
        }
        drop(state);
    }

    /// Who offers what in all workers, from now on.
    pub(crate) fn routes(&self, routes: &[Route]) {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        state.routes(routes, &mut wakes);
        drop(state);
    }

    /// Dials for an app of this process.
    pub(crate) fn dial(&self, dial: &Dial<'_>) -> Result<End<Shared>> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let dialled = state.network.dial(dial, &mut wakes)?;
        let bridge = dialled.bridge.and_then(|bridge| {
            let socket = state.sockets.get(&bridge.route.0)?.clone();
            Some((bridge, socket))
        });
        drop(state);
        if let (Some((bridge, socket)), Ok(service)) = (bridge, dial.name.parse()) {
            self.reactor.spawn(cross(bridge, socket, service));
        }
        Ok(dialled.end)
    }

    /// Does something with the network, and wakes after it.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Network<Shared>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let result = work(&mut state.network, &mut wakes);
        drop(state);
        result
    }

    /// Stops accepting at a listener.
    pub(crate) fn close(&self, listener: ListenerId) {
        self.with(|network, wakes| network.close(listener, wakes));
    }

    async fn serve(self: Arc<Self>, listener: UnixListener) {
        let asking = Arc::new(Semaphore::new(ASKING_MAX));
        loop {
            // Who comes while so many have not asked yet waits in the socket.
            let Ok(place) = Arc::clone(&asking).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let services = Arc::clone(&self);
                    tokio::spawn(async move {
                        // Who breaks off in the middle of asking has nothing to be told.
                        let _ = services.answer(stream, place).await;
                    });
                }
                // Out of descriptors, for one: others must close some first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn answer(&self, mut stream: UnixStream, place: OwnedSemaphorePermit) -> std::io::Result<()> {
        let own = rustix::process::geteuid().as_raw();
        if stream.peer_cred()?.uid() != own {
            return Ok(());
        }
        let Some(line) = timeout(PATIENCE, line(&mut stream)).await?? else { return Ok(()) };
        drop(place);
        let asked: Asked = serde_json::from_slice(&line)?;
        if asked.service.as_str() == SERVICE {
            // Each worker answers its own programs.
            return stream.write_u8(REFUSED).await;
        }
        // The dialling worker has charged its app already; this bounds what waits on this side.
        let transit = Budget::new(TRANSIT_BYTES);
        let delivered =
            self.with(|network, wakes| network.deliver(asked.service.as_str(), asked.port, &transit, wakes));
        match delivered {
            Ok(end) => {
                stream.write_u8(TAKEN).await?;
                pump(end, descriptor(stream)?).await;
                Ok(())
            }
            Err(_) => stream.write_u8(REFUSED).await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's own service is there for all that were granted it. Who dials it is answered before the network is asked.
fn offer_system(network: &mut Network<Shared>) -> std::result::Result<(), String> {
    let service =
        Service { name: SERVICE.parse().map_err(|_| "no name")?, port: None, proto: Protocol::Lines };
    let description = "The system, version 1: starts programs (`permissions.exec`), shows and stops apps \
        (`permissions.admin`). Requests and answers are objects in JSON, a line each: {\"v\":1,\"id\":1,\"do\":\"ps\"}";
    let text = |error: &dyn std::fmt::Display| error.to_string();
    network.claim(Provider::System, &[service], description).map_err(|error| text(&error))?;
    let nobody = Budget::new(0);
    network.listen(Provider::System, InstanceId(0), SERVICE, None, &nobody).map_err(|error| text(&error))?;
    Ok(())
}

impl State {
    fn number(&mut self) -> AppId {
        self.numbers += 1;
        AppId(self.numbers)
    }

    fn app(&mut self, name: &Name) -> AppId {
        if let Some(known) = self.apps.get(name) {
            return *known;
        }
        let number = self.number();
        self.apps.insert(name.clone(), number);
        number
    }

    fn routes(&mut self, routes: &[Route], wakes: &mut Wakes) {
        let mut offered: HashMap<&Name, (Vec<Service>, &str)> = HashMap::new();
        let mut elsewhere = BTreeSet::new();
        for route in routes {
            let description = route.description.as_deref().unwrap_or_default();
            let (services, _) =
                offered.entry(&route.instance.app).or_insert_with(|| (Vec::new(), description));
            if !services.contains(&route.service) {
                services.push(route.service.clone());
            }
            if let (Some(socket), true) = (&route.socket, route.up) {
                let service = &route.service;
                elsewhere.insert((
                    route.instance.generation,
                    service.name.clone(),
                    service.port,
                    socket.clone(),
                ));
            }
        }
        let known: Vec<(Name, AppId)> = self.apps.iter().map(|(name, app)| (name.clone(), *app)).collect();
        for (name, app) in known {
            let runs_here = self.local.get(&name).is_some_and(|count| *count > 0);
            if !offered.contains_key(&name) && !runs_here {
                self.network.release(Provider::App(app));
            }
        }
        for (instance, ..) in self.elsewhere.difference(&elsewhere) {
            self.network.down(InstanceId(*instance), wakes);
        }
        for (app, (services, description)) in offered {
            let provider = Provider::App(self.app(app));
            // Two apps of one name are refused at deploy; here the first one counts.
            let _ = self.network.claim(provider, &services, description);
            for (instance, name, port, socket) in
                elsewhere.iter().filter(|(_, name, ..)| services.iter().any(|service| service.name == *name))
            {
                let route = self.route(socket);
                // Listening already is no news.
                let _ = self.network.listen_elsewhere(
                    provider,
                    InstanceId(*instance),
                    name.as_str(),
                    *port,
                    route,
                );
            }
        }
        // Whoever is dialled there has its path already.
        let used: BTreeSet<&PathBuf> = elsewhere.iter().map(|(.., socket)| socket).collect();
        self.sockets.retain(|_, socket| used.contains(socket));
        self.elsewhere = elsewhere;
    }

    fn route(&mut self, socket: &PathBuf) -> qyv_svc::Route {
        let known = self.sockets.iter().find(|(_, known)| *known == socket).map(|(number, _)| *number);
        let number = known.unwrap_or_else(|| {
            self.numbers += 1;
            self.sockets.insert(self.numbers, socket.clone());
            self.numbers
        });
        qyv_svc::Route(number)
    }
}

/// The stream without what the reactor has of it.
fn descriptor(stream: UnixStream) -> std::io::Result<OwnedFd> {
    Ok(stream.into_std()?.into())
}

/// The line that asks for a service; `None` when it is too long.
async fn line(stream: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await?;
        if byte == b'\n' {
            return Ok(Some(line));
        }
        line.push(byte);
        if line.len() > ASKED_BYTES_MAX {
            return Ok(None);
        }
    }
}

/// Carries a connection to another worker. Dropping the bridge tells the dialler that nobody answers there.
async fn cross(bridge: Bridge<Shared>, socket: PathBuf, service: Name) {
    let asked = Asked { service, port: bridge.port };
    let Ok(Ok(stream)) = timeout(PATIENCE, ask(socket, &asked)).await else { return };
    let Ok(socket) = descriptor(stream) else { return };
    pump(bridge.establish(), socket).await;
}

/// A connection to a service of another worker.
async fn ask(socket: PathBuf, asked: &Asked) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(asked)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    match stream.read_u8().await? {
        TAKEN => Ok(stream),
        _ => Err(std::io::ErrorKind::ConnectionRefused.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(app: &str, generation: u64, socket: &str) -> Route {
        let instance = format!("{app}.0@{generation}").parse().unwrap();
        let service = Service { name: app.parse().unwrap(), port: None, proto: Protocol::Lines };
        Route { instance, service, description: None, socket: Some(socket.into()), up: true }
    }

    #[test]
    fn sockets_of_workers_that_serve_nothing_any_more_are_forgotten() {
        let (mut state, mut wakes) = (State::default(), Wakes::new());
        let numbers = |state: &State| state.sockets.keys().copied().collect::<Vec<_>>();
        state.routes(&[route("a", 1, "/one"), route("b", 2, "/one"), route("c", 3, "/two")], &mut wakes);
        let before = numbers(&state);
        assert_eq!(before.len(), 2);
        state.routes(&[route("c", 3, "/two")], &mut wakes);
        assert_eq!(state.sockets.values().collect::<Vec<_>>(), [&PathBuf::from("/two")]);
        assert!(before.contains(&numbers(&state)[0]), "it keeps its number");
        // Another worker may come to the same place.
        state.routes(&[route("a", 4, "/one")], &mut wakes);
        assert!(!before.contains(&numbers(&state)[0]), "no number is given twice");
        state.routes(&[], &mut wakes);
        assert!(state.sockets.is_empty());
    }
}
