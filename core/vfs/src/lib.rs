//! The files of a sandboxed app: a mount table over several file systems, path resolution that cannot leave a
//! mount, and the file systems that need no operating system (memory, bundle, overlay).
//!
//! It is **not** tied to WASI (that is `qyv-wasi`), knows no host path and performs no I/O: a file system that has
//! a disk below it (`qyvol-fs` on Linux) implements [`FileSystem`] outside.
//!
//! Principles, in this order:
//!
//! 1. A path never leaves the mount it has entered, nor the directory it started from.
//! 2. A read-only mount cannot be changed by any call; the check is in [`Vfs`], not in the file systems.
//! 3. Whatever a guest makes grow is charged first, to a [`Budget`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod nodes;
mod paths;
mod resolve;
mod table;

mod fs;
mod memfs;
mod overlay;
mod packed;

mod budget;
mod error;
mod slab;

pub use budget::{Budget, Charge};
pub use error::{Error, Result};
pub use fs::{
    Advice, Attributes, Clock, DirEntry, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir, SetTime,
    SyncKind, Times,
};
pub use memfs::{MemFs, MemFsOptions};
pub use overlay::Overlay;
pub use packed::{PackedFile, PackedFiles, PackedFs};
pub use table::{Access, Node, Vfs};

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
