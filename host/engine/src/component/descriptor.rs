//! What the handles of `wasi:filesystem` stand for.

use std::collections::VecDeque;
use std::sync::Arc;

use qyv_vfs::{DirEntry, Error, FileType, SyncKind};

use super::limits::ENTRIES_AT_ONCE;
use super::open::Open;

/// An open file or directory.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct Descriptor {
    pub(super) open: Arc<Open>,
    pub(super) kind: FileType,
    pub(super) read: bool,
    pub(super) write: bool,
    /// What to sync after each write (`O_DSYNC`, `O_SYNC`).
    pub(super) sync: Option<SyncKind>,
}

impl Descriptor {
    /// A directory, as a base for paths.
    pub(super) fn directory(open: Arc<Open>) -> Self {
        Self { open, kind: FileType::Directory, read: true, write: false, sync: None }
    }

    /// The open node if paths can start from it.
    pub(super) fn dir(&self) -> qyv_vfs::Result<&Arc<Open>> {
        if self.kind == FileType::Directory { Ok(&self.open) } else { Err(Error::NOTDIR) }
    }

    /// The open node if its bytes may be read.
    pub(super) fn readable(&self) -> qyv_vfs::Result<&Arc<Open>> {
        match self.kind {
            FileType::Directory => Err(Error::ISDIR),
            _ if self.read => Ok(&self.open),
            _ => Err(Error::BADF),
        }
    }

    /// The open node if its bytes may be written.
    pub(super) fn writable(&self) -> qyv_vfs::Result<&Arc<Open>> {
        if self.write { Ok(&self.open) } else { Err(Error::BADF) }
    }
}

/// A walk over the entries of a directory, fetched a few at a time.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct EntryStream {
    open: Arc<Open>,
    fetched: VecDeque<DirEntry>,
    next: u64,
    ended: bool,
}

impl EntryStream {
    /// Starts at the first entry.
    pub(super) fn new(open: Arc<Open>) -> Self {
        Self { open, fetched: VecDeque::new(), next: 0, ended: false }
    }

    /// The next entry, `None` after the last.
    pub(super) fn next(&mut self) -> qyv_vfs::Result<Option<DirEntry>> {
        if self.fetched.is_empty() && !self.ended {
            let fetched = &mut self.fetched;
            self.open.with(|vfs, node| {
                vfs.read_dir(node, self.next, &mut |entry| {
                    fetched.push_back(entry);
                    fetched.len() < ENTRIES_AT_ONCE
                })
            })?;
            match fetched.back() {
                Some(last) => self.next = last.next,
                None => self.ended = true,
            }
        }
        Ok(self.fetched.pop_front())
    }
}
