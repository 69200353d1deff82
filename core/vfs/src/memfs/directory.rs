//! A directory of a memory file system: by name for finding, by age for listing.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Bound;

use crate::slab::Key;
use crate::{Budget, Charge, Error, FileType, Result};

/// Bytes that an entry takes beside its name: two places in trees, a counted string, the allocator's own.
const ENTRY_COST: u64 = 176;

/// The entries of a directory.
///
/// Every entry gets a number that rises with its creation and is its cookie, so that a listing goes on at the right
/// place whatever was created or removed meanwhile.
#[derive(Debug)]
pub(super) struct Directory {
    /// The directory above; its own for the root.
    pub(super) parent: Key,
    /// How many entries are directories.
    pub(super) directories: u64,
    names: BTreeMap<Arc<str>, u64>,
    entries: BTreeMap<u64, Entry>,
    newest: u64,
    memory: Charge,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) inode: Key,
    pub(super) kind: FileType,
}

impl Directory {
    pub(super) fn new(parent: Key, memory: &Budget) -> Self {
        Self {
            parent,
            directories: 0,
            names: BTreeMap::new(),
            entries: BTreeMap::new(),
            newest: 0,
            memory: memory.hold(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(self.names.get(name)?)
    }

    /// The entries after the one with this number, with theirs.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries
            .range((Bound::Excluded(cookie), Bound::Unbounded))
            .map(|(&number, entry)| (number, entry))
    }

    /// Makes `name` stand for `inode`. A name that is taken keeps its number. `NOMEM` when the memory is used up.
    pub(super) fn put(&mut self, name: &str, inode: Key, kind: FileType) -> Result<()> {
        if let Some(entry) = self.names.get(name).and_then(|number| self.entries.get_mut(number)) {
            self.directories -= u64::from(entry.kind == FileType::Directory);
            (entry.inode, entry.kind) = (inode, kind);
        } else {
            if !self.memory.try_grow(cost(name)) {
                return Err(Error::NOMEM);
            }
            self.newest += 1;
            let name: Arc<str> = name.into();
            self.names.insert(name.clone(), self.newest);
            self.entries.insert(self.newest, Entry { name, inode, kind });
        }
        self.directories += u64::from(kind == FileType::Directory);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Entry> {
        let entry = self.entries.remove(&self.names.remove(name)?)?;
        self.directories -= u64::from(entry.kind == FileType::Directory);
        self.memory.shrink(cost(name));
        Some(entry)
    }
}

fn cost(name: &str) -> u64 {
    ENTRY_COST + name.len() as u64
}
