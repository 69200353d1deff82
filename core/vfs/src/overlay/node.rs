//! What the overlay knows of one file, directory or link, and of one name.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::content::Content;
use crate::{Charge, FileType, Handle, Times};

/// What a node costs, beside its path and contents: its place in the tables and its fields.
pub(super) const NODE_BYTES: u64 = 384;

/// What a name costs in a directory, beside the name: its places in two maps.
pub(super) const ENTRY_BYTES: u64 = 160;

/// A node of the overlay; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) u64);

/// A file, directory or link that is in use or differs from what lies below.
pub(super) struct Node {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) kind: Kind,
    /// Names of a file or link; of a directory 1, or 0 after it was removed.
    pub(super) links: u64,
    pub(super) times: Times,
    pub(super) lower: Option<Lower>,
    /// How many entries name it: not the names that the lower directories give it.
    pub(super) entries: u64,
    /// One inode of the quota, held once the node differs from the lower one, and one more for each entry but one. Such
    /// a node stays until it has no name.
    pub(super) changed: Option<Charge>,
    /// Handles and running operations.
    pub(super) users: u32,
    pub(super) _memory: Charge,
}

pub(super) enum Kind {
    Regular(Content),
    Directory(Directory),
    Symlink(Box<str>),
}

/// Where a node's lower part is. The lower file system does not change, so its path names it for ever, wherever the
/// node itself is moved to.
pub(super) struct Lower {
    /// (device, inode) below.
    pub(super) key: (u64, u64),
    /// Components joined by `/`; empty for the root.
    pub(super) path: Box<str>,
    /// Held only while the node has users, so that what was once changed costs no descriptor of the host.
    pub(super) handle: Option<Handle>,
    /// Whether `handle` can be read from.
    pub(super) readable: bool,
}

#[derive(Default)]
pub(super) struct Directory {
    pub(super) parent: Option<NodeId>,
    /// Directory nodes whose `parent` is this one.
    pub(super) children: u32,
    /// Names that differ from the lower directory's.
    pub(super) entries: BTreeMap<Arc<str>, Entry>,
    /// Names that the lower directory does not have, in the order of their creation: the second half of a listing.
    pub(super) order: BTreeMap<u64, Arc<str>>,
    pub(super) last_sequence: u64,
}

/// A name that differs from the lower directory's.
pub(super) struct Entry {
    /// `None` is a whiteout: the lower directory has the name and it is removed.
    pub(super) node: Option<NodeId>,
    pub(super) place: Place,
    pub(super) _memory: Charge,
}

/// Where a listing shows a name. It depends on the name alone, so a file that is changed, replaced or copied up while
/// a listing runs is neither lost nor shown twice.
pub(super) enum Place {
    /// Where the lower directory has the same name. The charge is for the whiteout, taken when the lower name is first
    /// hidden and kept, so that removing what replaced it needs no quota.
    Lower { _whiteout: Charge },
    /// After them, by this key of [`Directory::order`].
    Upper(u64),
}

impl Node {
    pub(super) fn file_type(&self) -> FileType {
        match self.kind {
            Kind::Regular(_) => FileType::Regular,
            Kind::Directory(_) => FileType::Directory,
            Kind::Symlink(_) => FileType::Symlink,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Whether nothing needs the node any more: it can be made again from the lower one, or has no name.
    pub(super) fn is_idle(&self) -> bool {
        let children = if let Kind::Directory(directory) = &self.kind { directory.children } else { 0 };
        self.users == 0 && children == 0 && (self.changed.is_none() || self.links == 0)
    }
}
