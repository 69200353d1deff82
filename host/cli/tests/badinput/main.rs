//! What people, programs and disks do wrong: each has a clear message and its documented exit code, and leaves nothing
//! half-written.

mod app;
mod cache;
mod ending;
mod interrupt;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod streams;
