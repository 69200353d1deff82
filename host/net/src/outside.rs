//! The network outside, as one instance may reach it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use qyv_spec::service::Scheme;
use qyv_svc::outbound::{Host, Outbound};
use qyv_vfs::{Budget, Error, Result};
use qyv_wasi::Direction;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;
use crate::net::{Net, connect_first};
use crate::outward::{LookUp, Outward};
use crate::pending::Pending;
use crate::stream::{Cut, Stream};

/// Names that one instance looks up at one time; others wait for their turn.
const OWN_LOOK_UPS_MAX: usize = 2;

/// Look-ups that one instance may have begun.
const LOOK_UPS_BEGUN_MAX: usize = 16;

/// Addresses that are remembered of what an instance has looked up; the oldest are forgotten first.
const LEARNT_MAX: usize = 256;

/// Bytes that a connection or look-up is charged: what the host keeps for it.
const OUTWARD_BYTES: u64 = 2 << 10;

/// The network outside, as one instance may reach it.
pub struct Outside {
    pub(crate) net: Arc<Net>,
    pub(crate) granted: Mutex<Outbound>,
    /// What the names stood for that it has looked up.
    learnt: Mutex<VecDeque<(Host, IpAddr)>>,
    resolving: Arc<Semaphore>,
    begun: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    memory: Budget,
    live: Mutex<Vec<Weak<Cut>>>,
}

impl Outside {
    /// What is granted to one instance, which may have so many connections at one time. They are charged to `memory`.
    #[must_use]
    pub fn new(net: &Arc<Net>, granted: Outbound, connections: u32, memory: &Budget) -> Arc<Self> {
        let most = usize::try_from(connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            net: Arc::clone(net),
            granted: Mutex::new(granted),
            learnt: Mutex::default(),
            resolving: Arc::new(Semaphore::new(OWN_LOOK_UPS_MAX)),
            begun: Arc::new(Semaphore::new(LOOK_UPS_BEGUN_MAX)),
            connections: Arc::new(Semaphore::new(most)),
            memory: memory.clone(),
            live: Mutex::default(),
        })
    }

    /// From now on this is granted. Connections to what is not any more are cut.
    pub fn grant(&self, granted: Outbound) {
        *lock(&self.granted) = granted;
        let mut live = lock(&self.live);
        live.retain(|cut| cut.strong_count() > 0);
        let live: Vec<_> = live.iter().filter_map(Weak::upgrade).collect();
        for cut in live.iter().filter(|cut| !self.still_allows(cut)) {
            cut.cut();
        }
    }

    /// Whether `host:port` may be connected to. Whether it exists is not asked.
    ///
    /// # Errors
    ///
    /// `ACCES`.
    pub fn check(&self, target: &str) -> Result<()> {
        self.target(target).map(drop)
    }

    /// What `host:port` may be connected to, sorted.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        lock(&self.granted).listed().collect()
    }

    /// Begins to connect to `host:port`.
    ///
    /// # Errors
    ///
    /// `ACCES` when it was not granted, `MFILE` and `NOMEM` beyond the limits.
    pub fn dial(self: &Arc<Self>, target: &str, ways: Direction) -> Result<Outward> {
        let (host, port) = self.target(target)?;
        let places = self.places(OUTWARD_BYTES)?;
        let cut = self.cut(Scheme::Tcp, (!is_number(&host)).then(|| host.clone()));
        let (outside, hand) = (Arc::clone(self), Arc::clone(&cut));
        let reach = async move { outside.reach(&hand, &host, port, outside.net.patience.connect).await };
        Ok(Stream::start(self.net.reactor(), reach, cut, ways, places).into())
    }

    /// Begins to connect to an address that was granted by its number, or that was looked up.
    ///
    /// # Errors
    ///
    /// As for [`dial`](Self::dial).
    pub fn connect(self: &Arc<Self>, address: SocketAddr) -> Result<Outward> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let name = self.granted_as(address).ok_or(Error::ACCES)?;
        let places = self.places(OUTWARD_BYTES)?;
        let cut = self.cut(Scheme::Tcp, name);
        let (outside, hand) = (Arc::clone(self), Arc::clone(&cut));
        let reach = async move { outside.connect_to(&hand, &[address], outside.net.patience.connect).await };
        Ok(Stream::start(self.net.reactor(), reach, cut, Direction::Both, places).into())
    }

    /// Begins to look up the addresses of a host that may be connected to, by a name or a number.
    ///
    /// # Errors
    ///
    /// `ACCES` when no port of it was granted, `MFILE` and `NOMEM` beyond the limits.
    pub fn look_up(self: &Arc<Self>, host: &str) -> Result<Outward> {
        let host = Host::new(host).ok_or(Error::ACCES)?;
        if !lock(&self.granted).allows(Scheme::Tcp, &host, None) {
            return Err(Error::ACCES);
        }
        let begun = Arc::clone(&self.begun).try_acquire_owned().map_err(|_| Error::MFILE)?;
        let charge = self.memory.charge(OUTWARD_BYTES).ok_or(Error::NOMEM)?;
        let outside = Arc::clone(self);
        let work = async move {
            let found = outside.resolve(&host).await?;
            outside.usable(host, &found)
        };
        Ok(LookUp::new(Pending::start(self.net.reactor(), work), begun, charge).into())
    }

    /// Looks a host up, checks its addresses and connects to one of those that may be reached.
    pub(crate) async fn reach(
        &self,
        cut: &Cut,
        host: &Host,
        port: u16,
        patience: Duration,
    ) -> std::result::Result<TcpStream, Failure> {
        let found = self.resolve(host).await?;
        let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        let name = Some(host).filter(|host| !is_number(host));
        let allowed: Vec<_> = {
            let granted = lock(&self.granted);
            let allowed = |address: &&SocketAddr| granted.allows_address(cut.scheme, name, **address);
            addresses.iter().filter(allowed).copied().collect()
        };
        let Some(first) = addresses.first().filter(|_| allowed.is_empty()) else {
            return self.connect_to(cut, &allowed, patience).await;
        };
        Err(Failure { error: Error::ACCES, missing: Outbound::missing(cut.scheme, name, *first) })
    }

    /// Connects to one of these addresses, which were allowed a moment ago.
    async fn connect_to(
        &self,
        cut: &Cut,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> std::result::Result<TcpStream, Failure> {
        let connected = tokio::time::timeout(patience, connect_first(addresses)).await;
        let (stream, address) = connected.map_err(|_| Error::TIMEDOUT)??;
        cut.reached(address);
        // It may have been taken back meanwhile.
        if self.still_allows(cut) { Ok(stream) } else { Err(Error::CONNABORTED.into()) }
    }

    /// `host:port` when it may be asked for.
    fn target(&self, target: &str) -> Result<(Host, u16)> {
        let (host, port) = Host::with_port(target).ok_or(Error::ACCES)?;
        let allowed = lock(&self.granted).allows(Scheme::Tcp, &host, Some(port));
        if allowed { Ok((host, port)) } else { Err(Error::ACCES) }
    }

    async fn resolve(&self, host: &Host) -> std::result::Result<Vec<IpAddr>, Error> {
        match host {
            Host::Number(number) => Ok(vec![*number]),
            Host::Name(name) => {
                let found = self.net.resolve(&self.resolving, name);
                tokio::time::timeout(self.net.patience.resolve, found).await.unwrap_or(Err(Error::TIMEDOUT))
            }
        }
    }

    /// The addresses that may be connected to at some port; they are remembered.
    fn usable(&self, host: Host, found: &[IpAddr]) -> std::result::Result<Vec<IpAddr>, Failure> {
        let name = Some(&host).filter(|host| !is_number(host));
        let granted = lock(&self.granted);
        let mut ports: Vec<_> = granted.ports(&host).collect();
        // Where any port is granted, one is as good as another.
        ports.push(443);
        let allowed = |ip: &&IpAddr| {
            granted.allows(Scheme::Tcp, &Host::Number(**ip), None)
                || ports
                    .iter()
                    .any(|port| granted.allows_address(Scheme::Tcp, name, SocketAddr::new(**ip, *port)))
        };
        let usable: Vec<_> = found.iter().filter(allowed).copied().collect();
        drop(granted);
        if let Some(first) = found.first().filter(|_| usable.is_empty()) {
            let port = ports.first().copied().unwrap_or(443);
            let missing = Outbound::missing(Scheme::Tcp, name, SocketAddr::new(*first, port));
            return Err(Failure { error: Error::ACCES, missing });
        }
        let mut learnt = lock(&self.learnt);
        for ip in &usable {
            learnt.retain(|(known, of)| (known, of) != (&host, ip));
            learnt.push_back((host.clone(), *ip));
        }
        while learnt.len() > LEARNT_MAX {
            learnt.pop_front();
        }
        Ok(usable)
    }

    /// Why an address may be connected to: `Some(None)` by its number, otherwise the name that was looked up.
    fn granted_as(&self, address: SocketAddr) -> Option<Option<Host>> {
        let granted = lock(&self.granted);
        if granted.allows_address(Scheme::Tcp, None, address) {
            return Some(None);
        }
        let learnt = lock(&self.learnt);
        let mut names = learnt.iter().filter(|(_, ip)| *ip == address.ip()).map(|(name, _)| name);
        names.find(|name| granted.allows_address(Scheme::Tcp, Some(name), address)).cloned().map(Some)
    }

    /// A place among the connections, and what one costs.
    pub(crate) fn places(&self, bytes: u64) -> Result<Places> {
        let place = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| Error::MFILE)?;
        let charge = self.memory.charge(bytes).ok_or(Error::NOMEM)?;
        Ok(Places { _place: place, _charge: charge })
    }

    pub(crate) fn cut(&self, scheme: Scheme, name: Option<Host>) -> Arc<Cut> {
        let cut = Arc::new(Cut::new(scheme, name));
        let mut live = lock(&self.live);
        live.retain(|cut| cut.strong_count() > 0);
        live.push(Arc::downgrade(&cut));
        cut
    }

    fn still_allows(&self, cut: &Cut) -> bool {
        let granted = lock(&self.granted);
        match (cut.address(), &cut.name) {
            (Some(address), name) => granted.allows_address(cut.scheme, name.as_ref(), address),
            // Not reached yet: it is asked again before it is.
            (None, _) => true,
        }
    }
}

/// A place among the connections of an instance, and what is charged for it.
pub(crate) struct Places {
    _place: OwnedSemaphorePermit,
    _charge: qyv_vfs::Charge,
}

pub(crate) fn is_number(host: &Host) -> bool {
    matches!(host, Host::Number(_))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
