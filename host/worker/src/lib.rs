//! Runs instances of apps in one process, for the daemon.

#![cfg(target_os = "linux")]

mod executor;

pub use executor::{Executor, Meter, Task};
