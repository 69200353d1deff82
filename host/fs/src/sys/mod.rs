//! The file system of each host. Every module of a host defines the same names.

mod component;
#[cfg(unix)]
mod errno;
mod growth;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub(crate) mod portable;
mod quota;
mod slab;

#[cfg(target_os = "linux")]
pub use linux::{DiskFs, Folder};
#[cfg(not(target_os = "linux"))]
pub use portable::{DiskFs, Folder};
