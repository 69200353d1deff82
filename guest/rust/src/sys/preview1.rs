//! Preview 1: dialling is opening a file in `/svc`, and listening sockets are open from the start.

use std::env;
use std::ffi::CString;
use std::io;
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use crate::error::ErrorKind;
use crate::net::listener_of;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    /// Takes a descriptor, descriptor flags, and the address for the new descriptor; returns an error number.
    fn sock_accept(fd: RawFd, flags: i32, into: *mut RawFd) -> i32;
}

/// `nonblock` of `fdflags`.
const NONBLOCK: i32 = 1 << 2;

/// Begins to dial. The socket is writable once it is decided, and a failure comes with its first use.
pub(crate) fn dial(name: &str, port: Option<u16>) -> Result<TcpStream, ErrorKind> {
    let path = match port {
        Some(port) => format!("/svc/{name}/{port}"),
        None => format!("/svc/{name}"),
    };
    let path = CString::new(path).map_err(|_| ErrorKind::BadAddress)?;
    // SAFETY: the path ends with a NUL and lives until the call returns.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        // A program that was granted no service and no file has no directory to ask: its libc answers that nothing is there.
        let nothing = error.kind() == io::ErrorKind::NotFound && !Path::new("/svc").exists();
        return Err(if nothing { ErrorKind::Denied } else { ErrorKind::of(&error) });
    }
    // SAFETY: `open` has just returned it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

/// Finds the socket in the lists of the environment.
pub(crate) fn listen(name: &str) -> Result<Listening, ErrorKind> {
    let of = |variable| env::var(variable).unwrap_or_default();
    let fd =
        listener_of(name, &of("QYV_LISTEN_FDS"), &of("QYV_LISTEN_NAMES")).ok_or(ErrorKind::NotOffered)?;
    // SAFETY: it takes a number and changes a flag of what the host holds under it.
    if unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
        return Err(ErrorKind::of(&io::Error::last_os_error()));
    }
    Ok(Listening(fd))
}

/// A listening socket. It stays open until the program ends, so that it can be found again.
#[derive(Debug)]
pub(crate) struct Listening(RawFd);

impl Listening {
    pub(crate) fn accept(&self) -> io::Result<TcpStream> {
        let mut fd = -1;
        // SAFETY: the address is that of a number on the stack, which the host writes.
        let code = unsafe { sock_accept(self.0, NONBLOCK, &raw mut fd) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        // SAFETY: the host has just given it to this call, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0
    }
}
