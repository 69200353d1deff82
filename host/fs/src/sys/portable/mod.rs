//! Hosts other than Linux, over cap-std: single names only, relative to open folders.
//!
//! cap-std resolves paths too, but nothing here asks it to: each name is one component that follows no link, the
//! mount table walks. What differs from Linux:
//!
//! * Where a host has no `O_PATH`, the handle of a link, and of a file that may not be read, is its name in its
//!   directory, checked at every use against the file that was found; when that one is gone, so is the handle.
//! * An append is one step among the users of one file system, not against other processes.
//! * Space is not reserved; a file is only made as long.
//! * Windows: names that it would take for something else are `INVAL` (see [`names`]), a directory with an open handle
//!   cannot be removed or renamed (`BUSY`), links with an absolute target or a `\` in it are refused, and a file that
//!   was removed while open may count against a quota until the next start.
//! * Windows and macOS compare names without case: two names may be one file, as they are for every program there.

mod attributes;
mod entries;
mod error;
mod folder;
mod handle;
#[cfg_attr(unix, path = "host/unix.rs")]
#[cfg_attr(windows, path = "host/windows.rs")]
mod host;
mod listing;
mod names;
mod open;
mod transfer;
mod usage;

use std::hash::RandomState;
use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use qyv_vfs::{
    Advice, Attributes, Error, FileSystem, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind,
};

use crate::DiskFsOptions;
use crate::sys::growth::{Limits, reservable};
use crate::sys::quota::FileId;
use crate::sys::slab::Slab;
use error::call;
pub use folder::Folder;
use handle::Open;
use names::component;

/// A folder of the host as a file system.
///
/// Everything is relative to the open folder: putting another in its place does not change what is served.
/// Permissions are those of the process.
///
/// Calls wait for the disk.
pub struct DiskFs {
    slab: Slab<Open>,
    limits: Limits,
    /// The order of listings.
    order: RandomState,
}

impl DiskFs {
    /// Serves `folder`. Links in `folder` itself are followed: it is the operator's path.
    ///
    /// # Errors
    ///
    /// The host's error when `folder` is no directory or cannot be reached; `QuotaExceeded` when a quota is asked for
    /// and the folder holds more files than can be counted.
    pub fn open(folder: &Path, options: DiskFsOptions) -> io::Result<Self> {
        Self::new(Folder::open(folder)?, options)
    }

    /// Serves a folder that is open.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(folder: Folder, options: DiskFsOptions) -> io::Result<Self> {
        let limits = Limits::new(options, || usage::usage(folder.as_dir()))?;
        let slab = Slab::new(Open::dir(folder.into_dir()));
        Ok(Self { slab, limits, order: RandomState::new() })
    }

    /// As it is: the mount table always walks paths here. For callers that are written for every host.
    #[must_use]
    pub fn without_path_resolution(self) -> Self {
        self
    }

    fn dir(&self, handle: Handle) -> Result<&Dir> {
        self.slab.get(handle)?.as_dir()
    }

    /// Whether any handle has this file open.
    fn holds(&self, file: FileId) -> bool {
        self.slab.values().any(|open| open.holds(file))
    }

    /// A handle was closed: a file that has no name is gone with its last one.
    fn closed(&mut self, open: &Open) {
        if self.limits.quota.is_some()
            && let Open::File { file, id, .. } = open
            && !self.holds(*id)
            && let Ok(found) = attributes::of_file(file)
            && attributes::links(&found) == 0
            && let Some(quota) = &mut self.limits.quota
        {
            quota.give_back_file(found.len());
        }
    }
}

impl FileSystem for DiskFs {
    fn root(&self) -> Handle {
        Slab::<Open>::ROOT
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let open = open::find(self.dir(dir)?, component(name)?)?;
        self.slab.insert(open)
    }

    fn close(&mut self, handle: Handle) {
        if let Some(open) = self.slab.remove(handle) {
            self.closed(&open);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.slab.get(handle)?.attributes()
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        attributes::at_name(self.dir(dir)?, component(name)?)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        entries::read_link(self.dir(dir)?, component(name)?)
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let dir = self.slab.get(dir)?.as_dir()?;
        let (open, kind) = open::open(dir, component(name)?, options, &mut self.limits)?;
        Ok(Opened { handle: self.slab.insert(open)?, kind })
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let dir = self.dir(dir)?;
        let dir = call(|| dir.try_clone())?;
        self.slab.insert(Open::dir(dir))
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        match self.slab.get(file)? {
            Open::File { file, read: true, .. } => transfer::read(file, offset, buffers),
            Open::Dir { .. } => Err(Error::ISDIR),
            Open::File { .. } | Open::Name { .. } => Err(Error::BADF),
        }
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        self.limits.write(self.slab.get(file)?.for_writing()?, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.limits.append(self.slab.get(file)?.for_writing()?, buffers)
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        self.limits.resize(self.slab.get(file)?.for_writing()?, size)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        reservable(offset, length)?;
        self.limits.reserve(self.slab.get(file)?.for_writing()?, offset, length)
    }

    fn advise(&mut self, file: Handle, _: u64, _: u64, _: Advice) -> Result<()> {
        self.slab.get(file).map(drop)
    }

    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        match (self.slab.get(handle)?, what) {
            (Open::Dir { dir, .. }, _) => call(|| host::sync_dir(dir)),
            (Open::File { file, .. }, SyncKind::Data) => call(|| file.sync_data()),
            (Open::File { file, .. }, SyncKind::All) => call(|| file.sync_all()),
            (Open::Name { .. }, _) => Err(Error::BADF),
        }
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.slab.get(handle)?.set_times(accessed, modified)
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        attributes::set_times_at(self.dir(dir)?, component(name)?, accessed, modified)
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let order = &self.order;
        let (dir, listing) = self.slab.get_mut(dir)?.as_listing()?;
        listing.read(dir, order, cookie, sink)
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.make(dir, name, |dir, name| dir.create_dir(name))
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.remove(dir, name, entries::Removed::Directory)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.remove(dir, name, entries::Removed::Other)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.move_name(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.link_name(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.make(dir, name, |dir, name| host::symlink(target, dir, name))
    }
}
