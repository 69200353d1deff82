//! Bundles by their hash, one file each.
//!
//! A blob's file is safe before the database knows of it, and the database has forgotten it before its file goes: whatever
//! is cut off leaves a file too much, which the next start removes, and never a row without its file. Which blobs are needed
//! is read from the revisions each time. Those that have [`Arrived`] and are not in the database yet are nobody's to remove.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_spec::app::Hash;

use crate::disk::{Disk, DiskFile};
use crate::store::{BlobRecord, Store};
use crate::{Error, Result};

mod intake;

pub use intake::{Arrived, BATCH_BYTES_MAX, BATCH_FILES_MAX, Batch, Intake};

/// How long a blob is kept that nothing needs yet, in milliseconds: time to deploy what was uploaded.
pub const BLOB_GRACE_MS: u64 = 60 * 60 * 1000;

const FOLDER: &str = "blobs";

/// What files are called that are not whole yet.
const DRAFT_SUFFIX: &str = ".draft";

/// The blobs of a state.
#[derive(Debug)]
pub struct Blobs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    /// Numbers drafts, so that two uploads of the same bytes do not meet.
    drafts: AtomicU64,
    /// Held while a file and its row come or go, so that nobody sees one without the other.
    turn: Mutex<()>,
    /// What has arrived and may not be in the database yet, and how often. Held by nobody who waits for something else.
    arrived: Mutex<BTreeMap<Hash, usize>>,
}

/// What [`Blobs::collect`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Blobs {
    /// The blobs beside `store`, on the same disk. What earlier processes have begun and not finished is removed.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn open(disk: Arc<dyn Disk>, store: &Store) -> Result<Self> {
        let failed = || Error::io("clean up the folder `blobs`");
        let known = store.blobs()?;
        // What else lies there is none of ours.
        let ours = |name: &str| name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit());
        for folder in disk.list(FOLDER).map_err(failed())?.into_iter().filter(|folder| ours(&folder.name)) {
            let folder = format!("{FOLDER}/{}", folder.name);
            for entry in disk.list(&folder).map_err(failed())? {
                let path = format!("{folder}/{}", entry.name);
                if known.binary_search_by(|(hash, _)| blob_path(hash).cmp(&path)).is_err() {
                    disk.remove(&path).map_err(failed())?;
                }
            }
        }
        let shared =
            Shared { disk, drafts: AtomicU64::new(0), turn: Mutex::default(), arrived: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins to take in the blob `hash` of at most `bytes_max` bytes. May go on in another thread.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn begin(&self, hash: Hash, bytes_max: u64) -> Result<Intake> {
        Intake::begin(&self.shared, hash, bytes_max)
    }

    /// Begins to take in blobs that become safe together.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(&self.shared)
    }

    /// When the blob is stored: begins its time of grace anew, as if it had been uploaded now, and tells that it is.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn renew(&self, store: &Store, hash: &Hash, now: u64) -> Result<bool> {
        let _turn = self.shared.turn();
        let Some(blob) = self.stored(store, hash)? else { return Ok(false) };
        store.write(|change| change.put_blob(hash, &BlobRecord { stored: now, ..blob }))?;
        Ok(true)
    }

    /// What is known of a blob that is stored, and whose file is there. One that something else has removed or cut is to be
    /// uploaded again.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn stored(&self, store: &Store, hash: &Hash) -> Result<Option<BlobRecord>> {
        let Some(blob) = store.blob(hash)? else { return Ok(None) };
        let size = self.shared.disk.open(&blob_path(hash), false).and_then(|file| file.len());
        Ok((size.ok() == Some(blob.size)).then_some(blob))
    }

    /// The bytes of a blob. They are not hashed again: a bundle's reader does that, part by part.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when it is not stored.
    pub fn open_blob(&self, hash: &Hash) -> Result<Box<dyn DiskFile>> {
        self.shared.disk.open(&blob_path(hash), false).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(format!("bundle `{hash}`")),
            _ => Error::Io { what: format!("open the bundle `{hash}`"), source: error },
        })
    }

    /// Removes the blobs that no kept revision needs, that are not just arriving, and that were uploaded more than `grace`
    /// milliseconds ago ([`BLOB_GRACE_MS`], or 0 when somebody asks for it).
    ///
    /// # Errors
    ///
    /// The disk's. What was removed from the database then leaves its file to the next start.
    pub fn collect(&self, store: &Store, now: u64, grace: u64) -> Result<Collected> {
        let _turn = self.shared.turn();
        // Before `now - grace`; with no grace all of them, those of a clock that was ahead too.
        let before = if grace == 0 { u64::MAX } else { now.saturating_sub(grace) };
        let old = |hash: &Hash, blob: &BlobRecord| blob.stored < before && !self.shared.arriving(hash);
        let forgotten = store.write(|change| change.forget_blobs(old))?;
        self.clear(forgotten)
    }

    /// Removes one blob; `None` when a kept revision needs it, or it is just arriving.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; the disk's, as of [`Self::collect`].
    pub fn remove(&self, store: &Store, hash: &Hash) -> Result<Option<Collected>> {
        let _turn = self.shared.turn();
        if store.blob(hash)?.is_none() {
            return Err(Error::NotFound(format!("bundle `{hash}`")));
        }
        let this = |found: &Hash, _: &BlobRecord| found == hash && !self.shared.arriving(hash);
        let forgotten = store.write(|change| change.forget_blobs(this))?;
        if forgotten.is_empty() { Ok(None) } else { self.clear(forgotten).map(Some) }
    }

    /// Removes the files of blobs that the database has forgotten.
    fn clear(&self, forgotten: Vec<(Hash, BlobRecord)>) -> Result<Collected> {
        let mut collected = Collected::default();
        for (hash, blob) in forgotten {
            match self.shared.disk.remove(&blob_path(&hash)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Io { what: format!("remove the bundle `{hash}`"), source: error });
                }
                _ => {}
            }
            collected.blobs += 1;
            collected.bytes += blob.size;
        }
        Ok(collected)
    }
}

impl Shared {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self) -> MutexGuard<'_, BTreeMap<Hash, usize>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arriving(&self, hash: &Hash) -> bool {
        self.arrived().contains_key(hash)
    }
}

/// Where a blob lies beneath the state folder: `blobs/ab/cdef…`.
#[must_use]
pub fn blob_path(hash: &Hash) -> String {
    let (folder, name) = place(hash);
    format!("{folder}/{name}")
}

fn place(hash: &Hash) -> (String, String) {
    let mut name = hash.to_string();
    let rest = name.split_off(2);
    (format!("{FOLDER}/{name}"), rest)
}
