//! Opening files without touching what is not served.

use std::os::fd::BorrowedFd;

use qyv_vfs::{Error, FileType, OpenOptions, Result};
use rustix::fs::{OFlags, Stat};

use super::attributes::{file_id, kind, size};
use super::handle::{Open, Role};
use super::resolve::{Place, stat};
use crate::sys::errno::call;
use crate::sys::growth::Limits;
use crate::sys::quota::FileId;

/// Opens what is at `place`: `Regular` or `Directory`.
///
/// A FIFO, socket or device is never opened for writing: its kind is looked up before, in a call of its own. For
/// reading, looking first would cost a call on every open; it is opened with `O_NONBLOCK`, which waits for nobody,
/// looked at and closed. `O_NONBLOCK` then stays on the descriptor: it changes nothing for regular files.
pub(super) fn open(
    dir: BorrowedFd<'_>,
    place: Place<'_>,
    options: &OpenOptions,
    limits: &mut Limits,
) -> Result<(Open, FileType)> {
    if options.directory {
        return open_directory(dir, place, options);
    }
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY | access(options);
    if options.create && options.exclusive {
        flags |= OFlags::CREATE | OFlags::EXCL;
        let fd = limits.charged(|| place.open(dir, flags))?;
        let id = if limits.quota.is_some() { Some(file_id(&stat(&fd)?)) } else { None };
        return Ok((file(fd, options, id), FileType::Regular));
    }
    if !options.mutates() {
        let fd = place.open(dir, flags)?;
        let found = stat(&fd)?;
        return match kind(&found) {
            Some(FileType::Regular) => {
                let id = limits.quota.as_ref().map(|_| file_id(&found));
                Ok((file(fd, options, id), FileType::Regular))
            }
            Some(FileType::Directory) => Ok((Open::new(fd, Role::Directory), FileType::Directory)),
            _ => Err(Error::PERM),
        };
    }
    let missing = match place.stat(dir) {
        Ok(found) => regular(&found).map(|()| false)?,
        // Creating has errors of its own, such as ISDIR for slashes after a name: the kernel's to find out.
        Err(_) if options.create => true,
        Err(error) => return Err(error),
    };
    open_changing(dir, place, options, flags, missing, limits)
}

/// The second half of an open that may change the file: what was there a moment ago is regular, or `missing`.
fn open_changing(
    dir: BorrowedFd<'_>,
    place: Place<'_>,
    options: &OpenOptions,
    mut flags: OFlags,
    missing: bool,
    limits: &mut Limits,
) -> Result<(Open, FileType)> {
    if options.create {
        flags |= OFlags::CREATE;
    }
    let fd = if missing { limits.charged(|| place.open(dir, flags))? } else { place.open(dir, flags)? };
    // It may be another file than a moment ago, so it is emptied here and not by the kernel on opening.
    let found = stat(&fd)?;
    regular(&found)?;
    let before = size(&found);
    if options.truncate && before > 0 {
        call(|| rustix::fs::ftruncate(&fd, 0))?;
        if let Some(quota) = &mut limits.quota {
            quota.bytes.give_back(before);
        }
    }
    let id = limits.quota.as_ref().map(|_| file_id(&found));
    Ok((file(fd, options, id), FileType::Regular))
}

/// Opens a directory for itself or for a base of names.
fn open_directory(dir: BorrowedFd<'_>, place: Place<'_>, options: &OpenOptions) -> Result<(Open, FileType)> {
    if options.create {
        return Err(Error::INVAL);
    }
    // NOTDIR also for a link that may not be followed, as the kernel has it.
    let fd = place.open(dir, OFlags::RDONLY | OFlags::DIRECTORY)?;
    if options.write || options.truncate {
        return Err(Error::ISDIR);
    }
    Ok((Open::new(fd, Role::Directory), FileType::Directory))
}

/// Emptying needs a descriptor that may write, also for a guest that may not.
fn access(options: &OpenOptions) -> OFlags {
    match (options.read, options.write || options.truncate) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    }
}

fn file(fd: std::os::fd::OwnedFd, options: &OpenOptions, id: Option<FileId>) -> Open {
    Open::new(fd, Role::File { read: options.read, write: options.write, id })
}

fn regular(found: &Stat) -> Result<()> {
    match kind(found) {
        Some(FileType::Regular) => Ok(()),
        Some(FileType::Directory) => Err(Error::ISDIR),
        Some(FileType::Symlink) => Err(Error::LOOP),
        None => Err(Error::PERM),
    }
}
