//! Components of WASI 0.2: everything that `wasi:cli/imports` and `wasi:http/proxy` name.
//!
//! Clocks, randomness and polling are wasmtime's own; standard streams are the host's. `wasi:filesystem` is ours, over the same file
//! tree as preview 1, because wasmtime's is tied to real directories. `wasi:sockets` is the service
//! network, and refuses everything else. The types of `wasi:http` are wasmtime's; what leaves goes through `outgoing.rs`.
//!
//! ```text
//! check(wasm)?;                                   // before compiling: a refusal that a person can read
//! let mut linker = Linker::new(&engine);          // once an engine
//! add_to_linker(&mut linker)?;
//! let prepared = Prepared::new(&linker, &component)?;
//! let state = ComponentState::new(config)?;       // once an instance, inside the store's data
//! let code = prepared.run(&mut store).await?;
//! ```

#[cfg(test)]
mod attacks;
mod bindings;
mod check;
mod connection;
mod convert;
mod described;
mod descriptor;
mod error;
mod filesystem;
mod limits;
mod link;
mod names;
mod network;
mod open;
mod options;
mod outgoing;
mod run;
mod services;
mod standard;
mod start;
mod state;
mod stdin;
mod stdio;
mod streams;
mod tcp;
mod udp;

pub use check::{Refusal, check};
pub use limits::ComponentLimits;
pub use link::add_to_linker;
pub use run::Prepared;
pub use services::{Lent, Services};
pub use state::{ComponentConfig, ComponentState, ComponentView};
pub use stdio::SinkStream;

pub(crate) use check::{is_handler, is_program};
pub(crate) use standard::Standard;
pub(crate) use start::run;
