//! The daemon: looks after apps that run in workers, and answers its API.
//!
//! ```text
//!  clients ──HTTP over qyvold.sock──► api ──jobs──► overseer ──queues──► workers (processes)
//!                                                   │  ▲ └──► prepare (processes)
//!                                            store ◄┘  └── what workers say
//! ```
//!
//! One thread, the `overseer`, owns what is decided: the supervisor, the table of apps, instances and workers. All else
//! sends it messages and waits for nobody: sends to workers are queued and bounded, and a worker that does not read is
//! ended. It is **not** where guests run or are compiled, and it carries none of their bytes: it hands bundles to workers by
//! path, listening sockets by descriptor, and reads logs from files.

#![cfg(target_os = "linux")]

mod admit;
mod api;
mod candidate;
mod clock;
mod fault;
mod follow;
mod host;
mod listen;
mod options;
#[cfg(any(feature = "otel", test))]
#[cfg_attr(not(feature = "otel"), allow(dead_code, unused_imports, reason = "only its tests use it"))]
mod otel;
mod overseer;
mod prepare;
pub mod remote;
mod sources;
mod workers;

pub use host::run;
pub use options::Options;
