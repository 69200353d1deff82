//! Names of apps and services, and the addresses that a manifest may name.

use alloc::format;
use alloc::string::{String, ToString};
use core::borrow::Borrow;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::Invalid;
use crate::quantity::shown;
use crate::text::text_value;

/// Longest name of an app, a service or a slot, in bytes: that of a DNS label.
pub const NAME_BYTES_MAX: usize = 63;

/// Names of the services that the system itself offers: no app may offer one.
pub const SYSTEM_SERVICES: [&str; 5] = ["qyvold", "ai", "sensors", "context", "hub"];

/// The name of an app, a service, a slot or a model: 1 to 63 of `a-z`, `0-9` and `-`, no `-` at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let end = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > NAME_BYTES_MAX {
            "it is longer than 63 characters"
        } else if !bytes.iter().all(|b| end(b) || *b == b'-') {
            "it has other characters than `a-z`, `0-9` and `-`"
        } else if !bytes.first().is_some_and(end) || !bytes.last().is_some_and(end) {
            "it begins or ends with `-`"
        } else {
            return Ok(Self(text.to_string()));
        };
        Err(Invalid::new(
            format!("`{}` is not a name: {why}", shown(text)),
            "write 1 to 63 of `a-z`, `0-9` and `-`, as in `classifier-ia`",
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

text_value!(Name, "a name of `a-z`, `0-9` and `-`", "classifier-ia");

/// `service://name` or `service://name/port`: a service, and one of its ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAddress {
    /// The service.
    pub name: Name,
    /// One of its ports; all of them when absent.
    pub port: Option<u16>,
}

impl FromStr for ServiceAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let rest = text.strip_prefix("service://").ok_or_else(|| {
            Invalid::new(
                format!("`{}` is not the address of a service", shown(text)),
                "write `service://name` or `service://name/port`",
            )
        })?;
        let (name, port) = match rest.split_once('/') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (rest, None),
        };
        Ok(Self { name: name.parse()?, port })
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service://{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, "/{port}"))
    }
}

text_value!(ServiceAddress, "the address of a service such as `service://logger`", "service://logger");

/// A protocol to reach a host by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// HTTP over TLS; port 443 unless another is named.
    Https,
    /// HTTP in the clear; port 80 unless another is named.
    Http,
    /// A TCP connection; the port is always named.
    Tcp,
}

impl Scheme {
    /// The text before `://`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    const fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Tcp => None,
        }
    }
}

/// `https://host`, `http://host:port` or `tcp://host:port`: one port of one host.
///
/// The host is a name, an IPv4 address or an IPv6 address in brackets. A name says nothing about the addresses that it
/// resolves to: they are checked again when it is dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// How it is reached.
    pub scheme: Scheme,
    /// The name or the address, without brackets, in lower case.
    pub host: String,
    /// The port, 1 to 65535.
    pub port: u16,
}

impl FromStr for HostAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mend = "write `https://host`, `http://host` or `tcp://host:port`";
        let bad = |why: &str| Invalid::new(format!("`{}` is not an address: {why}", shown(text)), mend);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("it has no `scheme://`"))?;
        let scheme = [Scheme::Https, Scheme::Http, Scheme::Tcp]
            .into_iter()
            .find(|known| known.name() == scheme)
            .ok_or_else(|| bad("its scheme is unknown"))?;
        if rest.contains(['/', '?', '#']) {
            return Err(bad("it has a path, and rights are for a whole host"));
        }
        if rest.contains('@') {
            return Err(bad("it carries a user or a password"));
        }
        let (host, port) = split_port(rest).ok_or_else(|| bad("its host or port is malformed"))?;
        let port = match port {
            Some(port) => parse_port(port)?,
            None => scheme.default_port().ok_or_else(|| bad("it has no port"))?,
        };
        let host = parse_host(host).ok_or_else(|| bad("its host is malformed"))?;
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if Some(self.port) == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// What an app may dial: a service by name or a port of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A service of the internal network.
    Service(ServiceAddress),
    /// A host of the outer network.
    Host(HostAddress),
}

impl FromStr for Endpoint {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.starts_with("service://") {
            return text.parse().map(Self::Service);
        }
        text.parse().map(Self::Host).map_err(|error: Invalid| Invalid {
            mend: "write `service://name`, `https://host`, `http://host` or `tcp://host:port`".to_string(),
            ..error
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(address) => address.fmt(f),
            Self::Host(address) => address.fmt(f),
        }
    }
}

text_value!(Endpoint, "an address such as `service://logger` or `https://host`", "service://logger");

/// `tcp://address:port`: where an app listens. The address is an IP address; `tcp://127.0.0.1:8080` is this machine only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The address of this machine to listen at.
    pub address: IpAddr,
    /// The port, 1 to 65535.
    pub port: u16,
}

impl FromStr for Listen {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new(
                format!("`{}` is not an address to listen at", shown(text)),
                "write `tcp://127.0.0.1:8080` for this machine only, or `tcp://0.0.0.0:8080` for all who can reach it",
            )
        };
        let (host, port) = text.strip_prefix("tcp://").and_then(split_port).ok_or_else(bad)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| bad())?;
        Ok(Self { address, port: parse_port(port.ok_or_else(bad)?)? })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}", core::net::SocketAddr::new(self.address, self.port))
    }
}

text_value!(Listen, "an address to listen at such as `tcp://127.0.0.1:8080`", "tcp://127.0.0.1:8080");

/// Splits `host:port`, `[v6]:port` and the same without a port.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}

fn parse_port(text: &str) -> Result<u16, Invalid> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        Invalid::new(format!("`{}` is not a port", shown(text)), "write a number from 1 to 65535")
    })
}

/// Longest name of a host, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

fn parse_host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        return inner
            .strip_suffix(']')?
            .parse::<core::net::Ipv6Addr>()
            .ok()
            .map(|address| address.to_string());
    }
    if text.parse::<core::net::Ipv4Addr>().is_ok() {
        return Some(text.to_string());
    }
    let lower = text.to_ascii_lowercase();
    let labels = lower.split('.').all(|label| label.parse::<Name>().is_ok());
    // A name that ends in a number would be read as an odd spelling of an IPv4 address by some resolvers.
    let number = lower.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (labels && !number && lower.len() <= HOST_BYTES_MAX).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        let longest = "a".repeat(63);
        for good in ["a", "0", "classifier-ia", "a--b", longest.as_str()] {
            assert_eq!(good.parse::<Name>().map(|n| n.to_string()), Ok(good.to_string()));
        }
        let longer = "a".repeat(64);
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "ñ", "a b", "a\0", "..", longer.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_read_back_as_written() {
        for text in [
            "service://logger",
            "service://logger/9000",
            "https://example.org",
            "https://example.org:8443",
            "http://10.0.0.1",
            "tcp://[::1]:53",
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()), Ok(text.to_string()));
        }
        assert_eq!(
            "https://Example.ORG:443".parse::<Endpoint>().map(|e| e.to_string()),
            Ok("https://example.org".into())
        );
        for text in ["tcp://127.0.0.1:8080", "tcp://[::]:1"] {
            assert_eq!(text.parse::<Listen>().map(|e| e.to_string()), Ok(text.to_string()));
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        for bad in [
            "",
            "logger",
            "service://",
            "service://Logger",
            "service://a/0",
            "service://a/99999",
            "service://a/80/b",
            "service://a/",
            "service://a/+1",
            "https://",
            "https://a/b",
            "https://user@a",
            "https://a:",
            "https://a:0",
            "tcp://a",
            "ftp://a",
            "https://a b",
            "https://0x7f.1",
            "https://127.1",
            "https://[::1",
            "https://[::1]x",
            "https://::1",
            "https://a..b",
            "https://a.",
            "file:///etc/passwd",
            "https://a?b",
            "https://a#b",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad:?}");
        }
        for bad in ["8080", "tcp://localhost:80", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "udp://127.0.0.1:1"]
        {
            assert!(bad.parse::<Listen>().is_err(), "{bad:?}");
        }
    }
}
