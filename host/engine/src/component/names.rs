//! Addresses that stand for names.
//!
//! `wasi:sockets` connects to addresses, and services have only names. A name that was looked up gets an address out of a
//! part of the loopback network that nothing uses. It means that name in this component, as long as it runs, and nothing
//! anywhere else: no packet ever carries it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `127.128.0.0/9`, of which these addresses are.
const NETWORK: u32 = 0x7f80_0000;

/// The number in it of the first name.
const FIRST: u32 = 0x100;

/// The most names that one component can look up. Granted services only are counted.
pub(super) const NAMES_MAX: usize = 1024;

/// The port of the component's own end of what it dialled.
pub(super) const OWN_PORT: u16 = 49152;

/// The component's own end of what it dialled: it is not told which address of this host that is.
const OWN_V4: Ipv4Addr = Ipv4Addr::from_bits(NETWORK | 1);

/// The same where addresses are of version 6.
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd71, 0x7976, 0, 0, 0, 0, 0, 1);

/// Whoever dialled the component: it is not told who that is.
const CALLER_V4: Ipv4Addr = Ipv4Addr::from_bits(NETWORK | 2);

/// The same where addresses are of version 6, in a unique local network (RFC 4193) whose number spells `qyv`.
const CALLER_V6: Ipv6Addr = Ipv6Addr::new(0xfd71, 0x7976, 0, 0, 0, 0, 0, 2);

/// The component's own end of a connection to `remote`.
pub(super) fn own_end(remote: IpAddr) -> SocketAddr {
    let own: IpAddr = if remote.is_ipv4() { OWN_V4.into() } else { OWN_V6.into() };
    (own, OWN_PORT).into()
}

/// The other end of an accepted connection, in the version of the address that it was accepted at.
pub(super) fn caller(at: IpAddr) -> IpAddr {
    match at {
        IpAddr::V4(_) => CALLER_V4.into(),
        IpAddr::V6(_) => CALLER_V6.into(),
    }
}

/// The names that a component has looked up.
#[derive(Default)]
pub(super) struct Names(Vec<Box<str>>);

impl Names {
    /// The address that stands for `name`, always the same. `None` when there are too many.
    pub(super) fn address(&mut self, name: &str) -> Option<Ipv4Addr> {
        let known = self.0.iter().position(|known| **known == *name);
        if known.is_none() {
            if self.0.len() >= NAMES_MAX {
                return None;
            }
            self.0.push(name.into());
        }
        let index = known.unwrap_or(self.0.len() - 1);
        Some(Ipv4Addr::from_bits(NETWORK + FIRST + u32::try_from(index).ok()?))
    }

    /// The name that an address stands for.
    pub(super) fn name(&self, address: IpAddr) -> Option<&str> {
        let IpAddr::V4(v4) = address else { return None };
        let index = v4.to_bits().checked_sub(NETWORK + FIRST)?;
        self.0.get(usize::try_from(index).ok()?).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_nothing_else_has_one() {
        let mut names = Names::default();
        let (a, b) = (names.address("a").unwrap(), names.address("b").unwrap());
        assert_eq!(names.address("a"), Some(a));
        assert_eq!((names.name(a.into()), names.name(b.into())), (Some("a"), Some("b")));
        let elsewhere = [0, 1, NETWORK, NETWORK | 1, NETWORK | 2, b.to_bits() + 1, u32::MAX];
        assert!(elsewhere.into_iter().all(|bits| names.name(Ipv4Addr::from_bits(bits).into()).is_none()));
        assert_eq!(names.name(a.to_ipv6_mapped().into()), None);
        for number in 2..NAMES_MAX {
            assert!(names.address(&number.to_string()).unwrap().is_loopback());
        }
        assert_eq!((names.address("more"), names.address("a")), (None, Some(a)));
    }
}
