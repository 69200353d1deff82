//! What a private volume holds, against what it may hold.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use qyv_vfs::{Budget, Error, FileType, Result};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::attributes::{file_id, kind, size};
use super::slab::FileId;
use crate::DiskQuota;

/// The most files that the first count visits. A volume with more is refused at the start.
const COUNTED_MAX: u64 = 10_000_000;

/// The two counters of a volume.
pub(super) struct Quota {
    pub(super) bytes: Counter,
    pub(super) inodes: Counter,
}

impl Quota {
    /// Counts what is in `folder` now.
    pub(super) fn count(folder: BorrowedFd<'_>, limits: DiskQuota) -> io::Result<Self> {
        let (bytes, inodes) = usage(folder)?;
        Ok(Self { bytes: Counter::new(limits.bytes, bytes), inodes: Counter::new(limits.inodes, inodes) })
    }

    /// Takes one inode, or `NOSPC`.
    pub(super) fn take_inode(&mut self) -> Result<()> {
        if self.inodes.take_up_to(1) == 1 { Ok(()) } else { Err(Error::NOSPC) }
    }

    /// Takes what a file of `size` bytes grows by when `length` bytes are written at `offset`, or what there is.
    /// Returns how many of the bytes fit, and what was taken. `NOSPC` when not one fits; nothing is taken then.
    pub(super) fn take_growth(&mut self, size: u64, offset: u64, length: u64) -> Result<(u64, u64)> {
        let growth = offset.saturating_add(length).saturating_sub(size);
        let taken = self.bytes.take_up_to(growth);
        if taken == growth {
            return Ok((length, taken));
        }
        let fits = (size + taken).saturating_sub(offset);
        if fits == 0 {
            self.bytes.give_back(taken);
            return Err(Error::NOSPC);
        }
        Ok((fits, taken))
    }

    /// Gives back what was taken for a file of `size` bytes beyond what it needed to end at `end`.
    pub(super) fn settle(&mut self, taken: u64, size: u64, end: u64) {
        self.bytes.give_back(taken.saturating_sub(end.saturating_sub(size)));
    }

    /// A file of `size` bytes is gone.
    pub(super) fn give_back_file(&mut self, size: u64) {
        self.bytes.give_back(size);
        self.inodes.give_back(1);
    }
}

/// Makes one more name, which takes one inode; it is given back when `make` fails.
pub(super) fn charged<T>(quota: Option<&mut Quota>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(quota) = quota else { return make() };
    quota.take_inode()?;
    make().inspect_err(|_| quota.inodes.give_back(1))
}

/// One budget as one volume uses it.
pub(super) struct Counter {
    budget: Budget,
    /// What this volume took from the budget.
    held: u64,
    /// What was on the disk at the start and did not fit into the budget.
    excess: u64,
}

impl Counter {
    fn new(budget: Budget, used: u64) -> Self {
        let mut counter = Self { budget, held: 0, excess: 0 };
        counter.excess = used - counter.take_up_to(used);
        counter
    }

    /// Takes `amount`, or as much as there is.
    pub(super) fn take_up_to(&mut self, amount: u64) -> u64 {
        let mut amount = amount;
        // Others may draw on the budget between the look and the taking; each round asks for less.
        while amount > 0 {
            if self.budget.try_take(amount) {
                self.held += amount;
                return amount;
            }
            amount = self.budget.available().min(amount - 1);
        }
        0
    }

    /// What did not fit at the start goes first: the volume must shrink below its limit before it can grow.
    pub(super) fn give_back(&mut self, amount: u64) {
        let from_excess = amount.min(self.excess);
        self.excess -= from_excess;
        let from_budget = (amount - from_excess).min(self.held);
        self.held -= from_budget;
        self.budget.give_back(from_budget);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

/// Bytes and names in a folder, as [`DiskQuota`] counts them.
///
/// Only one folder is open at a time, and no path is made: a guest may have made trees deeper than either allows.
fn usage(root: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut count = Count::default();
    let mut folder = rustix::fs::openat(root, ".", flags, Mode::empty())?;
    let mut inner = count.folder(&folder)?;
    // The folders on the way down, each with those in it that are left.
    let mut above = Vec::new();
    loop {
        if let Some(name) = inner.pop() {
            let next = rustix::fs::openat(&folder, &name, flags, Mode::empty())?;
            above.push((file_id(&rustix::fs::fstat(&folder)?), inner));
            folder = next;
            inner = count.folder(&folder)?;
        } else if let Some((id, left)) = above.pop() {
            folder = rustix::fs::openat(&folder, "..", flags, Mode::empty())?;
            if file_id(&rustix::fs::fstat(&folder)?) != id {
                return Err(io::Error::other("a volume with a quota was changed while it was counted"));
            }
            inner = left;
        } else {
            return Ok((count.bytes, count.names));
        }
    }
}

#[derive(Default)]
struct Count {
    bytes: u64,
    names: u64,
    /// Files whose bytes were counted under another of their names.
    several_names: HashSet<FileId>,
}

impl Count {
    /// Counts what is in one folder, and returns the folders in it.
    fn folder(&mut self, folder: &OwnedFd) -> io::Result<Vec<CString>> {
        let mut folders = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.names += 1;
            if self.names > COUNTED_MAX {
                let why = format!("a volume with a quota holds more than {COUNTED_MAX} files");
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
            }
            let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match kind(&found) {
                Some(FileType::Directory) => folders.push(name.to_owned()),
                Some(FileType::Regular)
                    if found.st_nlink == 1 || self.several_names.insert(file_id(&found)) =>
                {
                    self.bytes = self.bytes.saturating_add(size(&found));
                }
                _ => {}
            }
        }
        Ok(folders)
    }
}
