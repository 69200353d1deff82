//! Runs guest programs on every backend and compares what they did with what is expected.
//!
//! A *backend* is one way to give a program its WASI calls: three file systems of the `qyvol` binary, and the core
//! under Node's engine. A *case* is one program with its arguments, files and the end it must come to. The public
//! preview-1 suite is run the same way, from a folder that the caller names.
//!
//! It is **not** a place to look inside: everything here goes through a process, as a person would start it.

mod backend;
mod cases;
mod check;
mod guests;
mod pool;
mod suite;
mod tree;

pub use backend::{Backend, Job, Output, Tools};
pub use cases::{Case, Ending, Files, all as all_cases};
pub use check::{Report, run_cases};
pub use guests::{Guests, Target, preview1_functions};
pub use suite::{SuiteReport, run_suite};
