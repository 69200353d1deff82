//! The daemon, spoken to as a client does, with real workers.

mod bench;
mod crash;
mod life;
mod manifests;
#[path = "../sandbox/mod.rs"]
mod sandbox;
