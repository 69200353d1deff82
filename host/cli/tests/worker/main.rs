//! A worker, spoken to as its daemon does.

mod bench;
mod life;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod services;
