//! The bundle, `.qyvbin`: one signed file with an app, its modules and its files. Format: `docs/formats/qyvbin.md`.
//!
//! [`Bundle`] reads one from any [`Source`], in place, without an operating system; [`verify`] says whether a
//! [`TrustStore`] vouches for it. Feature `write` adds the writer, `zstd-c` decompression by the C library, `age`
//! encryption.
//!
//! Principles, in this order:
//!
//! 1. Every number in a bundle is bounded before it is used ([`limits`]); every byte of it is checked.
//! 2. What is signed is what is stored. Nothing is parsed and written again to verify it.
//! 3. There is one way to store a given content: no gaps, no order to choose, no second encoding of a size.

mod app;
mod error;
mod read;
mod source;

pub mod limits;

mod cache;
pub mod frame;
mod header;
mod path;

mod key;
mod pattern;
mod signature;
mod trust;
mod version;

#[cfg(feature = "age")]
pub mod encrypt;
#[cfg(feature = "write")]
mod write;

pub use cache::ChunkCache;
pub use error::{Error, FrameError, PathError, Result};
pub use header::ModuleKind;
pub use key::{KeyError, KeyId, MAX_KEY_FILE_BYTES, MAX_NOTE_BYTES, PublicKey, SecretKey};
pub use path::{check_path, compare_paths};
pub use pattern::{NamePattern, PatternError};
pub use read::{Bundle, FileEntry, Module, Trailer};
pub use signature::{SIGNATURE_DOMAIN, Signature};
pub use source::Source;
pub use trust::{MAX_TRUST_BYTES, MAX_TRUSTED_KEYS, TrustError, TrustStore, TrustedKey, Verdict, verify};
pub use version::{Change, change};
#[cfg(feature = "write")]
pub use write::{Input, WriteError, Writer};

#[cfg(test)]
mod size_tests;
#[cfg(all(test, feature = "write"))]
mod tests;
#[cfg(all(test, feature = "write"))]
mod trust_tests;
