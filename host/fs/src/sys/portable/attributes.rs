//! Attributes and times between the host's form and the guest's.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_fs_ext::{DirExt as _, MetadataExt as _, SystemTimeSpec};
use cap_std::fs::{Dir, Metadata};
use qyv_vfs::{Attributes, Error, FileType, Result, SetTime, Times};

use super::error::{call, error};
use super::{entries, host};
use crate::sys::quota::FileId;

/// What the host knows of a name, a link itself included.
pub(super) fn stat(dir: &Dir, name: &str) -> Result<Metadata> {
    call(|| dir.symlink_metadata(name))
}

pub(super) fn of_file(file: &File) -> Result<Metadata> {
    call(|| Metadata::from_file(file))
}

/// The guest's attributes; `PERM` for a kind of file that is not served.
pub(super) fn attributes(found: &Metadata) -> Result<Attributes> {
    let id = file_id(found);
    let modified = nanoseconds(found.modified().map(cap_std::time::SystemTime::into_std));
    Ok(Attributes {
        device: id.device,
        inode: id.inode,
        kind: kind(found).ok_or(Error::PERM)?,
        links: links(found),
        size: found.len(),
        times: Times {
            accessed: nanoseconds(found.accessed().map(cap_std::time::SystemTime::into_std)),
            modified,
            changed: host::changed(found).unwrap_or(modified),
        },
    })
}

/// The guest's attributes of a name, a link itself included.
pub(super) fn at_name(dir: &Dir, name: &str) -> Result<Attributes> {
    let mut attributes = attributes(&stat(dir, name)?)?;
    // Not every host says how long a target is.
    if attributes.kind == FileType::Symlink && attributes.size == 0 {
        attributes.size = entries::read_link(dir, name)?.len() as u64;
    }
    Ok(attributes)
}

/// The kind, if it is one that is served.
pub(super) fn kind(found: &Metadata) -> Option<FileType> {
    if found.is_symlink() {
        Some(FileType::Symlink)
    } else if found.is_dir() {
        Some(FileType::Directory)
    } else if found.is_file() {
        Some(FileType::Regular)
    } else {
        None
    }
}

pub(super) fn file_id(found: &Metadata) -> FileId {
    FileId { device: found.dev(), inode: found.ino() }
}

pub(super) fn links(found: &Metadata) -> u64 {
    found.nlink()
}

/// Before 1970, or unknown, counts as 1970.
fn nanoseconds(time: std::io::Result<SystemTime>) -> u64 {
    let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Sets the times of a name, of a link itself included.
pub(super) fn set_times_at(dir: &Dir, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
    let [accessed, modified] = time_specs(accessed, modified)?;
    dir.set_symlink_times(name, accessed, modified).map_err(|refused| error(&refused))
}

/// Both times in cap-std's words.
pub(super) fn time_specs(accessed: SetTime, modified: SetTime) -> Result<[Option<SystemTimeSpec>; 2]> {
    let spec = |time| {
        Ok(match time {
            SetTime::Keep => None,
            SetTime::Now => Some(SystemTimeSpec::SymbolicNow),
            SetTime::At(at) => {
                Some(SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(absolute(at)?)))
            }
        })
    };
    Ok([spec(accessed)?, spec(modified)?])
}

/// Both times in the standard library's words.
pub(super) fn file_times(accessed: SetTime, modified: SetTime) -> Result<FileTimes> {
    let mut times = FileTimes::new();
    if let Some(accessed) = chosen(accessed)? {
        times = times.set_accessed(accessed);
    }
    if let Some(modified) = chosen(modified)? {
        times = times.set_modified(modified);
    }
    Ok(times)
}

fn chosen(time: SetTime) -> Result<Option<SystemTime>> {
    match time {
        SetTime::Keep => Ok(None),
        SetTime::Now => Ok(Some(SystemTime::now())),
        SetTime::At(at) => absolute(at).map(Some),
    }
}

fn absolute(nanoseconds: u64) -> Result<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds)).ok_or(Error::INVAL)
}
