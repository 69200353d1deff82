//! The database: apps, their revisions, events, and which blobs there are.
//!
//! One file of redb. A write is one transaction, confirmed by the disk, however much it changes: that is how a thousand apps
//! are deployed at once. Readers see whole transactions only.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyvol_protocol::api::Event;
use redb::{
    AccessGuard, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};

use crate::disk::Disk;
use crate::{Error, Result};

mod backend;
mod change;
mod open;
mod records;

pub use change::{Change, Deployed};
pub use records::{AppRecord, BlobRecord, Desired, RevisionRecord, StoredApp};

/// The version of the state's format. A newer one is refused untouched.
pub const FORMAT: u32 = 1;

/// How many revisions of an app are kept, the one that runs among them.
pub const REVISIONS_MAX: usize = 10;

/// How many events are kept.
pub const EVENTS_MAX: u64 = 10_000;

/// How many generations are reserved at once: so many starts of an app cost one sync.
pub const GENERATIONS_BLOCK: u64 = 64;

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const APPS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("apps");
const REVISIONS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("revisions");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const BLOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("blobs");

/// The version of the format, in decimal like every number here.
const META_FORMAT: &str = "format";
/// 32 hexadecimal digits that are this state's alone.
const META_ID: &str = "id";
/// How often a daemon has started on it.
const META_LEASE: &str = "lease";
/// The number of the last event.
const META_EVENT: &str = "event";
/// The first generation of an app that is new: no removed one had a higher.
const META_GENERATION: &str = "generation";

/// The durable state. Calls wait for each other.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    /// `None` after the disk has refused something: opened anew at the next call.
    database: Mutex<Option<Database>>,
    sync_failed: Arc<AtomicBool>,
    id: String,
}

impl Store {
    /// Opens the state on `disk`, made when nothing was ever stored there. It is read and checked whole.
    ///
    /// # Errors
    ///
    /// [`Error::Newer`] and [`Error::Corrupt`], by which nothing is changed; [`Error::Missing`].
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let sync_failed = Arc::new(AtomicBool::new(false));
        let database = open::database(&*disk, &sync_failed)?;
        let mut store = Self { disk, database: Mutex::new(Some(database)), sync_failed, id: String::new() };
        store.id = store.read(|read| {
            let id = read.open_table(META)?.get(META_ID)?.map(|value| value.value().to_owned());
            id.ok_or_else(|| Error::corrupt("the state", "it has no id"))
        })?;
        Ok(store)
    }

    /// 32 hexadecimal digits that are this state's alone.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Counts a start of the daemon, from 1: what an older process holds is told apart by it.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn next_lease(&self) -> Result<u64> {
        self.write(|change| change.count(META_LEASE))
    }

    /// Changes the state: all that `change` does, or nothing when it fails. One transaction, however much it is. Within
    /// `change` the store itself is not to be called: it would wait for itself.
    ///
    /// # Errors
    ///
    /// Those of `change`. After [`Error::Io`] the change is there whole or not at all; the next call finds out. After
    /// [`Error::Unconfirmed`] every call fails so.
    pub fn write<T>(&self, change: impl FnOnce(&mut Change<'_>) -> Result<T>) -> Result<T> {
        let mut slot = self.database()?;
        let done = slot.as_ref().map_or(Err(Error::Unconfirmed), |database| {
            let write = database.begin_write()?;
            let value = {
                let mut tables = Change::new(&write)?;
                change(&mut tables)?
            };
            write.commit()?;
            Ok(value)
        });
        self.settle(&mut slot, done)
    }

    /// Every app with the revision that is to run, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn apps(&self) -> Result<Vec<StoredApp>> {
        self.read(|read| {
            let (apps, revisions) = (read.open_table(APPS)?, read.open_table(REVISIONS)?);
            let mut list = Vec::new();
            for row in apps.iter()? {
                let (key, value) = row?;
                let app: AppRecord = records::decode(|| format!("the app `{}`", key.value()), value.value())?;
                let revision = revisions.get((key.value(), app.revision))?;
                list.push(stored_app(key.value(), app, revision.as_ref().map(AccessGuard::value))?);
            }
            Ok(list)
        })
    }

    /// One app with the revision that is to run.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn app(&self, name: &Name) -> Result<Option<StoredApp>> {
        self.read(|read| {
            let Some(value) = read.open_table(APPS)?.get(name.as_str())? else { return Ok(None) };
            let app: AppRecord = records::decode(|| format!("the app `{name}`"), value.value())?;
            let revision = read.open_table(REVISIONS)?.get((name.as_str(), app.revision))?;
            stored_app(name.as_str(), app, revision.as_ref().map(AccessGuard::value)).map(Some)
        })
    }

    /// The revisions of an app that are kept, newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn revisions(&self, name: &Name) -> Result<Vec<(u64, RevisionRecord)>> {
        self.read(|read| {
            let table = read.open_table(REVISIONS)?;
            let mut list = Vec::new();
            for row in table.range((name.as_str(), 0)..=(name.as_str(), u64::MAX))?.rev() {
                let (key, value) = row?;
                let number = key.value().1;
                let what = || format!("revision {number} of `{name}`");
                list.push((number, records::decode(what, value.value())?));
            }
            Ok(list)
        })
    }

    /// Events with a number above `after`, oldest first, at most `limit`. When the first of them is not `after + 1`, those
    /// between are forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.read(|read| {
            let table = read.open_table(EVENTS)?;
            let mut list = Vec::new();
            for row in table.range(after.saturating_add(1)..)?.take(limit) {
                let (key, value) = row?;
                list.push(records::decode(|| format!("event {}", key.value()), value.value())?);
            }
            Ok(list)
        })
    }

    /// The number of the last event, 0 before the first.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn last_event(&self) -> Result<u64> {
        self.read(|read| change::number(&read.open_table(META)?, META_EVENT))
    }

    /// Every blob that is stored.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn blobs(&self) -> Result<Vec<(Hash, BlobRecord)>> {
        self.read(|read| {
            let mut list = Vec::new();
            for row in read.open_table(BLOBS)?.iter()? {
                let (key, value) = row?;
                let blob = records::decode(|| format!("the blob `{}`", key.value()), value.value())?;
                list.push((records::hash(key.value())?, blob));
            }
            Ok(list)
        })
    }

    /// One blob, when it is stored.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn blob(&self, hash: &Hash) -> Result<Option<BlobRecord>> {
        self.read(|read| {
            let value = read.open_table(BLOBS)?.get(hash.to_string().as_str())?;
            value.map(|value| records::decode(|| format!("the blob `{hash}`"), value.value())).transpose()
        })
    }

    /// The blobs that a kept revision of some app needs.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn blobs_in_use(&self) -> Result<BTreeSet<Hash>> {
        self.read(|read| change::blobs_in_use(&read.open_table(REVISIONS)?))
    }

    fn read<T>(&self, get: impl FnOnce(&ReadTransaction) -> Result<T>) -> Result<T> {
        let mut slot = self.database()?;
        let got = slot.as_ref().map_or(Err(Error::Unconfirmed), |database| get(&database.begin_read()?));
        self.settle(&mut slot, got)
    }

    /// The database, opened anew when the disk has refused something before.
    fn database(&self) -> Result<MutexGuard<'_, Option<Database>>> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(Error::Unconfirmed);
        }
        if slot.is_none() {
            *slot = Some(open::database(&*self.disk, &self.sync_failed)?);
        }
        Ok(slot)
    }

    /// After an error of the disk redb answers nothing more: what it has stored is found by opening it again.
    fn settle<T>(&self, slot: &mut Option<Database>, result: Result<T>) -> Result<T> {
        if matches!(result, Err(Error::Io { .. })) {
            *slot = None;
            if self.sync_failed.load(Ordering::Relaxed) {
                return Err(Error::Unconfirmed);
            }
        }
        result
    }
}

fn stored_app(name: &str, app: AppRecord, revision: Option<&[u8]>) -> Result<StoredApp> {
    let what = || format!("revision {} of `{name}`", app.revision);
    let revision = revision.ok_or_else(|| Error::corrupt(what(), "it is missing"))?;
    Ok(StoredApp { name: records::name(name)?, revision: records::decode(what, revision)?, app })
}

/// What redb says, by whichever of its types.
macro_rules! from_redb {
    ($($type:ident),*) => {$(
        impl From<redb::$type> for Error {
            fn from(error: redb::$type) -> Self {
                from_redb(error.into())
            }
        }
    )*};
}

from_redb!(CommitError, StorageError, TableError, TransactionError);

fn from_redb(error: redb::Error) -> Error {
    let what = || "use the state".to_owned();
    match error {
        redb::Error::Io(source) => Error::Io { what: what(), source },
        redb::Error::PreviousIo => {
            let source = std::io::Error::other("the disk has refused something before");
            Error::Io { what: what(), source }
        }
        other => Error::corrupt("the state", other),
    }
}
