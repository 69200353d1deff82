//! The services of one component: those that it offers, the names that it has looked up, and its host, which its
//! sockets and streams hold too.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use qyv_vfs::{Access, Budget, Error, Node, Vfs};
use qyv_wasi::{Denial, Direction, Interest, Listener, Source, Wait};

use super::bindings::sockets::network::ErrorCode;
use super::connection::{CONNECTION_BYTES, Connection};
use super::described::{self, Described};
use super::names::Names;
use crate::shared::SharedHost;

/// The host of one guest, in hands that outlive a call: what a component opens lies in wasmtime's resource table, away
/// from the store's data. A guest is one task, so the lock is free.
pub struct Lent<H: ?Sized> {
    gone: AtomicBool,
    host: Mutex<H>,
}

/// The host as the resources of a component know it.
pub(super) type Line = Arc<Lent<dyn SharedHost>>;

impl<H: SharedHost> Lent<H> {
    /// Takes the host of one guest.
    #[must_use]
    pub fn new(host: H) -> Arc<Self> {
        Arc::new(Self { gone: AtomicBool::new(false), host: Mutex::new(host) })
    }
}

impl<H: SharedHost + ?Sized> Lent<H> {
    /// Calls the host. `call` must not drop what closes itself there.
    pub(crate) fn with<R>(&self, call: impl FnOnce(&mut H) -> R) -> R {
        call(&mut self.host.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the host that the guest is gone. It is not called again: what is open dies with the guest.
    pub(crate) fn leave(&self, denials: &[Denial]) {
        if !self.gone.swap(true, Ordering::Relaxed) {
            self.with(|host| host.ended(denials));
        }
    }

    pub(super) fn close(&self, source: Source) {
        if !self.gone.load(Ordering::Relaxed) {
            self.with(|host| host.close(source));
        }
    }

    /// Ready when `look` says so. The source only tells when to look again: a wake-up that was for nothing does not come
    /// out of here, as wasmtime ends a guest after ten of them.
    pub(super) fn poll_until(
        &self,
        (source, interest): (Source, Interest),
        context: &mut Context<'_>,
        look: impl Fn(&mut H) -> bool,
    ) -> Poll<()> {
        self.with(|host| {
            if look(host) {
                return Poll::Ready(());
            }
            std::task::ready!(host.poll_wait(&Wait::new(None, vec![(source, interest)]), context));
            if look(host) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Ready when the source is.
    pub(super) fn poll_ready(
        &self,
        source: Source,
        interest: Interest,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        self.poll_until((source, interest), context, |host| host.ready(source, interest).is_some())
    }
}

/// What a component is given of the service network, and of the one outside.
pub struct Services {
    host: Line,
    offers: Vec<Offer>,
    pub(super) names: Names,
    memory: Budget,
    /// What is open, files included.
    descriptors: Budget,
}

impl Services {
    /// `listeners` are those of [`qyv_wasi::Parts`], in the order of the manifest. Connections are charged to `memory`.
    #[must_use]
    pub fn new<H: SharedHost>(
        host: Arc<Lent<H>>,
        listeners: Vec<(String, Listener)>,
        memory: Budget,
    ) -> Self {
        let host: Line = host;
        let offer = |(name, listener): (String, Listener)| {
            let (place, port) = place_and_port(&name);
            Offer { place, port, listener: Some(Port { host: host.clone(), listener }) }
        };
        let offers = listeners.into_iter().map(offer).collect();
        Self { host, offers, names: Names::default(), memory, descriptors: Budget::unlimited() }
    }

    /// Connections count as descriptors here.
    pub(super) fn counted_in(self, descriptors: Budget) -> Self {
        Self { descriptors, ..self }
    }

    /// Shows the services that may be dialled, and what describes them, as files.
    ///
    /// # Errors
    ///
    /// `BUSY` when something is mounted there, `NOMEM` at too many mounts.
    pub(crate) fn describe(&self, vfs: &mut Vfs) -> qyv_vfs::Result<(String, Option<Node>)> {
        let described = Described::new(self.host.clone(), self.memory.clone());
        vfs.mount(described::PLACE, Box::new(described), Access::ReadOnly)?;
        Ok((described::PLACE.to_owned(), Some(vfs.open_root(described::PLACE)?)))
    }

    pub(super) fn host(&self) -> &Line {
        &self.host
    }

    /// Whether the component offers a service of this name.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.offers.iter().any(|offer| offer.is_service(name))
    }

    /// The listener at an address: that of a service's name, one of `net.listen` as it was granted, or any by its port at the
    /// unspecified or the loopback address; the first when there are several.
    ///
    /// # Errors
    ///
    /// `access-denied` when nothing is offered there, `address-in-use` when it was bound before.
    pub(super) fn listen(&mut self, at: SocketAddr) -> Result<Port, ErrorCode> {
        let (address, port, service) = (at.ip(), at.port(), self.names.name(at.ip()));
        let named = |offer: &Offer| match service {
            Some(name) => offer.is_service(name),
            None => is_own(address) || matches!(offer.place, Place::Host(granted) if granted == address),
        };
        let exact = |offer: &Offer| named(offer) && offer.port.unwrap_or(DEFAULT_PORT) == port;
        let mut found = self.offers.iter().any(exact);
        if let Some(port) = self.offers.iter_mut().filter(|offer| exact(offer)).find_map(Offer::take) {
            return Ok(port);
        }
        if !found && port == DEFAULT_PORT {
            let first = self.offers.iter_mut().find(|offer| named(offer));
            found = first.is_some();
            if let Some(port) = first.and_then(Offer::take) {
                return Ok(port);
            }
        }
        Err(if found { ErrorCode::AddressInUse } else { ErrorCode::AccessDenied })
    }

    /// Dials, which may take time. At [`DEFAULT_PORT`] it is the service as such, unless it has that very port.
    pub(super) fn dial(&self, name: &str, port: u16) -> qyv_vfs::Result<Arc<Connection>> {
        self.connect(|host| {
            let as_such = port == DEFAULT_PORT && host.service(name, Some(port)).is_err();
            host.dial(name, (!as_such).then_some(port), Direction::Both)
        })
    }

    /// Connects to an address outside, which may take time.
    pub(super) fn reach(&self, address: SocketAddr) -> qyv_vfs::Result<Arc<Connection>> {
        self.connect(|host| host.connect(address))
    }

    /// Looks up a host outside, which may take time: what it gives is never connected to anything.
    pub(super) fn look_up(&self, name: &str) -> qyv_vfs::Result<Arc<Connection>> {
        self.connect(|host| host.look_up(name))
    }

    /// Takes a connection that waits. `AGAIN` when there is none.
    pub(super) fn accept(&self, port: &Port) -> qyv_vfs::Result<Arc<Connection>> {
        self.connect(|host| host.accept(port.listener))
    }

    /// Makes a connection within the limits: `MFILE` or `NOMEM` beyond them, and then nothing was done.
    fn connect(
        &self,
        make: impl FnOnce(&mut dyn SharedHost) -> qyv_vfs::Result<qyv_wasi::Socket>,
    ) -> qyv_vfs::Result<Arc<Connection>> {
        let descriptor = self.descriptors.charge(1).ok_or(Error::MFILE)?;
        let memory = self.memory.charge(CONNECTION_BYTES).ok_or(Error::NOMEM)?;
        let socket = self.host.with(|host| make(host))?;
        Ok(Arc::new(Connection::new(self.host.clone(), socket, [descriptor, memory])))
    }
}

/// The port that stands for a service as such, as `/svc/<name>` does in preview 1: for one without a number, or for the
/// first of several. A port of an address cannot be left out.
pub(super) const DEFAULT_PORT: u16 = 1;

/// A listener that the component was given.
struct Offer {
    place: Place,
    port: Option<u16>,
    /// Until it is bound.
    listener: Option<Port>,
}

/// Where a listener is found.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Service(Box<str>),
    /// An address of `net.listen`.
    Host(IpAddr),
}

impl Offer {
    fn is_service(&self, name: &str) -> bool {
        matches!(&self.place, Place::Service(service) if **service == *name)
    }

    fn take(&mut self) -> Option<Port> {
        self.listener.take()
    }
}

/// `logger`, `logger/9000` or `tcp://127.0.0.1:8080`.
fn place_and_port(name: &str) -> (Place, Option<u16>) {
    if let Some(address) = name.strip_prefix("tcp://").and_then(|text| text.parse::<SocketAddr>().ok()) {
        return (Place::Host(address.ip()), Some(address.port()));
    }
    match name.split_once('/') {
        Some((service, port)) => (Place::Service(service.into()), port.parse().ok()),
        None => (Place::Service(name.into()), None),
    }
}

/// A listener, closed when it is dropped.
pub(super) struct Port {
    host: Line,
    listener: Listener,
}

impl Port {
    /// Ready when a connection waits.
    pub(super) fn poll_waiting(&self, context: &mut Context<'_>) -> Poll<()> {
        self.host.poll_ready(Source::Listener(self.listener), Interest::Read, context)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.host.close(Source::Listener(self.listener));
    }
}

/// Whether an address means all of this component's own: the unspecified one and loopback.
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_unspecified() || v4 == std::net::Ipv4Addr::LOCALHOST,
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_listeners() {
        let service = |name: &str| Place::Service(name.into());
        let host = |address: &str| Place::Host(address.parse().unwrap());
        assert_eq!(place_and_port("web"), (service("web"), None));
        assert_eq!(place_and_port("db/9000"), (service("db"), Some(9000)));
        assert_eq!(place_and_port("tcp://127.0.0.1:8080"), (host("127.0.0.1"), Some(8080)));
        assert_eq!(place_and_port("tcp://[::1]:80"), (host("::1"), Some(80)));
        for odd in ["db/", "db/70000", "db/x/1"] {
            assert_eq!(place_and_port(odd), (service("db"), None));
        }
    }
}
