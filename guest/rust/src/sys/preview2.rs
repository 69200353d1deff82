//! Preview 2: `<name>.svc:<port>` through `wasi:sockets`. Looking up a name and connecting wait for the host.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};

use crate::error::ErrorKind;

/// The port of an address without one: what `/svc/<name>` is in preview 1.
const DEFAULT_PORT: u16 = 1;

pub(crate) fn dial(name: &str, port: Option<u16>) -> Result<TcpStream, ErrorKind> {
    let addresses = look_up(name, port)?;
    let socket = TcpStream::connect(addresses.as_slice()).map_err(|error| match error.kind() {
        // The service has no such port.
        io::ErrorKind::HostUnreachable => ErrorKind::Unknown,
        _ => ErrorKind::of(&error),
    })?;
    socket.set_nonblocking(true).map_err(|error| ErrorKind::of(&error))?;
    Ok(socket)
}

/// To serve is to listen at the app's own name.
pub(crate) fn listen(name: &str) -> Result<Listening, ErrorKind> {
    let addresses = match name.strip_prefix("tcp://") {
        Some(address) => vec![address.parse().map_err(|_| ErrorKind::NotOffered)?],
        None => {
            let (name, port) = match name.split_once('/') {
                Some((name, port)) => (name, Some(port.parse().map_err(|_| ErrorKind::NotOffered)?)),
                None => (name, None),
            };
            look_up(name, port).map_err(|_| ErrorKind::NotOffered)?
        }
    };
    let listener = TcpListener::bind(addresses.as_slice()).map_err(|error| match error.kind() {
        // As where listening sockets are open from the start: there is none.
        io::ErrorKind::PermissionDenied => ErrorKind::NotOffered,
        _ => ErrorKind::of(&error),
    })?;
    listener.set_nonblocking(true).map_err(|error| ErrorKind::of(&error))?;
    Ok(Listening(listener))
}

fn look_up(name: &str, port: Option<u16>) -> Result<Vec<SocketAddr>, ErrorKind> {
    let found = (format!("{name}.svc"), port.unwrap_or(DEFAULT_PORT)).to_socket_addrs();
    // The libc tells a refusal from all other failures, which it does not tell apart: the name does not exist.
    found.map(Iterator::collect).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unknown,
    })
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listening(TcpListener);

impl Listening {
    pub(crate) fn accept(&self) -> io::Result<TcpStream> {
        let (socket, _) = self.0.accept()?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
