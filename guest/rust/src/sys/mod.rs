//! What differs from target to target: each of `preview1`, `preview2` and `unix` defines the same three names.
//!
//! * `dial(name, port)`: a connection, perhaps one that is still being made.
//! * `listen(name)`: the listening socket of this name.
//! * `Listening::accept`: the next connection there, without waiting.
//!
//! All else is the same everywhere: a connection is a non-blocking socket, and [`wait`] is `poll`.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::task::Interest;

#[cfg(all(target_os = "wasi", target_env = "p1"))]
mod preview1;
#[cfg(all(target_os = "wasi", target_env = "p1"))]
pub(crate) use preview1::{Listening, dial, listen};

#[cfg(all(target_os = "wasi", not(target_env = "p1")))]
mod preview2;
#[cfg(all(target_os = "wasi", not(target_env = "p1")))]
pub(crate) use preview2::{Listening, dial, listen};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{Listening, dial, listen};

/// Waits until one of these can go on or the limit has passed, and returns the places in the list of those that can.
pub(crate) fn wait(asked: &[(RawFd, Interest)], limit: Option<Duration>) -> Vec<usize> {
    let mut entries: Vec<libc::pollfd> = asked
        .iter()
        .map(|&(fd, interest)| {
            let events = match interest {
                Interest::Read => libc::POLLIN,
                Interest::Write => libc::POLLOUT,
            };
            libc::pollfd { fd, events, revents: 0 }
        })
        .collect();
    // Rounded up: a sleeper that wakes too early would only go round again.
    let limit =
        limit.map_or(-1, |limit| limit.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX));
    // SAFETY: the entries are as many as is said, and nobody else has them during the call.
    let count = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, limit) };
    if count < 0 {
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::Interrupted {
            return Vec::new();
        }
        panic!("wait for {} descriptors: {error}", entries.len());
    }
    entries.iter().enumerate().filter(|(_, entry)| entry.revents != 0).map(|(index, _)| index).collect()
}
