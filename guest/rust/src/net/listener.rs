//! What the app itself offers.

use std::io;

use qyv_svc::protocol::Framing;

use super::connection::Connection;
use super::socket::Socket;
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use crate::task::{Interest, ready};

/// Finds a listening socket of this app by its name: a service of its manifest (`logger`, or `logger/9000` for the one of
/// several with this port), or an address of `net.listen` as it is written there (`tcp://127.0.0.1:8080`).
///
/// # Errors
///
/// [`ErrorKind::NotOffered`].
pub fn listen(name: impl AsRef<str>) -> Result<Listener> {
    let name = name.as_ref();
    let wanted = name.strip_prefix("service://").unwrap_or(name);
    let listening = sys::listen(wanted).map_err(|kind| Error::new(kind, name))?;
    Ok(Listener { name: name.to_owned(), listening, framing: Framing::default() })
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    name: String,
    listening: sys::Listening,
    framing: Framing,
}

impl Listener {
    /// Says how messages are told apart: what `proto` is in the manifest. Lines when it is not said.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Waits for somebody to connect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`], for example when the app has too many descriptors open: those that wait are kept.
    pub async fn accept(&self) -> Result<Connection> {
        let failed = |error| Error::new(ErrorKind::of(&error), &self.name);
        loop {
            match self.listening.accept() {
                Ok(stream) => return Ok(Connection::new(&self.name, Socket::new(stream), self.framing)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready(self.listening.fd(), Interest::Read).await.map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// The descriptor of a name in the comma lists `QYV_LISTEN_FDS` and `QYV_LISTEN_NAMES`: the first that is called so, or
/// the first port of a service that is.
#[cfg(any(test, all(target_os = "wasi", target_env = "p1")))]
pub(crate) fn listener_of(name: &str, fds: &str, names: &str) -> Option<std::os::fd::RawFd> {
    let listed = || names.split(',').zip(fds.split(','));
    let exact = listed().find(|(listed, _)| *listed == name);
    let port = || {
        listed().find(|(listed, _)| {
            listed
                .split_once('/')
                .is_some_and(|(service, port)| service == name && port.parse::<u16>().is_ok())
        })
    };
    exact.or_else(port)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::listener_of;

    #[test]
    fn names_and_descriptors_go_in_pairs() {
        let names = "db/1,db/2,web,tcp://127.0.0.1:80";
        let find = |name| listener_of(name, "5,6,7,8", names);
        assert_eq!(
            [find("db"), find("db/2"), find("web"), find("tcp://127.0.0.1:80")],
            [5, 6, 7, 8].map(Some)
        );
        assert_eq!([find("db/3"), find("d"), find("tcp:"), find("web/1"), find("")], [None; 5]);
        assert_eq!(listener_of("web", "5", "db,web"), None);
        assert_eq!(listener_of("", "", ""), None);
    }
}
