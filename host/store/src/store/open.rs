//! Opening the database: the right version, whole, or not at all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError};

use super::backend::Backend;
use super::{APPS, BLOBS, EVENTS, FORMAT, META, META_FORMAT, META_ID, REVISIONS};
use crate::disk::Disk;
use crate::{Error, Result};

/// Memory for pages: the state of some thousand apps.
const CACHE_BYTES: usize = 8 << 20;

/// What the database is called in this version. The number is in the name so that a newer one is never even opened.
pub(super) fn file_name(format: u32) -> String {
    format!("state-{format}.redb")
}

/// Where a new database is put together: redb alone cannot be cut off in its first moments.
const DRAFT: &str = "state.draft";

/// What stands beside the database.
const FOLDERS: [&str; 3] = ["blobs", "secrets", "volumes"];

/// Opens the database on `disk`, made when nothing was ever stored there.
pub(super) fn database(disk: &dyn Disk, sync_failed: &Arc<AtomicBool>) -> Result<Database> {
    let read = || Error::io("read the state folder");
    let entries = disk.list("").map_err(read())?;
    let newest = entries.iter().filter_map(|entry| version_of(&entry.name)).max();
    match newest {
        Some(found) if found > FORMAT => {
            return Err(Error::Newer {
                what: format!("the state (`{}`)", file_name(found)),
                found,
                known: FORMAT,
            });
        }
        // There is no older one yet; when there is, it is migrated into a new file here and left as it was.
        Some(_) => {}
        None => {
            refuse_remains(disk)?;
            create(disk, sync_failed)?;
        }
    }
    for folder in FOLDERS {
        disk.create_folder(folder).map_err(Error::io(format!("make the folder `{folder}`")))?;
    }
    // Always: a process that was killed may have made the names, and not have come to this.
    disk.sync_folder("").map_err(Error::io("sync the state folder"))?;
    if entries.iter().any(|entry| entry.name == DRAFT) && newest.is_some() {
        disk.remove(DRAFT).map_err(Error::io(format!("remove `{DRAFT}`")))?;
    }
    let database = open(disk, &file_name(FORMAT), sync_failed)?;
    check_format(&database)?;
    Ok(database)
}

fn version_of(name: &str) -> Option<u32> {
    name.strip_prefix("state-")?.strip_suffix(".redb")?.parse().ok()
}

/// A database that vanished is not begun anew: what it knew of would be forgotten, and collected.
fn refuse_remains(disk: &dyn Disk) -> Result<()> {
    for folder in FOLDERS {
        let entries = disk.list(folder).map_err(Error::io(format!("read the folder `{folder}`")))?;
        // Drafts and the like are no remains of anything that was acknowledged.
        for entry in entries.into_iter().filter(|entry| !entry.name.starts_with('.')) {
            let found = format!("{folder}/{}", entry.name);
            // Folders for blobs are made before there is one.
            let empty = folder == "blobs" && disk.list(&found).is_ok_and(|blobs| blobs.is_empty());
            if !empty {
                return Err(Error::Missing { database: file_name(FORMAT), found });
            }
        }
    }
    Ok(())
}

fn create(disk: &dyn Disk, sync_failed: &Arc<AtomicBool>) -> Result<()> {
    let making = || Error::io(format!("make `{}`", file_name(FORMAT)));
    match disk.remove(DRAFT) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(making()(error)),
        _ => {}
    }
    let file = disk.create(DRAFT).map_err(making())?;
    let backend = Backend { file, sync_failed: sync_failed.clone() };
    let database = builder().create_with_backend(backend).map_err(from_open(DRAFT, sync_failed))?;
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT.to_string().as_str())?;
        meta.insert(META_ID, random_id().map_err(making())?.as_str())?;
        // Readers may then open every table.
        write.open_table(APPS)?;
        write.open_table(REVISIONS)?;
        write.open_table(EVENTS)?;
        write.open_table(BLOBS)?;
    }
    write.commit()?;
    database.close().map_err(from_open(DRAFT, sync_failed))?;
    disk.rename(DRAFT, &file_name(FORMAT)).map_err(making())
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if got != bytes.len() {
        return Err(io::Error::other("the system gave too little randomness"));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    // Checked whole at each start: redb may panic later over pages that something else has changed.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open(disk: &dyn Disk, name: &str, sync_failed: &Arc<AtomicBool>) -> Result<Database> {
    let file = disk.open(name, true).map_err(Error::io(format!("open `{name}`")))?;
    // redb would fill an empty file with a new database.
    if file.len().map_err(Error::io(format!("open `{name}`")))? == 0 {
        return Err(Error::corrupt(format!("`{name}`"), "it is empty"));
    }
    let backend = Backend { file, sync_failed: sync_failed.clone() };
    builder().create_with_backend(backend).map_err(from_open(name, sync_failed))
}

fn from_open(name: &str, sync_failed: &Arc<AtomicBool>) -> impl FnOnce(DatabaseError) -> Error {
    let (what, failed) = (format!("`{name}`"), sync_failed.load(Ordering::Relaxed));
    move |error| match error {
        _ if failed => Error::Unconfirmed,
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Error::corrupt(what, "it is cut off")
        }
        // What it says of a file that is none of its own.
        DatabaseError::Storage(StorageError::Io(source))
            if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
        {
            Error::corrupt(what, source)
        }
        DatabaseError::Storage(StorageError::Io(source)) => {
            Error::Io { what: format!("open {what}"), source }
        }
        other => Error::corrupt(what, other),
    }
}

fn check_format(database: &Database) -> Result<()> {
    let what = format!("`{}`", file_name(FORMAT));
    let meta = database.begin_read()?.open_table(META)?;
    match meta.get(META_FORMAT)?.map(|value| value.value().parse::<u32>()) {
        Some(Ok(FORMAT)) => Ok(()),
        Some(Ok(found)) if found > FORMAT => Err(Error::Newer { what, found, known: FORMAT }),
        _ => Err(Error::corrupt(what, "it does not say its version")),
    }
}
