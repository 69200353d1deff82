//! A folder of the host ([`Folder`]) as a file system of the guest ([`DiskFs`]), and a second wall round the process
//! that serves it ([`landlock`]).
//!
//! It knows no manifest, no grant and no guest path: the mount table of `qyv-vfs` decides what is mounted where and
//! what is read-only. On Linux it speaks to the kernel directly (rustix), elsewhere through cap-std. The feature
//! `portable` offers the latter on Linux too, under a name of its own, for tests.
//!
//! Principles, in this order:
//!
//! 1. No name or path of a guest reaches anything outside the folder, whatever other processes do to the folder
//!    meanwhile. The kernel resolves (`openat2` with `RESOLVE_BENEATH`) or single components are used that follow no
//!    link; where a path leads is never looked up first and relied on later.
//! 2. Only regular files, directories and links are served. Opening, or asking the attributes of, a FIFO, a socket or
//!    a device is `PERM`, and listings leave them out; removing or renaming such a *name* is allowed. An attempt to
//!    read one opens it for a moment, without waiting: a folder with device nodes whose mere opening does something
//!    (a watchdog, a tape) should not be served.
//! 3. The common calls cost as few system calls as the host allows, and no allocation.
#![forbid(unsafe_code)]

pub mod landlock;
mod options;
mod sys;

pub use options::{DiskFsOptions, DiskQuota};
pub use sys::{DiskFs, Folder};

/// The file system of hosts other than Linux, on every host. For tests.
#[cfg(feature = "portable")]
pub mod portable {
    pub use crate::sys::portable::{DiskFs, Folder};
}
