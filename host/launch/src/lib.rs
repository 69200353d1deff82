//! Puts together the files that an app sees, from what it was granted: for `qyvol run` and for the daemon's workers, so
//! that an app sees the same under both.
//!
//! It decides nothing: folders come in open, limits come in capped.

pub mod archive;
mod bundle;
mod preload;
mod shared;
mod tree;

pub use bundle::BundleFiles;
pub use shared::Around;
pub use tree::{Error, Files, SharedTree, Show, SystemClock, Tree};
