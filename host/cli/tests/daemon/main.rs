//! The daemon, spoken to as a client does, with real workers.

mod bench;
mod bundles;
mod crash;
#[path = "../dialler/mod.rs"]
mod dialler;
mod example;
mod exec;
mod faults;
mod files;
mod guests;
mod http;
mod kills;
mod life;
mod manifests;
mod outside;
mod remote;
mod resume;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod services;
mod system;
mod tool;
mod usage;
mod workers;
