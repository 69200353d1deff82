//! What is Windows' own.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt as _;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _};
use qyv_vfs::Error;

use super::names::component;

/// The guest's name of an error with a number that says more than its kind. The numbers are those of `winerror.h`.
pub(super) fn known(error: &io::Error) -> Option<Error> {
    const INVALID_FUNCTION: i32 = 1;
    const TOO_MANY_OPEN_FILES: i32 = 4;
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    const FILENAME_EXCED_RANGE: i32 = 206;
    const DIRECTORY: i32 = 267;
    const STOPPED_ON_SYMLINK: i32 = 681;
    const PRIVILEGE_NOT_HELD: i32 = 1314;
    const NOT_A_REPARSE_POINT: i32 = 4390;
    Some(match error.raw_os_error()? {
        INVALID_FUNCTION => Error::NOTSUP,
        TOO_MANY_OPEN_FILES => Error::MFILE,
        SHARING_VIOLATION | LOCK_VIOLATION => Error::BUSY,
        FILENAME_EXCED_RANGE => Error::NAMETOOLONG,
        DIRECTORY => Error::NOTDIR,
        STOPPED_ON_SYMLINK => Error::LOOP,
        PRIVILEGE_NOT_HELD => Error::PERM,
        NOT_A_REPARSE_POINT => Error::INVAL,
        _ => return None,
    })
}

/// The options that also ask for setting times, which is a right of its own here.
pub(super) fn with_times(options: &OpenOptions, read: bool, write: bool) -> Option<OpenOptions> {
    const GENERIC_READ: u32 = 0x8000_0000;
    const GENERIC_WRITE: u32 = 0x4000_0000;
    const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
    let read = if read { GENERIC_READ } else { 0 };
    let write = if write { GENERIC_WRITE } else { 0 };
    let mut options = options.clone();
    options.access_mode(read | write | FILE_WRITE_ATTRIBUTES);
    Some(options)
}

/// The standard library does not tell.
pub(super) fn changed(_: &Metadata) -> Option<u64> {
    None
}

/// Moves the file's position too, which nothing here relies on.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// As [`read_at`].
pub(super) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(buffer, offset)
}

/// Directories cannot be flushed by those who may only list them; NTFS keeps a log of its own.
pub(super) fn sync_dir(_: &Dir) -> io::Result<()> {
    Ok(())
}

/// Makes a link for directories or for files, as Windows has two kinds, by what the target is now.
pub(super) fn symlink(target: &str, dir: &Dir, name: &str) -> io::Result<()> {
    if target.starts_with('/') || target.contains(['\\', ':']) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let stored = target.replace('/', "\\");
    if names_dir(dir, target) { dir.symlink_dir(stored, name) } else { dir.symlink_file(stored, name) }
}

/// Whether the target is a directory, as far as it goes down without links.
fn names_dir(dir: &Dir, target: &str) -> bool {
    let Ok(mut at) = dir.try_clone() else { return false };
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match component(part).ok().and_then(|part| at.open_dir_nofollow(part).ok()) {
            Some(next) => at = next,
            None => return false,
        }
    }
    true
}

/// A link's target as the guest sees it: with its separators.
pub(super) fn guest_target(target: String) -> String {
    target.replace('\\', "/")
}
