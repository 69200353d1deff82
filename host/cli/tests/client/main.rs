//! The client's side of the daemon's API, before a daemon that does what each test says: answers, mistakes, and answers that
//! break off.

mod answers;
mod deploy;
mod fake;
mod streams;

#[path = "../sandbox/mod.rs"]
mod sandbox;
