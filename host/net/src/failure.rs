//! Why something outside was not reached.

use std::io;

use qyv_spec::service::HostAddress;
use qyv_vfs::Error;

/// A failure, and what should have been granted when that was the reason.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) missing: Option<HostAddress>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, missing: None }
    }
}

/// The name that the core has for a failure of the host's network.
pub(crate) fn error_of(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => Error::AGAIN,
        io::ErrorKind::ConnectionRefused => Error::CONNREFUSED,
        io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => Error::CONNRESET,
        io::ErrorKind::ConnectionAborted => Error::CONNABORTED,
        io::ErrorKind::BrokenPipe => Error::PIPE,
        io::ErrorKind::TimedOut => Error::TIMEDOUT,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        // A firewall of this host.
        | io::ErrorKind::PermissionDenied => Error::HOSTUNREACH,
        io::ErrorKind::OutOfMemory => Error::NOMEM,
        _ => match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::MFILE.raw_os_error() => Error::MFILE,
            Some(code) if code == rustix::io::Errno::NFILE.raw_os_error() => Error::MFILE,
            _ => Error::IO,
        },
    }
}
