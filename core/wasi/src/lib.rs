//! WASI preview 1 without I/O: every call of `wasi_snapshot_preview1` over a guest's memory, a virtual file system
//! and a [`Host`] that has the clocks, the random numbers, the standard streams and the services.
//!
//! It is **not** tied to an engine. [`preview1!`] is the one list of functions, from which an engine makes its
//! imports; each is a method of [`Process`] that returns an [`Errno`] or, when it may have to wait, an [`Outcome`].
//! A host that gets [`Outcome::Wait`] waits for what [`Process::wait`] says and calls the same method with the same
//! arguments again. Nothing here sleeps, spawns or knows about tasks. `proc_exit` is the engine's.
//!
//! Principles, in this order:
//!
//! 1. Whatever a guest passes (addresses, lengths, counts, flags) leads to an error number, never to a panic.
//! 2. Guest memory is touched in one file (`memory.rs`), and all ranges of a call are checked before it has effects.
//! 3. Every size that a guest chooses has a named limit ([`limits`]) and what is held for it is charged to a budget.
//! 4. What was refused for want of a grant is remembered ([`Denial`]), so that a person can be told how to mend it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod denial;
mod host;
mod memory;
mod origin;
mod outcome;
mod parts;
mod process;
mod resume;

mod abi;
mod args;
mod clocks;
mod dir;
mod fd;
mod file;
mod io;
pub mod limits;
mod path;
mod poll;
mod services;
mod sock;

mod table;

pub use denial::{Denial, Denials, Right};
pub use host::{Clock, Direction, Host, Interest, Listener, Readiness, Socket, Source, Stream, StreamKind};
pub use limits::Limits;
pub use memory::Memory;
pub use origin::Origin;
pub use outcome::{Errno, Outcome, Token, Wait};
pub use parts::Parts;
pub use process::{Process, ProcessBuilder};
/// Why a call failed, and its result. Each number is a preview-1 `errno`.
pub use qyv_vfs::{Error, Result};
