//! The logs of apps: a worker writes what its instances print, the daemon reads and follows it.
//!
//! A log is a text file of records, one a line (`docs/formats/log.md`), and up to [`KEPT`] older ones beside it. It never
//! holds more than its limit, whatever an app prints, and an app that prints never waits for the disk: what comes faster
//! than the log takes it is dropped by lines, counted, and said so in the log itself.

mod bucket;
mod lines;
mod reader;
mod record;
mod rotation;
mod writer;

pub use reader::{Follower, LogReader};
pub use record::{LINE_BYTES_MAX, Record, Stream};
pub use rotation::{KEPT, files};
pub use writer::{Counters, LogOptions, LogStream, LogWriter};
