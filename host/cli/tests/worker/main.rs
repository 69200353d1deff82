//! A worker, spoken to as its daemon does.

mod bench;
#[path = "../dialler/mod.rs"]
mod dialler;
mod fuse;
mod hang;
mod life;
mod load;
mod neighbour;
mod outside;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod services;
