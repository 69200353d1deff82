//! Listening sockets that the daemon binds for apps.

use std::net::SocketAddr;
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
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let make = || -> rustix::io::Result<OwnedFd> {
        let socket =
            socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        set_socket_reuseaddr(&socket, true)?;
        // Shared from the first moment only with our own: a bind that does not share fails when anybody has the address.
        set_socket_reuseport(&socket, again)?;
        bind(&socket, &address)?;
        set_socket_reuseport(&socket, true)?;
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
        let theirs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken: Listen = format!("tcp://{}", theirs.local_addr().unwrap()).parse().unwrap();
        for again in [false, true] {
            assert!(bound(&taken, again).unwrap_err().contains("cannot listen at"));
        }
        // An address of its own, so that no port is looked for that a test beside this one may get meanwhile.
        let process = std::process::id();
        let at = format!("tcp://127.8.{}.{}:7007", process % 250 + 1, process / 250 % 250 + 1);
        let at: Listen = at.parse().unwrap();
        let ours = bound(&at, false).unwrap();
        let second = bound(&at, true).unwrap();
        assert!(bound(&at, false).is_err());
        drop((ours, second));
    }
}
