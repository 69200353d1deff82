//! The daemon, spoken to as a client does, with real workers.

mod bench;
mod crash;
mod http;
mod life;
mod manifests;
#[path = "../sandbox/mod.rs"]
mod sandbox;
