//! What is Unix's own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use cap_std::fs::{Dir, Metadata, MetadataExt as _, OpenOptions};
use qyv_vfs::Error;
use rustix::io::Errno;

use crate::sys::errno;

/// The guest's name of an error with a number.
pub(super) fn known(error: &io::Error) -> Option<Error> {
    Errno::from_io_error(error).map(errno::error)
}

/// The options that also ask for setting times, where that is a right of its own: not here.
pub(super) fn with_times(_: &OpenOptions, _: bool, _: bool) -> Option<OpenOptions> {
    None
}

/// When the attributes last changed, in nanoseconds since 1970.
pub(super) fn changed(found: &Metadata) -> Option<u64> {
    let seconds = u64::try_from(found.ctime()).unwrap_or(0);
    let rest = u64::try_from(found.ctime_nsec()).unwrap_or(0);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(super) fn write_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(buffer, offset)
}

/// The directory may be open for names alone; what syncs must be open for reading.
pub(super) fn sync_dir(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}

pub(super) fn symlink(target: &str, dir: &Dir, name: &str) -> io::Result<()> {
    dir.symlink_contents(target, name)
}

/// A link's target as the guest sees it: as it is stored.
pub(super) fn guest_target(target: String) -> String {
    target
}
