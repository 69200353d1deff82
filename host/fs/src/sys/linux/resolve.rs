//! From names and paths to descriptors: the file that keeps guests inside the folder.
//!
//! Two ways lead to a file, and no third may be added. A **name** is one component, which cannot leave its directory
//! because the kernel follows no link for it (`O_NOFOLLOW`). A **path** is resolved by `openat2` with
//! `RESOLVE_BENEATH`: the kernel refuses `..` above the start, absolute links, and starts over when a directory is
//! moved while it looks.

use std::os::fd::{BorrowedFd, OwnedFd};

use qyv_vfs::{Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::sys::component::component;
use crate::sys::errno::{call, error};

/// How often a path is resolved again because something was renamed meanwhile, anywhere on the host.
const RESOLVE_TRIES_MAX: usize = 256;

/// The longest name in a directory.
const NAME_MAX: usize = 255;

/// Where something is, seen from an open directory.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// One component; a link is not followed.
    Name(&'a str),
    /// A path beneath the directory; the last link is followed if `follow`.
    Path { path: &'a str, follow: bool },
}

impl Place<'_> {
    /// Opens the place with `O_CLOEXEC`.
    pub(super) fn open(&self, dir: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        // openat2 refuses a mode without O_CREAT.
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() };
        match *self {
            Self::Name(name) => {
                let name = component(name)?;
                call(|| rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, mode))
            }
            Self::Path { path, follow: true } => open_beneath(dir, path, flags, mode),
            Self::Path { path, follow: false } => open_beneath(dir, path, flags | OFlags::NOFOLLOW, mode),
        }
    }

    /// What the kernel knows of the place.
    pub(super) fn stat(&self, dir: BorrowedFd<'_>) -> Result<Stat> {
        match *self {
            Self::Name(name) => stat_name(dir, component(name)?),
            Self::Path { path: ".", .. } => stat(dir),
            Self::Path { path, follow } => {
                // The common cases in one call, or for a link to a neighbour in two more that open nothing.
                if let Ok(name) = component(path) {
                    let found = stat_name(dir, name)?;
                    if !follow || !is_link(&found) {
                        return Ok(found);
                    }
                    if let Some(found) = stat_neighbour(dir, name) {
                        return Ok(found);
                    }
                }
                stat(&self.open(dir, OFlags::PATH)?)
            }
        }
    }
}

/// What the link `name` leads to, when its target is a name in the same directory that is no link itself. Each step is
/// one component that is not followed, so nothing that changes meanwhile can lead out. All else, errors included, is
/// `None` and the kernel's to find out.
fn stat_neighbour(dir: BorrowedFd<'_>, name: &str) -> Option<Stat> {
    let mut buffer = [0_u8; NAME_MAX + 1];
    let length =
        rustix::fs::readlinkat_raw(dir, name, &mut buffer).ok().filter(|length| *length <= NAME_MAX)?;
    let target = std::str::from_utf8(buffer.get(..length)?).ok()?;
    stat_name(dir, component(target).ok()?).ok().filter(|found| !is_link(found))
}

fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_symlink()
}

/// Whether this kernel has `openat2`. Kernels before 5.6, some container filters and qemu-user have not.
pub(super) fn kernel_resolves(dir: BorrowedFd<'_>) -> bool {
    open_beneath(dir, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

fn open_beneath(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    beneath(dir, path, flags, mode).map_err(|errno| match errno {
        Errno::XDEV => Error::NOTCAPABLE,
        errno => error(errno),
    })
}

/// Resolves a path beneath `dir`; one that leads out is `XDEV`.
pub(super) fn beneath(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RESOLVE_TRIES_MAX {
        match rustix::fs::openat2(dir, path, flags, mode, rules) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

pub(super) fn stat_name(dir: BorrowedFd<'_>, name: &str) -> Result<Stat> {
    call(|| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
}

pub(super) fn stat(fd: impl std::os::fd::AsFd) -> Result<Stat> {
    call(|| rustix::fs::fstat(&fd))
}
