//! `wasi:filesystem` as `bindgen!` writes it from the interface text of the `wasmtime-wasi` package; see `build.rs`.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]

include!(concat!(env!("OUT_DIR"), "/wasi_filesystem.rs"));

pub(super) use self::wasi::filesystem::{preopens, types};
