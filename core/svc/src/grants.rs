//! Which services an app may dial.

use alloc::collections::{BTreeMap, BTreeSet};

use qyv_spec::Name;
use qyv_spec::service::ServiceAddress;
use qyv_vfs::{Error, Result};

/// The services that an app may dial; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialGrants {
    names: BTreeMap<Name, Ports>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    All,
    These(BTreeSet<u16>),
}

impl DialGrants {
    /// `ACCES` unless this port is granted; without a port, any.
    pub(crate) fn check(&self, name: &str, port: Option<u16>) -> Result<()> {
        let granted = self.names.contains_key(name) && (port.is_none() || self.allows(name, port));
        if granted { Ok(()) } else { Err(Error::ACCES) }
    }

    /// Whether this port is granted; `None` is that of a service without a number, which only a grant of all covers.
    #[must_use]
    pub fn allows(&self, name: &str, port: Option<u16>) -> bool {
        match self.names.get(name) {
            Some(Ports::All) => true,
            Some(Ports::These(ports)) => port.is_some_and(|port| ports.contains(&port)),
            None => false,
        }
    }

    /// The services of which a port is granted, sorted.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.keys()
    }
}

impl FromIterator<ServiceAddress> for DialGrants {
    fn from_iter<T: IntoIterator<Item = ServiceAddress>>(addresses: T) -> Self {
        let mut names = BTreeMap::new();
        for ServiceAddress { name, port } in addresses {
            let ports = names.entry(name).or_insert_with(|| Ports::These(BTreeSet::new()));
            match (ports, port) {
                (ports, None) => *ports = Ports::All,
                (Ports::These(ports), Some(port)) => {
                    ports.insert(port);
                }
                (Ports::All, Some(_)) => {}
            }
        }
        Self { names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(addresses: &[&str]) -> DialGrants {
        addresses.iter().map(|text| text.parse::<ServiceAddress>().unwrap()).collect()
    }

    #[test]
    fn a_grant_covers_its_port_or_all() {
        let grants = grants(&["service://b/2", "service://a", "service://b/1", "service://a/7"]);
        assert!(grants.names().map(Name::as_str).eq(["a", "b"]));
        assert!([None, Some(1), Some(7)].into_iter().all(|port| grants.allows("a", port)));
        assert!([Some(1), Some(2)].into_iter().all(|port| grants.allows("b", port)));
        assert!([None, Some(0), Some(3)].into_iter().all(|port| !grants.allows("b", port)));
        for nobody in ["", "c", "A", "../a", "a/7", "a\0"] {
            assert!(
                grants.check(nobody, None) == Err(Error::ACCES) && !grants.allows(nobody, None),
                "{nobody:?}"
            );
        }
    }
}
