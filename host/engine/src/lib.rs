//! Runs WebAssembly programs on wasmtime: configuration, compile cache, limits, linking, traps.
//!
//! It is **not** the place of policy: what a guest may touch is decided before, and comes in as a
//! [`qyv_wasi::Process`] with its files and a [`qyv_vfs::Budget`] for its memory. It knows neither manifests nor the
//! daemon.
//!
//! Principles, in this order:
//!
//! 1. Portable bytes come in; native code is only ever loaded from a cache that this host compiled.
//! 2. Compilation is done by a child process that can do nothing else.
//! 3. A guest can be stopped, whatever it does: in its own code, in a blocked call, in a long bulk operation.
//!
//! The way of a program: [`Program::load`] (through [`Cache`] and [`Compiler`]) → [`Program::run`] → [`Finished`].

#![cfg(unix)]

mod cache;
pub mod compile;
pub mod component;
mod config;
mod ending;
mod error;
mod host;
mod interrupt;
mod limits;
mod network;
mod preview1;
mod program;
mod run;
pub mod shared;
pub mod system;
mod trap;
mod watchdog;

pub use cache::{Cache, Kind, Listed, Pruned, Record, Source, Verified, processor_features};
pub use compile::{Compiler, Progress};
pub use config::{DEFAULT_STACK_BYTES, ENGINE_VERSION, Pool, Settings};
pub use ending::{Ending, Limit};
pub use error::{Error, Result};
pub use host::{Output, Sink, Stdio};
pub use interrupt::{Interrupt, Reason};
pub use program::{Program, hash};
pub use run::{Finished, Start};
pub use trap::{Frame, Trap};
pub use watchdog::{GRACE, Signals, Watch, Watchdog, catch_signals};
