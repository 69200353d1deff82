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

/// The host's own: its files, its servers, its search domains (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}
