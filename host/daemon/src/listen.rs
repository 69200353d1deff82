//! Listening sockets that the daemon binds for apps.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use qyv_spec::service::Listen;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds a socket to what an app was granted. `again` when an instance that outlived an earlier daemon may hold the
/// address already: both then take connections until that one ends.
pub(crate) fn bound(at: &Listen, again: bool) -> Result<OwnedFd, String> {
    let address = SocketAddr::new(at.address, at.port);
    let failed = |error: std::io::Error| format!("cannot listen at `{at}`: {error}");
    if !again {
        // Without sharing: tells whether anybody else has it.
        drop(TcpListener::bind(address).map_err(failed)?);
    }
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let make = || -> rustix::io::Result<OwnedFd> {
        let socket =
            socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        set_socket_reuseaddr(&socket, true)?;
        set_socket_reuseport(&socket, true)?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    make().map_err(|errno| failed(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_somebody_has_is_refused_unless_it_is_our_own() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let at: Listen = format!("tcp://{}", first.local_addr().unwrap()).parse().unwrap();
        assert!(bound(&at, false).unwrap_err().contains("cannot listen at"));
        drop(first);
        let ours = bound(&at, false).unwrap();
        bound(&at, true).unwrap();
        assert!(bound(&at, false).is_err());
        drop(ours);
    }
}
