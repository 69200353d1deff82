//! The file system of Linux.
#![cfg(target_os = "linux")]

mod suite;

use qyvol_fs::DiskFs;
