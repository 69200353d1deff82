//! `wasi:filesystem` and `wasi:sockets` as `bindgen!` writes them from the interface text of the `wasmtime-wasi` package;
//! see `build.rs`.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]

mod filesystem {
    include!(concat!(env!("OUT_DIR"), "/wasi_filesystem.rs"));
}

mod network {
    include!(concat!(env!("OUT_DIR"), "/wasi_sockets.rs"));
}

pub(super) use self::filesystem::wasi::filesystem::{preopens, types};
pub(super) use self::network::wasi::sockets;
