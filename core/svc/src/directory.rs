//! Who offers which name, and where it is served.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use qyv_spec::Name;
use qyv_spec::manifest::{Protocol, Service};
use qyv_spec::service::SYSTEM_SERVICES;
use qyv_vfs::{Error, Result};

use crate::listener::ListenerId;

/// An app, by a number of the host's choice that all its processes agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u64);

/// One running instance of an app, by a number of the host's choice that it gives to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

/// How to reach an instance that another process serves: a number that only the host understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(pub u64);

/// Who offers a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The system: the only one that may take a reserved name.
    System,
    /// An app.
    App(AppId),
}

/// Why an app cannot offer its services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// The name is that of a service of the system.
    Reserved(Name),
    /// Another offers this name.
    Taken(Name, Provider),
    /// The same name and port appear twice.
    Twice(Name, Option<u16>),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved(name) => write!(f, "`{name}` is a service of the system; offer another name"),
            Self::Taken(name, _) => {
                write!(f, "another app offers `{name}`; remove that app or offer another name")
            }
            Self::Twice(name, None) => write!(f, "`{name}` is offered twice; give each a `port` of its own"),
            Self::Twice(name, Some(port)) => {
                write!(f, "port {port} of `{name}` is offered twice; give each a `port` of its own")
            }
        }
    }
}

impl core::error::Error for ClaimError {}

/// The names of all services, whether up or down.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: BTreeMap<Name, Entry>,
}

/// A name that is offered.
#[derive(Debug)]
pub(crate) struct Entry {
    provider: Provider,
    pub(crate) description: String,
    /// In the order of the manifest.
    pub(crate) ports: Vec<Port>,
}

/// One port of a name.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: Option<u16>,
    pub(crate) protocol: Protocol,
    /// The instances that are up.
    pub(crate) replicas: Vec<Replica>,
    /// Whose turn it is, modulo how many there are.
    turn: usize,
}

/// An instance that is up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replica {
    instance: InstanceId,
    pub(crate) place: Place,
}

/// Where an instance is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Local(ListenerId),
    Elsewhere(Route),
}

impl Directory {
    /// Replaces what `provider` offers, or changes nothing. Ports that it offered before keep their replicas.
    pub(crate) fn claim(
        &mut self,
        provider: Provider,
        services: &[Service],
        description: &str,
    ) -> core::result::Result<(), ClaimError> {
        for (index, service) in services.iter().enumerate() {
            let name = &service.name;
            if provider != Provider::System && SYSTEM_SERVICES.contains(&name.as_str()) {
                return Err(ClaimError::Reserved(name.clone()));
            }
            if let Some(other) = self.entries.get(name).filter(|entry| entry.provider != provider) {
                return Err(ClaimError::Taken(name.clone(), other.provider));
            }
            let mut before = services.iter().take(index);
            if before.any(|other| other.name == *name && other.port == service.port) {
                return Err(ClaimError::Twice(name.clone(), service.port));
            }
        }
        let mut old = self.release(provider);
        for Service { name, port: number, proto } in services {
            let before = old.get_mut(name).and_then(|entry| entry.port_mut(*number));
            let replicas = before.map(|port| core::mem::take(&mut port.replicas)).unwrap_or_default();
            let entry = self.entries.entry(name.clone()).or_insert_with(|| Entry {
                provider,
                description: description.into(),
                ports: Vec::new(),
            });
            entry.ports.push(Port { number: *number, protocol: *proto, replicas, turn: 0 });
        }
        Ok(())
    }

    /// Forgets what `provider` offers, and returns it.
    pub(crate) fn release(&mut self, provider: Provider) -> BTreeMap<Name, Entry> {
        self.entries.extract_if(.., |_, entry| entry.provider == provider).collect()
    }

    /// An instance of `provider` serves this port from now on. `NOENT` when the provider does not offer it, `EXIST` when
    /// the instance serves it already.
    pub(crate) fn up(
        &mut self,
        provider: Provider,
        instance: InstanceId,
        name: &str,
        port: Option<u16>,
        place: Place,
    ) -> Result<()> {
        let entry = self.entries.get_mut(name).filter(|entry| entry.provider == provider);
        let port = entry.and_then(|entry| entry.port_mut(port)).ok_or(Error::NOENT)?;
        if port.replicas.iter().any(|replica| replica.instance == instance) {
            return Err(Error::EXIST);
        }
        port.replicas.push(Replica { instance, place });
        Ok(())
    }

    /// The instance serves nothing any more.
    pub(crate) fn down(&mut self, instance: InstanceId) {
        self.retain(|replica| replica.instance != instance);
    }

    /// Nobody reaches an instance through this listener any more.
    pub(crate) fn unlisten(&mut self, listener: ListenerId) {
        self.retain(|replica| !matches!(replica.place, Place::Local(id) if id == listener));
    }

    fn retain(&mut self, keep: impl Fn(&Replica) -> bool) {
        for port in self.entries.values_mut().flat_map(|entry| &mut entry.ports) {
            port.replicas.retain(&keep);
        }
    }

    /// A name, up or down. `NOENT` when nobody offers it.
    pub(crate) fn get(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or(Error::NOENT)
    }

    /// The port that a dial means: the one named, or else the first in the order of the manifest that `allowed` lets
    /// through. `NOENT` when there is no such name or port.
    pub(crate) fn find(
        &mut self,
        name: &str,
        number: Option<u16>,
        allowed: impl Fn(Option<u16>) -> bool,
    ) -> Result<&mut Port> {
        let entry = self.entries.get_mut(name).ok_or(Error::NOENT)?;
        entry.ports.iter_mut().find(|port| port.is_meant(number, &allowed)).ok_or(Error::NOENT)
    }
}

impl Entry {
    /// Whether [`find`](Directory::find) finds a port here.
    pub(crate) fn has(&self, number: Option<u16>, allowed: impl Fn(Option<u16>) -> bool) -> bool {
        self.ports.iter().any(|port| port.is_meant(number, &allowed))
    }

    fn port_mut(&mut self, number: Option<u16>) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.number == number)
    }
}

impl Port {
    fn is_meant(&self, number: Option<u16>, allowed: impl Fn(Option<u16>) -> bool) -> bool {
        number.is_none_or(|_| self.number == number) && allowed(self.number)
    }

    /// The replicas, beginning with the one whose turn it is; the next call begins one later.
    pub(crate) fn in_turn(&mut self) -> impl Iterator<Item = Place> {
        let first = self.turn.checked_rem(self.replicas.len()).unwrap_or(0);
        self.turn = first + 1;
        let (before, after) = self.replicas.split_at(first);
        after.iter().chain(before).map(|replica| replica.place)
    }
}
