//! What the daemon must not forget, and how it is kept.
//!
//! ```text
//! STATE/                 0700, one daemon at a time
//!   lock                 held by the daemon, with its process number
//!   state-1.redb         apps, revisions, events, what blobs there are; the number is the version of the format
//!   blobs/ab/cdef…       bundles by their BLAKE3, 0400
//!   secrets/NAME.age     secrets, encrypted to an identity that lies elsewhere
//!   volumes/IDENTITY/    what apps keep
//! ```
//!
//! A [`StateFolder`] is held first; over its [`Disk`] stand the [`Store`], the [`Blobs`] and the [`Secrets`], and over its
//! path the [`Volumes`]. Every call blocks. A change is there when the call has returned `Ok`, whatever happens to the
//! process or the machine afterwards; after an error of the disk it is there whole or not at all, and the store tells
//! which.
//!
//! It is **not** the place of decisions: which apps run and who may ask is the daemon's.

#![cfg(unix)]
#![forbid(unsafe_code)]

mod blobs;
pub mod disk;
mod error;
mod folder;
mod secrets;
mod store;
mod volumes;

pub use blobs::{
    Arrived, BATCH_BYTES_MAX, BATCH_FILES_MAX, BLOB_GRACE_MS, Batch, Blobs, Collected, Intake, blob_path,
};
pub use disk::{Disk, DiskFile, Entry};
pub use error::{Error, Result};
pub use folder::StateFolder;
pub use secrets::{SECRET_BYTES_MAX, SECRETS_MAX, Secret, SecretEntry, Secrets};
pub use store::{
    AppRecord, BlobRecord, Change, Deployed, Desired, EVENTS_MAX, FORMAT, GENERATIONS_BLOCK, REVISIONS_MAX,
    RevisionRecord, Store, StoredApp,
};
pub use volumes::{Backup, RestoreLimits, VOLUME_DEPTH_MAX, VolumeUsage, Volumes};
