//! Runs instances of apps in one process, for the daemon.
//!
//! A worker is told what to run over a socket ([`qyvol_protocol::worker`]), and goes on without its daemon when that
//! crashes. Guests share a few threads ([`executor`](Executor)); what they wait for is watched by a reactor on a thread
//! of its own. Apps reach each other through one service network, across workers by Unix sockets.
//!
//! Principles, in this order:
//!
//! 1. A worker can do what its walls leave, and they stand before its first guest: it starts no program, opens no file
//!    but those of its apps, and compiles nothing.
//! 2. No instance holds up another: what may wait is a future, and what computes gives up its thread.
//! 3. Whatever happens to an instance, its end is told, once.

#![cfg(target_os = "linux")]

mod arguments;
mod asks;
mod control;
mod door;
mod executor;
mod guest;
mod http;
mod instance;
mod kills;
mod prepare;
mod probe;
mod pump;
mod reporter;
mod services;
mod session;
mod starting;
mod stdio;
mod system;
mod tcp;
mod walls;
mod worker;

use std::process::ExitCode;

pub use executor::{Executor, Meter, Task};
pub use prepare::prepare;

/// The whole life of a worker's process. `arguments` are those after
/// [`WORKER_ARGUMENT`](qyvol_protocol::worker::WORKER_ARGUMENT).
#[must_use]
pub fn main(arguments: &[String]) -> ExitCode {
    match control::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: the worker cannot go on: {message}");
            ExitCode::from(125)
        }
    }
}
