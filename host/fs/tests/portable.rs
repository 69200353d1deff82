//! The file system of the other hosts, tested on Linux: `cargo test -p qyvol-fs --features portable`.
#![cfg(all(target_os = "linux", feature = "portable"))]

mod suite;

use qyvol_fs::portable::DiskFs;
