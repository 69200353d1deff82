//! Opening files without touching what is not served.

use std::fs::File;

use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, Metadata, OpenOptions as HostOptions};
use qyv_vfs::{Error, FileType, OpenOptions, Result};

use super::attributes::{file_id, kind, of_file, stat};
use super::error::call;
use super::handle::Open;
use super::host;
use crate::sys::growth::Limits;

/// Finds what `name` is in `dir`, whatever its kind.
pub(super) fn find(dir: &Dir, name: &str) -> Result<Open> {
    let found = stat(dir, name)?;
    match kind(&found) {
        Some(FileType::Directory) => return open_dir(dir, name).map(Open::dir),
        // Open, a file lives on when its name goes; but who may see it may not always read it.
        Some(FileType::Regular) => {
            if let Ok((open, _)) = open_file(dir, name, &OpenOptions::default(), New::No) {
                return Ok(open);
            }
        }
        _ => {}
    }
    Ok(Open::Name { dir: call(|| dir.try_clone())?, name: name.to_owned(), id: file_id(&found) })
}

/// Opens `name`: `Regular` or `Directory`. A FIFO, socket or device is looked at first and not opened; one that takes
/// the place of a file just then is opened without waiting, looked at and closed.
pub(super) fn open(
    dir: &Dir,
    name: &str,
    options: &OpenOptions,
    limits: &mut Limits,
) -> Result<(Open, FileType)> {
    if options.directory {
        return open_directory(dir, name, options);
    }
    if options.create && options.exclusive {
        let (open, _) = limits.charged(|| open_file(dir, name, options, New::Only))?;
        return Ok((open, FileType::Regular));
    }
    let there = match stat(dir, name) {
        Ok(found) if !options.mutates() && kind(&found) == Some(FileType::Directory) => {
            return Ok((Open::dir(open_dir(dir, name)?), FileType::Directory));
        }
        Ok(found) => regular(&found).and_then(|()| open_file(dir, name, options, New::No)),
        Err(error) => Err(error),
    };
    let (open, found) = match there {
        Err(Error::NOENT) if options.create => {
            limits.charged(|| open_file(dir, name, options, New::Maybe))?
        }
        there => there?,
    };
    // It may be another file than a moment ago, so it is emptied here and not on opening.
    if let Open::File { file, .. } = &open
        && options.truncate
        && found.len() > 0
    {
        call(|| file.set_len(0))?;
        if let Some(quota) = &mut limits.quota {
            quota.bytes.give_back(found.len());
        }
    }
    Ok((open, FileType::Regular))
}

/// Whether an open makes a file.
#[derive(Clone, Copy)]
enum New {
    No,
    Maybe,
    Only,
}

/// Opens a regular file, and tells what it is.
fn open_file(dir: &Dir, name: &str, options: &OpenOptions, new: New) -> Result<(Open, Metadata)> {
    // Emptying and creating need a file that may be written, also for a guest that may not.
    let write = options.write || options.truncate || !matches!(new, New::No);
    let read = options.read || !write;
    let mut plain = HostOptions::new();
    plain.read(read).write(write).follow(FollowSymlinks::No).nonblock(true);
    match new {
        New::No => {}
        New::Maybe => _ = plain.create(true),
        New::Only => _ = plain.create_new(true),
    }
    let opened = match host::with_times(&plain, read, write) {
        // Who may read or write a file may not always set its times.
        Some(more) => match call(|| dir.open_with(name, &more)) {
            Err(Error::ACCES) => call(|| dir.open_with(name, &plain)),
            opened => opened,
        },
        None => call(|| dir.open_with(name, &plain)),
    };
    let file: File = opened?.into_std();
    let found = of_file(&file)?;
    regular(&found)?;
    let id = file_id(&found);
    Ok((Open::File { file, read: options.read, write: options.write, id }, found))
}

/// Opens a directory for itself or for a base of names.
fn open_directory(dir: &Dir, name: &str, options: &OpenOptions) -> Result<(Open, FileType)> {
    if options.create {
        return Err(Error::INVAL);
    }
    let opened = open_dir(dir, name)?;
    if options.write || options.truncate {
        return Err(Error::ISDIR);
    }
    Ok((Open::dir(opened), FileType::Directory))
}

/// `NOTDIR` also for a link, as the contract has it.
fn open_dir(dir: &Dir, name: &str) -> Result<Dir> {
    call(|| dir.open_dir_nofollow(name))
        .map_err(|error| if error == Error::LOOP { Error::NOTDIR } else { error })
}

fn regular(found: &Metadata) -> Result<()> {
    match kind(found) {
        Some(FileType::Regular) => Ok(()),
        Some(FileType::Directory) => Err(Error::ISDIR),
        Some(FileType::Symlink) => Err(Error::LOOP),
        None => Err(Error::PERM),
    }
}
