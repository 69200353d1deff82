//! Linux: the kernel's own calls, one or two for each operation.

mod attributes;
mod folder;
mod handle;
mod listing;
mod names;
mod open;
mod resolve;
mod transfer;
mod usage;

use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use qyv_vfs::{
    Advice, Attributes, Error, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir, Result, SetTime,
    SyncKind,
};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::DiskFsOptions;
use crate::sys::component::component;
use crate::sys::errno::call;
use crate::sys::growth::{Limits, reservable};
use crate::sys::quota::FileId;
use crate::sys::slab::Slab;
pub use folder::Folder;
use handle::{Open, Role};
use listing::Listing;
use resolve::Place;

/// A folder of the host as a file system.
///
/// Everything is relative to the folder's descriptor, taken once: renaming the folder, or putting another in its
/// place, does not change what is served. Permissions are those of the process; new files get `0o666` and new
/// directories `0o777`, less its umask.
///
/// Calls wait for the disk.
pub struct DiskFs {
    slab: Slab<Open>,
    /// Whether the kernel resolves whole paths; if not, the mount table walks.
    resolves: bool,
    limits: Limits,
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
        let limits = Limits::new(options, || usage::usage(folder.as_fd()))?;
        let resolves = resolve::kernel_resolves(folder.as_fd());
        let slab = Slab::new(Open::new(folder.into_fd(), Role::Path));
        Ok(Self { slab, resolves, limits })
    }

    /// Makes the mount table walk paths component by component even where the kernel could resolve them, as on a
    /// host without `openat2`. Both ways give the same results; this one is for tests and for comparing.
    #[must_use]
    pub fn without_path_resolution(mut self) -> Self {
        self.resolves = false;
        self
    }

    fn dir(&self, handle: Handle) -> Result<BorrowedFd<'_>> {
        Ok(self.slab.get(handle)?.fd())
    }

    fn look_up(&mut self, dir: Handle, place: Place<'_>) -> Result<Handle> {
        let fd = place.open(self.dir(dir)?, OFlags::PATH)?;
        self.slab.insert(Open::new(fd, Role::Path))
    }

    fn open_place(&mut self, dir: Handle, place: Place<'_>, options: &OpenOptions) -> Result<Opened> {
        let dir = self.slab.get(dir)?.fd();
        let (open, kind) = open::open(dir, place, options, &mut self.limits)?;
        Ok(Opened { handle: self.slab.insert(open)?, kind })
    }

    /// Whether any handle has this file open.
    fn holds(&self, file: FileId) -> bool {
        self.slab.values().any(|open| open.holds(file))
    }

    /// A handle was closed: a file that has no name is gone with its last one.
    fn closed(&mut self, open: &Open) {
        if self.limits.quota.is_some()
            && let Role::File { id: Some(id), .. } = open.role
            && !self.holds(id)
            && let Ok(found) = resolve::stat(open.fd())
            && found.st_nlink == 0
            && let Some(quota) = &mut self.limits.quota
        {
            quota.give_back_file(attributes::size(&found));
        }
    }
}

impl FileSystem for DiskFs {
    fn root(&self) -> Handle {
        Slab::<Open>::ROOT
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        self.look_up(dir, Place::Name(name))
    }

    fn close(&mut self, handle: Handle) {
        if let Some(open) = self.slab.remove(handle) {
            self.closed(&open);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        attributes::attributes(&resolve::stat(self.dir(handle)?)?)
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        attributes::attributes(&Place::Name(name).stat(self.dir(dir)?)?)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        names::read_link(self.dir(dir)?, name)
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        self.open_place(dir, Place::Name(name), options)
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = self.dir(dir)?;
        let fd = call(|| rustix::fs::openat(fd, ".", flags, Mode::empty()))?;
        self.slab.insert(Open::new(fd, Role::Directory))
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let open = self.slab.get(file)?;
        match open.role {
            Role::File { read: true, .. } => transfer::read(open.fd(), offset, buffers),
            Role::File { .. } => Err(Error::BADF),
            Role::Directory => Err(Error::ISDIR),
            Role::Path => {
                let kind = attributes::kind(&resolve::stat(open.fd())?);
                Err(if kind == Some(FileType::Directory) { Error::ISDIR } else { Error::BADF })
            }
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

    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Result<()> {
        use rustix::fs::Advice as Host;
        let advice = match advice {
            Advice::Normal => Host::Normal,
            Advice::Sequential => Host::Sequential,
            Advice::Random => Host::Random,
            Advice::WillNeed => Host::WillNeed,
            Advice::DontNeed => Host::DontNeed,
            Advice::NoReuse => Host::NoReuse,
        };
        // A hint that the host does not take is no error.
        let _ = rustix::fs::fadvise(self.dir(file)?, offset, NonZeroU64::new(length), advice);
        Ok(())
    }

    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        let open = self.slab.get(handle)?;
        let reopened = match open.role {
            Role::Path => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Some(
                    call(|| rustix::fs::openat(open.fd(), ".", flags, Mode::empty()))
                        .map_err(|_| Error::BADF)?,
                )
            }
            Role::Directory | Role::File { .. } => None,
        };
        let fd = reopened.as_ref().unwrap_or(&open.fd);
        call(|| match what {
            SyncKind::Data => rustix::fs::fdatasync(fd),
            SyncKind::All => rustix::fs::fsync(fd),
        })
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        let open = self.slab.get(handle)?;
        let times = attributes::timestamps(accessed, modified);
        match open.role {
            Role::Directory | Role::File { .. } => call(|| rustix::fs::futimens(open.fd(), &times)),
            // Such a descriptor has no access of its own; needs Linux 5.8.
            Role::Path => call(|| rustix::fs::utimensat(open.fd(), "", &times, AtFlags::EMPTY_PATH)),
        }
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        let (dir, name) = (self.dir(dir)?, component(name)?);
        let times = attributes::timestamps(accessed, modified);
        call(|| rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW))
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let open = self.slab.get_mut(dir)?;
        let listing = match &mut open.listing {
            Some(listing) => listing,
            none => {
                let listing = Listing::new(std::os::fd::AsFd::as_fd(&open.fd))?;
                none.insert(Box::new(listing))
            }
        };
        listing.read(cookie, sink)
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.make_dir(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.remove_name(dir, name, AtFlags::REMOVEDIR)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.remove_name(dir, name, AtFlags::empty())
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.move_name(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.link_name(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.make_link(target, dir, name)
    }

    fn resolves_paths(&self) -> bool {
        self.resolves
    }

    fn lookup_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Handle> {
        self.look_up(dir, Place::Path { path, follow })
    }

    fn attributes_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Attributes> {
        attributes::attributes(&Place::Path { path, follow }.stat(self.dir(dir)?)?)
    }

    fn open_path(&mut self, dir: Handle, path: &str, follow: bool, options: &OpenOptions) -> Result<Opened> {
        self.open_place(dir, Place::Path { path, follow }, options)
    }
}
