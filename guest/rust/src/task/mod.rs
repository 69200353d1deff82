//! A small executor: one thread, many tasks, one `poll` for all that they wait for.
//!
//! ```
//! use std::time::Duration;
//! use qyv::task::{sleep, timeout};
//!
//! let sum = qyv::block_on(async {
//!     let two = qyv::spawn(async {
//!         sleep(Duration::from_millis(2)).await;
//!         2
//!     });
//!     let one = async { 1 };
//!     one.await + two.await
//! });
//! assert_eq!(sum, 3);
//!
//! let never = timeout(Duration::from_millis(1), std::future::pending::<()>());
//! assert_eq!(qyv::block_on(never), None);
//! ```

mod executor;

mod reactor;

mod race;

pub use executor::{Task, Wait, block_on, spawn};
pub use race::{Either, race, timeout};
pub(crate) use reactor::{Interest, ready};
pub use reactor::{Sleep, sleep, sleep_until};

#[cfg(test)]
mod tests;
