//! What names stand for.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};

/// Whoever knows the addresses of names. It may block for as long as it likes: it is called on threads of its own.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of a name, the best first.
    ///
    /// # Errors
    ///
    /// When it has none, or nobody answers.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The files of the host that [`SystemResolver`] reads. Who loses them loses names.
pub const RESOLVER_FILES: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];

/// Where `/etc/resolv.conf` leads on hosts with `systemd-resolved`, which replaces it there.
pub const RESOLVER_FOLDER: &str = "/run/systemd/resolve";

/// The host's own: its files, its servers, its search domains (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}
