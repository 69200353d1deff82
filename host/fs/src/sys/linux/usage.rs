//! Counting what a folder holds.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use qyv_vfs::FileType;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::attributes::{file_id, kind, size};
use crate::sys::quota::Usage;

/// Bytes and names in a folder.
///
/// Only one folder is open at a time, and no path is made: a guest may have made trees deeper than either allows.
pub(super) fn usage(root: BorrowedFd<'_>) -> io::Result<Usage> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut usage = Usage::default();
    let mut folder = rustix::fs::openat(root, ".", flags, Mode::empty())?;
    let mut inner = count(&folder, &mut usage)?;
    // The folders on the way down, each with those in it that are left.
    let mut above = Vec::new();
    loop {
        if let Some(name) = inner.pop() {
            let next = rustix::fs::openat(&folder, &name, flags, Mode::empty())?;
            above.push((file_id(&rustix::fs::fstat(&folder)?), inner));
            folder = next;
            inner = count(&folder, &mut usage)?;
        } else if let Some((id, left)) = above.pop() {
            folder = rustix::fs::openat(&folder, "..", flags, Mode::empty())?;
            if file_id(&rustix::fs::fstat(&folder)?) != id {
                return Err(io::Error::other("a volume with a quota was changed while it was counted"));
            }
            inner = left;
        } else {
            return Ok(usage);
        }
    }
}

/// Counts what is in one folder, and returns the folders in it.
fn count(folder: &OwnedFd, usage: &mut Usage) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        usage.name()?;
        let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match kind(&found) {
            Some(FileType::Directory) => folders.push(name.to_owned()),
            Some(FileType::Regular) => usage.file(file_id(&found), found.st_nlink == 1, size(&found)),
            _ => {}
        }
    }
    Ok(folders)
}
