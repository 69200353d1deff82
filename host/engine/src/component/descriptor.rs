//! What the handles of `wasi:filesystem` stand for.

use std::collections::VecDeque;
use std::sync::Arc;

use qyv_vfs::{Access, Attributes, DirEntry, Error, FileType, OpenOptions, SyncKind, Times, Vfs};
use qyv_wasi::{Denials, Origin};

use super::limits::ENTRIES_AT_ONCE;
use super::open::Open;

/// An open file or directory.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct Descriptor {
    /// `None` for the root of an app that was granted no files.
    node: Option<Arc<Open>>,
    pub(super) origin: Origin,
    pub(super) kind: FileType,
    pub(super) read: bool,
    pub(super) write: bool,
    /// What to sync after each write (`O_DSYNC`, `O_SYNC`).
    pub(super) sync: Option<SyncKind>,
}

/// The closed root looks empty and old.
const CLOSED: Attributes = Attributes {
    device: u64::MAX,
    inode: 0,
    kind: FileType::Directory,
    links: 1,
    size: 0,
    times: Times { accessed: 0, modified: 0, changed: 0 },
};

impl Descriptor {
    /// A directory, as a base for paths; the closed root without a node.
    pub(super) fn directory(node: Option<Arc<Open>>, origin: Origin) -> Self {
        Self { node, origin, kind: FileType::Directory, read: true, write: false, sync: None }
    }

    /// A file.
    pub(super) fn file(
        node: Arc<Open>,
        origin: Origin,
        kind: FileType,
        options: &OpenOptions,
        sync: Option<SyncKind>,
    ) -> Self {
        Self { node: Some(node), origin, kind, read: options.read, write: options.write, sync }
    }

    /// The open node; `BADF` for the closed root, which is none.
    pub(super) fn open(&self) -> qyv_vfs::Result<&Arc<Open>> {
        self.node.as_ref().ok_or(Error::BADF)
    }

    /// Where `path` starts from. `NOTDIR` from a file, `ACCES` where nothing was granted, which is recorded.
    pub(super) fn enter(
        &self,
        denials: &mut Denials,
        call: &'static str,
        path: &str,
    ) -> qyv_vfs::Result<&Arc<Open>> {
        if self.kind != FileType::Directory {
            return Err(Error::NOTDIR);
        }
        denials.refuse_service(call, &self.origin, path)?;
        self.node.as_ref().ok_or_else(|| denials.refuse_files(call, path))
    }

    /// The open node if its bytes may be read.
    pub(super) fn readable(&self) -> qyv_vfs::Result<&Arc<Open>> {
        match self.kind {
            FileType::Directory => Err(Error::ISDIR),
            _ if self.read => self.open(),
            _ => Err(Error::BADF),
        }
    }

    /// The open node if its bytes may be written.
    pub(super) fn writable(&self) -> qyv_vfs::Result<&Arc<Open>> {
        if self.write { self.open() } else { Err(Error::BADF) }
    }

    pub(super) fn attributes(&self) -> qyv_vfs::Result<Attributes> {
        self.node.as_ref().map_or(Ok(CLOSED), |open| open.with(Vfs::attributes))
    }

    /// Whether entries of this directory may be changed.
    pub(super) fn changes_entries(&self) -> bool {
        let access = self.node.as_ref().map(|open| open.with(|vfs, node| vfs.access(node)));
        self.kind == FileType::Directory && access == Some(Access::ReadWrite)
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
