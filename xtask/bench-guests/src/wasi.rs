//! What preview 1 has and the standard library does not: listening sockets that the host has opened.

use std::fs::File;
use std::os::fd::{FromRawFd as _, RawFd};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn sock_accept(fd: RawFd, flags: i32, into: *mut RawFd) -> i32;
}

/// The next connection to the first listening socket; `None` when no more come.
pub fn accept() -> Option<File> {
    let fds = std::env::var("QYV_LISTEN_FDS").ok()?;
    let listener = fds.split(',').next()?.parse().ok()?;
    let mut fd = -1;
    // SAFETY: the address is that of a number on the stack.
    let error = unsafe { sock_accept(listener, 0, &raw mut fd) };
    // SAFETY: the host has just given it to this call.
    (error == 0).then(|| unsafe { File::from_raw_fd(fd) })
}
