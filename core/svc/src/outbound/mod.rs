//! What an app may reach outside: hosts by name or number, each with its ports.
//!
//! Whoever dials asks twice: whether the name may be asked for at all, before it is looked up, and whether the address that
//! came of it may be dialled. That very address is dialled then, and nothing is looked up again, so that whoever answers
//! for a name cannot lead an app elsewhere between the two questions.
//!
//! * `tcp://host:port` grants a connection to that port, for whatever protocol. `http://host` and `https://host` grant
//!   requests of that protocol through the host's own client, and no bare connection.
//! * A grant by name reaches what the name stands for on the public internet and in private networks: the operator named the
//!   host. A grant of any host reaches the public internet alone.
//! * [`Zone::Closed`] is reached by a grant of that very number alone, [`Zone::Nowhere`] by none.

mod zone;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use qyv_spec::service::{HostAddress, Scheme};

pub use zone::{Zone, zone_of};

/// The longest host with its port that is looked at, in bytes: a name of 253, a dot, a colon and a port.
const ASKED_BYTES_MAX: usize = 260;

/// A host of the outer network, as an app names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, in lower case and without a dot at its end. International names are only known as they are written for the
    /// wire (`xn--…`).
    Name(String),
    /// An address; one of version 4 is never written as one of version 6.
    Number(IpAddr),
}

impl Host {
    /// Reads a name or an address, one of version 6 in brackets or not. `None` when it is neither.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > ASKED_BYTES_MAX {
            return None;
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Number(address.to_canonical()));
        }
        Self::with_port(&[text, ":1"].concat()).map(|(host, _)| host)
    }

    /// Reads `host:port` or `[v6]:port`. `None` when it is neither, or the port is 0.
    #[must_use]
    pub fn with_port(text: &str) -> Option<(Self, u16)> {
        if text.len() > ASKED_BYTES_MAX {
            return None;
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_suffix('.').unwrap_or(host);
        let address: HostAddress = ["tcp://", host, ":", port].concat().parse().ok()?;
        Some((Self::of(&address), address.port))
    }

    /// The host of a grant.
    fn of(address: &HostAddress) -> Self {
        match address.host.parse::<IpAddr>() {
            Ok(number) => Self::Number(number.to_canonical()),
            Err(_) => Self::Name(address.host.clone()),
        }
    }

    /// The address that a grant of this host would name.
    #[must_use]
    pub fn address(&self, scheme: Scheme, port: u16) -> HostAddress {
        HostAddress { scheme, host: self.to_string(), port }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// What one app may reach outside; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    hosts: BTreeMap<Host, BTreeSet<(u16, Scheme)>>,
    anywhere: bool,
    /// What must allow it too.
    within: Option<Box<Self>>,
}

impl Outbound {
    /// These hosts, and with `anywhere` the public internet.
    #[must_use]
    pub fn new(grants: impl IntoIterator<Item = HostAddress>, anywhere: bool) -> Self {
        let mut hosts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for grant in grants {
            hosts.entry(Host::of(&grant)).or_default().insert((grant.port, grant.scheme));
        }
        Self { hosts, anywhere, within: None }
    }

    /// What both allow: for an app that another one starts. Whether `outer` allows it is asked about every name and every
    /// address.
    #[must_use]
    pub fn within(mut self, outer: Self) -> Self {
        self.within = Some(Box::new(match self.within.take() {
            Some(between) => between.within(outer),
            None => outer,
        }));
        self
    }

    /// Whether it is nothing at all.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.hosts.is_empty() && !self.anywhere
            || self.within.as_ref().is_some_and(|outer| outer.is_nothing())
    }

    /// Whether any bare connection may be made.
    #[must_use]
    pub fn connects(&self) -> bool {
        let own = self.anywhere || self.hosts.values().flatten().any(|(_, scheme)| *scheme == Scheme::Tcp);
        own && self.within.as_ref().is_none_or(|outer| outer.connects())
    }

    /// Whether a host may be asked for by this protocol: before anything is looked up. Without a port, any port counts.
    #[must_use]
    pub fn allows(&self, scheme: Scheme, host: &Host, port: Option<u16>) -> bool {
        if self.within.as_ref().is_some_and(|outer| !outer.allows(scheme, host, port)) {
            return false;
        }
        match (host, port) {
            (Host::Name(_), _) => self.anywhere || self.names(scheme, host, port),
            (Host::Number(ip), Some(port)) => self.allows_address(scheme, None, SocketAddr::new(*ip, port)),
            (Host::Number(ip), None) => {
                self.names(scheme, host, None) && zone_of(*ip) != Zone::Nowhere
                    || self.anywhere && zone_of(*ip) == Zone::Public
            }
        }
    }

    /// Whether an address may be dialled by this protocol, by its number or because it is what `name` stands for.
    #[must_use]
    pub fn allows_address(&self, scheme: Scheme, name: Option<&Host>, address: SocketAddr) -> bool {
        if self.within.as_ref().is_some_and(|outer| !outer.allows_address(scheme, name, address)) {
            return false;
        }
        let ip = address.ip().to_canonical();
        let granted = |host: &Host| self.names(scheme, host, Some(address.port()));
        match zone_of(ip) {
            _ if address.port() == 0 => false,
            Zone::Nowhere => false,
            Zone::Closed => granted(&Host::Number(ip)),
            Zone::Public if self.anywhere => true,
            Zone::Public | Zone::Private => granted(&Host::Number(ip)) || name.is_some_and(granted),
        }
    }

    /// The narrowest grant that would let an address be dialled for a name, or for itself. `None` when none would.
    #[must_use]
    pub fn missing(scheme: Scheme, name: Option<&Host>, address: SocketAddr) -> Option<HostAddress> {
        let ip = address.ip().to_canonical();
        let number = || Host::Number(ip).address(scheme, address.port());
        match (zone_of(ip), name) {
            (Zone::Nowhere, _) => None,
            (Zone::Public | Zone::Private, Some(name)) => Some(name.address(scheme, address.port())),
            _ => Some(number()),
        }
    }

    /// The hosts to which a bare connection is granted, sorted, as `host:port`.
    pub fn listed(&self) -> impl Iterator<Item = String> {
        let tcp = |(host, ports): (&Host, &BTreeSet<(u16, Scheme)>)| {
            let ports = ports.iter().filter(|(_, scheme)| *scheme == Scheme::Tcp).map(|(port, _)| *port);
            let ports = ports.filter(|port| self.allows(Scheme::Tcp, host, Some(*port)));
            let address = |port| host.address(Scheme::Tcp, port).to_string();
            ports.map(address).collect::<alloc::vec::Vec<_>>()
        };
        self.hosts.iter().flat_map(tcp).map(|url| url.trim_start_matches("tcp://").to_string())
    }

    /// The ports of a host that are granted for bare connections.
    pub fn ports(&self, host: &Host) -> impl Iterator<Item = u16> {
        let ports = self.hosts.get(host).into_iter().flatten();
        ports.filter(|(_, scheme)| *scheme == Scheme::Tcp).map(|(port, _)| *port)
    }

    /// Whether a host is named by a grant; one of bare connections covers every protocol over them.
    fn names(&self, scheme: Scheme, host: &Host, port: Option<u16>) -> bool {
        let covers = |(own, by): &(u16, Scheme)| {
            (*by == scheme || *by == Scheme::Tcp) && port.is_none_or(|port| port == *own)
        };
        self.hosts.get(host).is_some_and(|ports| ports.iter().any(covers))
    }
}

#[cfg(test)]
mod tests;
