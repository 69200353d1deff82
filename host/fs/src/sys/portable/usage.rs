//! Counting what a folder holds.

use std::ffi::OsString;
use std::io;

use cap_fs_ext::DirExt as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use qyv_vfs::FileType;

use super::attributes::{file_id, kind, links};
use crate::sys::quota::Usage;

/// Bytes and names in a folder.
///
/// Only one folder is open at a time, and no path is made: a guest may have made trees deeper than either allows.
pub(super) fn usage(root: &Dir) -> io::Result<Usage> {
    let mut usage = Usage::default();
    let mut folder = root.try_clone()?;
    let mut inner = count(&folder, &mut usage)?;
    // The folders on the way down, each with those in it that are left.
    let mut above = Vec::new();
    loop {
        if let Some(name) = inner.pop() {
            let next = folder.open_dir_nofollow(&name)?;
            above.push((file_id(&folder.dir_metadata()?), inner));
            folder = next;
            inner = count(&folder, &mut usage)?;
        } else if let Some((id, left)) = above.pop() {
            folder = folder.open_parent_dir(ambient_authority())?;
            if file_id(&folder.dir_metadata()?) != id {
                return Err(io::Error::other("a volume with a quota was changed while it was counted"));
            }
            inner = left;
        } else {
            return Ok(usage);
        }
    }
}

/// Counts what is in one folder, and returns the folders in it.
fn count(folder: &Dir, usage: &mut Usage) -> io::Result<Vec<OsString>> {
    let mut folders = Vec::new();
    for entry in folder.entries()? {
        let name = entry?.file_name();
        usage.name()?;
        let found = folder.symlink_metadata(&name)?;
        match kind(&found) {
            Some(FileType::Directory) => folders.push(name),
            Some(FileType::Regular) => usage.file(file_id(&found), links(&found) == 1, found.len()),
            _ => {}
        }
    }
    Ok(folders)
}
