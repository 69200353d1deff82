//! A worker, spoken to as its daemon does.

mod bench;
mod fuse;
mod hang;
mod life;
mod load;
mod neighbour;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod services;
