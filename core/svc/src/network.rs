//! The control plane: names, grants, listeners and the connections that can be taken back.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::task::Waker;

use qyv_spec::Name;
use qyv_spec::manifest::Service;
use qyv_vfs::{Budget, Error, Result};

use crate::connection::{Direction, Failure, Readiness, Side};
use crate::directory::{AppId, ClaimError, Directory, InstanceId, Place, Provider, Route};
use crate::end::{End, Link};
use crate::grants::DialGrants;
use crate::info;
use crate::listener::{Listener, ListenerId};
use crate::wakes::Wakes;

/// The service network as one process sees it.
///
/// Whatever may wake somebody takes a [`Wakes`], to be dropped after the lock of the network. The lock of a connection is
/// taken below that of the network, never the other way round.
#[derive(Debug)]
pub struct Network<L: Link> {
    directory: Directory,
    listeners: BTreeMap<ListenerId, Listening<L>>,
    next_listener: u64,
    dialers: BTreeMap<AppId, Dialer<L>>,
}

/// A listener and who holds it.
#[derive(Debug)]
struct Listening<L: Link> {
    instance: InstanceId,
    listener: Listener<L>,
}

/// An app that may dial.
#[derive(Debug)]
struct Dialer<L: Link> {
    grants: DialGrants,
    /// What it has dialled, to be revoked. Those that it has closed are swept out whenever the list has doubled.
    dialled: Vec<Revocable<L>>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Revocable<L: Link> {
    name: String,
    port: Option<u16>,
    link: L,
}

/// Fewest connections of an app at which those that it has closed are looked for.
const SWEEP_MIN: usize = 64;

/// What an app dials.
#[derive(Clone, Copy, Debug)]
pub struct Dial<'a> {
    /// Who dials.
    pub app: AppId,
    /// The service.
    pub name: &'a str,
    /// One of its ports; its first that the app may dial, in the order of the manifest, when absent.
    pub port: Option<u16>,
    /// The ways that stay open.
    pub ways: Direction,
    /// The connection and what the app sends are charged here, and what an instance elsewhere sends: that one is
    /// charged for it in its own process.
    pub budget: &'a Budget,
}

/// A connection that was dialled.
#[derive(Debug)]
pub struct Dialled<L: Link> {
    /// The dialler's end.
    pub end: End<L>,
    /// The service is in another process: the host carries the bytes there.
    pub bridge: Option<Bridge<L>>,
}

/// The far end of a connection to another process. The dialler waits until it is
/// [established](Self::establish); dropping it instead refuses the connection.
#[derive(Debug)]
pub struct Bridge<L: Link> {
    /// Where to.
    pub route: Route,
    /// Which of the service's ports.
    pub port: Option<u16>,
    /// Ready when the dialler gave up or its right was taken back.
    pub end: End<L>,
}

impl<L: Link> Bridge<L> {
    /// The other process took the connection: lets the dialler go on. What it sends comes out of the returned end.
    #[must_use]
    pub fn establish(self) -> End<L> {
        self.end.establish();
        self.end
    }
}

impl<L: Link> Default for Network<L> {
    fn default() -> Self {
        Self {
            directory: Directory::default(),
            listeners: BTreeMap::new(),
            next_listener: 0,
            dialers: BTreeMap::new(),
        }
    }
}

impl<L: Link> Network<L> {
    /// Says what a provider offers, when it is deployed: these names and ports, in this order, down until an instance
    /// listens. It replaces what the provider offered before; a port that it still offers stays up.
    ///
    /// # Errors
    ///
    /// A name that is another's or the system's, or the same port twice. Nothing is changed then.
    pub fn claim(
        &mut self,
        provider: Provider,
        services: &[Service],
        description: &str,
    ) -> core::result::Result<(), ClaimError> {
        self.directory.claim(provider, services, description)
    }

    /// Forgets what a provider offers. Its connections and listeners stay; nobody can dial them any more.
    pub fn release(&mut self, provider: Provider) {
        self.directory.release(provider);
    }

    /// An instance in this process serves a port. What it sends is charged to `budget`.
    ///
    /// # Errors
    ///
    /// `NOENT` when the provider does not offer it, `EXIST` when this instance serves it already.
    pub fn listen(
        &mut self,
        provider: Provider,
        instance: InstanceId,
        name: &str,
        port: Option<u16>,
        budget: &Budget,
    ) -> Result<ListenerId> {
        let id = ListenerId(self.next_listener);
        self.directory.up(provider, instance, name, port, Place::Local(id))?;
        self.next_listener += 1;
        let listener = Listener::new(budget.clone());
        self.listeners.insert(id, Listening { instance, listener });
        Ok(id)
    }

    /// An instance in another process serves a port.
    ///
    /// # Errors
    ///
    /// `NOENT` when the provider does not offer it, `EXIST` when this instance serves it already.
    pub fn listen_elsewhere(
        &mut self,
        provider: Provider,
        instance: InstanceId,
        name: &str,
        port: Option<u16>,
        route: Route,
    ) -> Result<()> {
        self.directory.up(provider, instance, name, port, Place::Elsewhere(route))
    }

    /// Closes a listener: whoever waits there gets `CONNRESET`. Closing it twice does nothing.
    pub fn close(&mut self, listener: ListenerId, wakes: &mut Wakes) {
        self.directory.unlisten(listener);
        if let Some(closed) = self.listeners.remove(&listener) {
            closed.listener.close(wakes);
        }
    }

    /// An instance is no more: it serves nothing, here or elsewhere, and its listeners are closed.
    pub fn down(&mut self, instance: InstanceId, wakes: &mut Wakes) {
        self.directory.down(instance);
        for (_, closed) in self.listeners.extract_if(.., |_, listening| listening.instance == instance) {
            closed.listener.close(wakes);
        }
    }

    /// Replaces what an app may dial. Connections that it has dialled and may dial no more get `CONNABORTED`.
    pub fn grant(&mut self, app: AppId, grants: DialGrants, wakes: &mut Wakes) {
        let dialer = self.dialers.entry(app).or_insert_with(|| Dialer {
            grants: DialGrants::default(),
            dialled: Vec::new(),
            sweep_at: SWEEP_MIN,
        });
        for revoked in dialer.dialled.extract_if(.., |held| !grants.allows(&held.name, held.port)) {
            revoked.link.with(|connection| connection.fail(Side::Dialer, Failure::Revoked, wakes));
        }
        dialer.grants = grants;
    }

    /// Takes all that an app may dial back, and forgets it.
    pub fn revoke(&mut self, app: AppId, wakes: &mut Wakes) {
        self.grant(app, DialGrants::default(), wakes);
        self.dialers.remove(&app);
    }

    /// Forgets an app that dials no more. Unlike after [`revoke`](Self::revoke), what it has dialled ends as it was closed.
    pub fn forget(&mut self, app: AppId) {
        self.dialers.remove(&app);
    }

    /// Dials a service for an app. Replicas take turns; one whose backlog is full is passed over.
    ///
    /// # Errors
    ///
    /// In this order: `ACCES` when it is not granted, whether it exists or not; `NOENT` when nobody offers it;
    /// `CONNREFUSED` when no instance is up or every backlog is full; `NOMEM` when the budget has nothing left.
    pub fn dial(&mut self, dial: &Dial<'_>, wakes: &mut Wakes) -> Result<Dialled<L>> {
        let &Dial { app, name, port, ways, budget } = dial;
        let dialer = self.dialers.get_mut(&app).ok_or(Error::ACCES)?;
        dialer.grants.check(name, port)?;
        let found = self.directory.find(name, port, |number| dialer.grants.allows(name, number))?;
        let port = found.number;
        let takes = |place: &Place| match place {
            Place::Local(id) => self.listeners.get(id).is_some_and(|held| held.listener.has_room()),
            Place::Elsewhere(_) => true,
        };
        let place = found.in_turn().find(takes).ok_or(Error::CONNREFUSED)?;
        let (end, bridge) = match place {
            Place::Local(id) => {
                let held = self.listeners.get_mut(&id).ok_or(Error::CONNREFUSED)?;
                (held.listener.connect(budget, ways, wakes)?, None)
            }
            Place::Elsewhere(route) => {
                let (end, far) = End::pair(budget, budget)?;
                end.keep(ways);
                end.suspend();
                (end, Some(Bridge { route, port, end: far }))
            }
        };
        dialer.remember(Revocable { name: name.into(), port, link: end.link() });
        Ok(Dialled { end, bridge })
    }

    /// Dials for an app of another process, which has looked at its grants: only instances in this process are reached.
    /// The end is for the host to carry bytes to and from; what it sends is charged to `budget`, best one for each app.
    ///
    /// # Errors
    ///
    /// As for [`dial`](Self::dial), without `ACCES`.
    pub fn deliver(
        &mut self,
        name: &str,
        port: Option<u16>,
        budget: &Budget,
        wakes: &mut Wakes,
    ) -> Result<End<L>> {
        let found = self.directory.find(name, port, |_| true)?;
        let local = |place| match place {
            Place::Local(id) => Some(id),
            Place::Elsewhere(_) => None,
        };
        let takes = |id: &ListenerId| self.listeners.get(id).is_some_and(|held| held.listener.has_room());
        let id = found.in_turn().filter_map(local).find(takes).ok_or(Error::CONNREFUSED)?;
        let held = self.listeners.get_mut(&id).ok_or(Error::CONNREFUSED)?;
        held.listener.connect(budget, Direction::Both, wakes)
    }

    /// Connects to a listener of this process, as a health check does, whatever is granted. Returns the number of the
    /// connection: it was accepted once [`accepted`](Self::accepted) has reached that.
    ///
    /// # Errors
    ///
    /// `BADF` when the listener is closed, `CONNREFUSED` when its backlog is full, `NOMEM` when the budget has nothing left.
    pub fn probe(
        &mut self,
        listener: ListenerId,
        budget: &Budget,
        wakes: &mut Wakes,
    ) -> Result<(End<L>, u64)> {
        let held = &mut self.listeners.get_mut(&listener).ok_or(Error::BADF)?.listener;
        if !held.has_room() {
            return Err(Error::CONNREFUSED);
        }
        let end = held.connect(budget, Direction::Both, wakes)?;
        Ok((end, held.counts().0))
    }

    /// How many connections were ever accepted at a listener; `None` when it is closed.
    #[must_use]
    pub fn accepted(&self, listener: ListenerId) -> Option<u64> {
        Some(self.listeners.get(&listener)?.listener.counts().1)
    }

    /// Accepts the connection that has waited longest at a listener.
    ///
    /// # Errors
    ///
    /// `AGAIN` when none waits, `BADF` when the listener is closed.
    pub fn accept(&mut self, listener: ListenerId) -> Result<End<L>> {
        self.listeners.get_mut(&listener).ok_or(Error::BADF)?.listener.accept()
    }

    /// Whether a connection waits at a listener, or it is closed. When neither, `waker` is woken once it is so.
    pub fn ready(
        &mut self,
        listener: ListenerId,
        waker: Option<&Waker>,
        wakes: &mut Wakes,
    ) -> Option<Readiness> {
        match self.listeners.get_mut(&listener) {
            Some(held) => held.listener.ready(waker, wakes),
            None => Some(Readiness { bytes: 0, hangup: true }),
        }
    }

    /// The names that an app may dial, sorted: what a listing of `/svc` shows, whether they are up or not.
    pub fn services(&self, app: AppId) -> impl Iterator<Item = &Name> {
        self.dialers.get(&app).into_iter().flat_map(|dialer| dialer.grants.names())
    }

    /// Whether an app could dial this, up or down; without a port, any of its ports. Nothing is dialled.
    ///
    /// # Errors
    ///
    /// `ACCES` when it is not granted, whether it exists or not; `NOENT` when nobody offers it.
    pub fn service(&self, app: AppId, name: &str, port: Option<u16>) -> Result<()> {
        let grants = &self.dialers.get(&app).ok_or(Error::ACCES)?.grants;
        grants.check(name, port)?;
        let offered = self.directory.get(name)?.has(port, |number| grants.allows(name, number));
        if offered { Ok(()) } else { Err(Error::NOENT) }
    }

    /// What `/svc/<name>/.info` says to an app: one JSON object on a line, with `name`, `description`, `up`, the
    /// `protocol` of a dial without a port, and `ports`, those that the app may dial.
    ///
    /// # Errors
    ///
    /// `ACCES` when no port of it is granted, whether it exists or not; `NOENT` when nobody offers it.
    pub fn info(&self, app: AppId, name: &str) -> Result<String> {
        let grants = &self.dialers.get(&app).ok_or(Error::ACCES)?.grants;
        grants.check(name, None)?;
        let entry = self.directory.get(name)?;
        Ok(info::json(name, entry, |port| grants.allows(name, port)))
    }
}

impl<L: Link> Dialer<L> {
    fn remember(&mut self, dialled: Revocable<L>) {
        if self.dialled.len() >= self.sweep_at {
            self.dialled.retain(|held| !held.link.with(|connection| connection.dialer_gone()));
            self.sweep_at = SWEEP_MIN.max(2 * self.dialled.len());
        }
        self.dialled.push(dialled);
    }
}
