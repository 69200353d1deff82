//! Blobs on their way in, one or many at a time.
//!
//! Each is written to a draft. Many become safe together: their bytes are synced, then the drafts get their names, then the
//! folders of these are synced; the database learns of all of them in one transaction, which may be that which needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use qyv_spec::app::Hash;

use super::{DRAFT_SUFFIX, FOLDER, Shared, blob_path, place};
use crate::disk::DiskFile;
use crate::store::{BlobRecord, Change, Store};
use crate::{Error, Result};

/// How many drafts of a [`Batch`] are open before they are synced.
pub const BATCH_FILES_MAX: usize = 256;

/// How many bytes of a [`Batch`] are written before they are synced: more would only wait in the kernel's memory.
pub const BATCH_BYTES_MAX: u64 = 64 << 20;

/// A file that is not a blob yet. Dropped before that, it leaves nothing.
#[derive(Debug)]
struct Draft {
    shared: Arc<Shared>,
    hash: Hash,
    path: String,
    kept: bool,
}

impl Draft {
    fn failed(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(format!("store the bundle `{}`", self.hash))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = self.shared.disk.remove(&self.path);
        }
    }
}

/// A blob on its way in. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Intake {
    draft: Draft,
    bytes_max: u64,
    file: Box<dyn DiskFile>,
    hasher: Box<blake3::Hasher>,
    size: u64,
}

impl Intake {
    pub(super) fn begin(shared: &Arc<Shared>, hash: Hash, bytes_max: u64) -> Result<Self> {
        let (folder, name) = place(&hash);
        let number = shared.drafts.fetch_add(1, Ordering::Relaxed);
        let path = format!("{folder}/.{name}.{number}{DRAFT_SUFFIX}");
        let made = shared.disk.create_folder(&folder).and_then(|()| shared.disk.create(&path));
        let file = made.map_err(Error::io(format!("store the bundle `{hash}`")))?;
        let draft = Draft { shared: Arc::clone(shared), hash, path, kept: false };
        Ok(Self { draft, bytes_max, file, hasher: Box::default(), size: 0 })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when there are more than announced; the disk's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let size = self.size + bytes.len() as u64;
        if size > self.bytes_max {
            let what = format!("the bundle `{}`", self.draft.hash);
            return Err(Error::TooLarge { what, limit: self.bytes_max, unit: "bytes" });
        }
        self.file.write_at(self.size, bytes).map_err(self.draft.failed())?;
        self.hasher.update(bytes);
        self.size = size;
        Ok(())
    }

    /// What was written so far, to be looked at before it is kept.
    #[must_use]
    pub fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// Keeps the blob; `app` says for people what is in it. Once more for one that is stored is no error.
    ///
    /// # Errors
    ///
    /// [`Error::WrongHash`] when these are other bytes than announced; the disk's.
    pub fn finish(self, store: &Store, app: &str, now: u64) -> Result<()> {
        let mut batch = Batch::new(&self.draft.shared);
        batch.add(self, app)?;
        let arrived = batch.arrive(now)?;
        store.write(|change| arrived.keep(change))
    }
}

/// Blobs that become safe together. Dropped, they leave nothing.
#[derive(Debug)]
pub struct Batch {
    shared: Arc<Shared>,
    drafts: Vec<(Draft, BlobRecord)>,
    /// Those of the last drafts that are not synced.
    unsynced: Vec<Box<dyn DiskFile>>,
    unsynced_bytes: u64,
}

impl Batch {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), drafts: Vec::new(), unsynced: Vec::new(), unsynced_bytes: 0 }
    }

    /// Adds a blob that is whole; `app` says for people what is in it. Now and then waits for the disk, so that at most
    /// [`BATCH_FILES_MAX`] files are open and about [`BATCH_BYTES_MAX`] bytes wait.
    ///
    /// # Errors
    ///
    /// [`Error::WrongHash`] when these are other bytes than announced; the disk's.
    pub fn add(&mut self, intake: Intake, app: &str) -> Result<()> {
        let Intake { draft, file, hasher, size, bytes_max: _ } = intake;
        let found = Hash(*hasher.finalize().as_bytes());
        if found != draft.hash {
            return Err(Error::WrongHash { expected: draft.hash, found });
        }
        file.set_read_only().map_err(draft.failed())?;
        self.drafts.push((draft, BlobRecord { size, app: app.to_owned(), stored: 0 }));
        self.unsynced.push(file);
        self.unsynced_bytes += size;
        if self.unsynced.len() >= BATCH_FILES_MAX || self.unsynced_bytes >= BATCH_BYTES_MAX {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.unsynced);
        self.unsynced_bytes = 0;
        self.shared.disk.sync_files(&files).map_err(Error::io("store bundles"))
    }

    /// Gives all of them their names and makes these safe. They are blobs once [`Arrived::keep`] is in the database.
    ///
    /// # Errors
    ///
    /// The disk's: then nobody knows of any, and the next start removes what is left.
    pub fn arrive(mut self, now: u64) -> Result<Arrived> {
        self.sync()?;
        let disk = &self.shared.disk;
        let _turn = self.shared.turn();
        let mut arrived = Arrived { shared: Arc::clone(&self.shared), blobs: BTreeMap::new() };
        let mut folders = BTreeSet::new();
        for (mut draft, record) in self.drafts.drain(..) {
            arrived.add(draft.hash, BlobRecord { stored: now, ..record });
            disk.rename(&draft.path, &blob_path(&draft.hash)).map_err(draft.failed())?;
            draft.kept = true;
            folders.insert(place(&draft.hash).0);
        }
        for folder in &folders {
            disk.sync_folder(folder).map_err(Error::io(format!("sync the folder `{folder}`")))?;
        }
        if !folders.is_empty() {
            // Always: who made one of those folders may have been killed before this.
            disk.sync_folder(FOLDER).map_err(Error::io(format!("sync the folder `{FOLDER}`")))?;
        }
        Ok(arrived)
    }
}

/// Blobs whose files are safe, and which the database may not know yet. While this is held, nobody removes them.
#[derive(Debug)]
pub struct Arrived {
    shared: Arc<Shared>,
    blobs: BTreeMap<Hash, BlobRecord>,
}

impl Arrived {
    fn add(&mut self, hash: Hash, record: BlobRecord) {
        if self.blobs.insert(hash, record).is_none() {
            *self.shared.arrived().entry(hash).or_insert(0) += 1;
        }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn has(&self, hash: &Hash) -> bool {
        self.blobs.contains_key(hash)
    }

    /// Makes the database know them. To be held until that change is over.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn keep(&self, change: &mut Change<'_>) -> Result<()> {
        self.blobs.iter().try_for_each(|(hash, record)| change.put_blob(hash, record))
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let mut arrived = self.shared.arrived();
        for hash in self.blobs.keys() {
            if let Some(count) = arrived.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    arrived.remove(hash);
                }
            }
        }
    }
}
