//! The Rust SDK of Qyvol: reach other apps by the name of a service, and be reached.
//!
//! ```no_run
//! # async fn example() {
//! let conn = qyv::net::connect("service://logger").await;
//! conn.send("mensaje de prueba").await;
//! # }
//! ```
//!
//! (`rustc` warns that nobody looks at the result of `send`. When it was a failure, the program says so at run time too,
//! on standard error: see [`Error`].)
//!
//! * [`net`]: [connections](net::Connection) to services, and [listeners](net::Listener) for what the app itself offers.
//! * [`block_on`], [`task`]: a small executor, so that one program waits for many connections and timers at once.
//! * [`Wait`]: the same without `async`: everywhere `.await` can be written, `.wait()` can.
//! * [`exec`], [`system`]: starting programs, and looking after the other apps of the machine.
//! * [`secrets`]: what the operator gave this app to keep.
//!
//! Arguments, environment, files, clocks and random numbers are those of the standard library.
//!
//! # Without `async`
//!
//! ```no_run
//! use qyv::{Wait, net};
//!
//! fn main() -> Result<(), qyv::Error> {
//!     let logger = net::try_connect("service://logger").wait()?;
//!     logger.send("mensaje de prueba").wait()
//! }
//! ```
//!
//! # What it is not
//!
//! It calls nothing that is Qyvol's own. Underneath are files, sockets and `poll` as WASI has them (`docs/abi.md`), so
//! that a program can do the same without this crate, and any executor can run the futures that it makes itself. The futures
//! of [`net`] and of [`task::sleep`] need [`block_on`]. It is made for one thread, as programs for WASI are.
//!
//! It is built for `wasm32-wasip1` and `wasm32-wasip2`. On Unix it compiles too, so that programs can be checked and tested
//! there, but no service can be reached: dialling fails with [`ErrorKind::NoServices`].

#[cfg(not(any(unix, target_os = "wasi")))]
compile_error!("build for WebAssembly: `cargo build --target wasm32-wasip1`");

pub mod exec;

pub mod net;

pub mod system;

pub mod task;

pub mod secrets;

mod error;

mod sys;

pub use error::{Error, ErrorKind};
pub use task::{Wait, block_on, spawn};
