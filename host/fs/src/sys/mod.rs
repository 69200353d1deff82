//! The file system of each host. Every module defines the same names.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub use linux::{DiskFs, Folder};
#[cfg(not(target_os = "linux"))]
pub use portable::{DiskFs, Folder};
