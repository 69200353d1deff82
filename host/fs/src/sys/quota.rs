//! What a private volume holds, against what it may hold.

use std::collections::HashSet;
use std::io;

use qyv_vfs::{Budget, Error, Result};

use crate::DiskQuota;

/// The most files that the first count visits. A volume with more is refused at the start.
const COUNTED_MAX: u64 = 10_000_000;

/// Names a file on the host for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What a folder holds, as [`DiskQuota`] counts it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    bytes: u64,
    names: u64,
    /// Files whose bytes were counted under another of their names.
    several_names: HashSet<FileId>,
}

impl Usage {
    /// Counts one name.
    pub(super) fn name(&mut self) -> io::Result<()> {
        self.names += 1;
        if self.names <= COUNTED_MAX {
            return Ok(());
        }
        let why = format!("a volume with a quota holds more than {COUNTED_MAX} files");
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, why))
    }

    /// Counts the bytes of a regular file, once when it has several names.
    pub(super) fn file(&mut self, id: FileId, one_name: bool, bytes: u64) {
        if one_name || self.several_names.insert(id) {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// The two counters of a volume.
pub(super) struct Quota {
    pub(super) bytes: Counter,
    pub(super) inodes: Counter,
}

impl Quota {
    /// Begins with what the folder holds now.
    pub(super) fn new(limits: DiskQuota, used: &Usage) -> Self {
        Self {
            bytes: Counter::new(limits.bytes, used.bytes),
            inodes: Counter::new(limits.inodes, used.names),
        }
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
