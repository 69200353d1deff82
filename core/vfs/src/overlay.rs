//! A copy-on-write file system: changes live in memory, over any file system that stays as it is.
//!
//! ```text
//!   handle ──► node ──► entries: what this directory has instead of the lower one (names, whiteouts)
//!              │  │
//!              │  └───► pages:   what this file has instead of the lower one
//!              └──────► lower:   path and inode of what shows through where there is nothing instead
//! ```
//!
//! A lower file or directory is known by its lower (device, inode), which is also what the guest sees, before and
//! after a change. A node is made when a name is looked up and forgotten with its last handle, unless it differs from
//! what lies below. From this follow the properties that a layered file system finds hard:
//!
//! * Changing a file changes no directory. All names of a lower file, hard links included, lead to the same node.
//! * Copy-up is by page, within the write that needs it.
//! * Renaming a directory moves one node, however much lies beneath; it keeps its lower path.
//! * A directory created where one was removed has no lower part, so it hides what was there.
//! * A name is listed where the lower directory has it, or else after those, whatever happens to the file.
//!
//! One thing differs from a single file system, on purpose: a descriptor that was opened only for reading while a file
//! was still the lower one goes on seeing the lower contents and size after somebody writes to the file. Descriptors
//! that can write, and those opened later, see the change.
//!
//! The lower file system must not be changed by others meanwhile: no promise is made then about what is read, other
//! than that nothing outside of it is. It is only ever looked up, read and listed through this one.

mod content;
mod files;
mod listing;
mod names;
mod node;
mod operations;
mod tables;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use self::node::{Directory, Kind, Lower, NODE_BYTES, Node, NodeId};
use crate::{Attributes, Budget, Charge, Clock, Error, FileSystem, Handle, MemFsOptions, Result};

const ROOT: NodeId = NodeId(0);
const ROOT_HANDLE: Handle = Handle(0);

/// The last offset in a file that Linux knows; `INVAL` beyond.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// Most names of one file; `MLINK` beyond.
const LINKS_MAX: u64 = 65_000;

/// Most bytes in the target of a link.
const TARGET_BYTES_MAX: usize = 4095;

/// A tree that can be changed over one that cannot.
///
/// A changed file counts one inode and its changed pages of 4 KiB, a removed or replaced lower name one inode more, and so
/// does each name that is added to a file beyond the first. What is only looked up or read counts no quota, only some hundred bytes of the app's memory while it is open.
pub struct Overlay {
    lower: Box<dyn FileSystem>,
    quota: Quota,
    clock: Arc<dyn Clock>,
    file_bytes_max: u64,
    nodes: BTreeMap<NodeId, Node>,
    /// The node of each lower (device, inode) that has one.
    by_lower: BTreeMap<(u64, u64), NodeId>,
    open: BTreeMap<Handle, Open>,
    next_node: u64,
    next_handle: u64,
}

#[derive(Clone, Copy)]
struct Open {
    node: NodeId,
    read: bool,
    write: bool,
    /// Opened only for reading while the contents were the lower file's: goes on reading those.
    lower: bool,
    /// The last two places of a listing in the lower directory, the older first.
    listed: [listing::Listed; 2],
}

impl Open {
    /// A directory, or something that was only looked up.
    fn plain(node: NodeId) -> Self {
        Self { node, read: false, write: false, lower: false, listed: Default::default() }
    }
}

/// What everything here is charged to.
struct Quota {
    bytes: Budget,
    inodes: Budget,
    memory: Budget,
}

impl Quota {
    fn bytes(&self, count: u64) -> Result<Charge> {
        self.bytes.charge(count).ok_or(Error::NOSPC)
    }

    fn inode(&self) -> Result<Charge> {
        self.inodes.charge(1).ok_or(Error::NOSPC)
    }

    fn memory(&self, count: u64) -> Result<Charge> {
        self.memory.charge(count).ok_or(Error::NOMEM)
    }
}

impl Overlay {
    /// An overlay in which nothing is changed yet.
    ///
    /// # Errors
    ///
    /// Those of asking `lower` for the attributes of its root; `NOMEM` when not even the root fits.
    pub fn new(mut lower: Box<dyn FileSystem>, options: MemFsOptions) -> Result<Self> {
        let MemFsOptions { bytes, inodes, memory, clock, max_file } = options;
        let quota = Quota { bytes, inodes, memory };
        let handle = lower.root();
        let Attributes { device, inode, times, .. } = lower.attributes(handle)?;
        let root = Node {
            device,
            inode,
            kind: Kind::Directory(Directory::default()),
            links: 1,
            times,
            lower: Some(Lower {
                key: (device, inode),
                path: "".into(),
                handle: Some(handle),
                readable: false,
            }),
            entries: 0,
            changed: None,
            users: 1,
            _memory: quota.memory(NODE_BYTES)?,
        };
        Ok(Self {
            lower,
            quota,
            clock,
            file_bytes_max: max_file.min(OFFSET_MAX),
            nodes: BTreeMap::from([(ROOT, root)]),
            by_lower: BTreeMap::from([((device, inode), ROOT)]),
            open: BTreeMap::from([(ROOT_HANDLE, Open::plain(ROOT))]),
            next_node: 1,
            next_handle: 1,
        })
    }

    fn opened(&self, handle: Handle) -> Result<Open> {
        self.open.get(&handle).copied().ok_or(Error::BADF)
    }

    /// The directory that a handle names.
    fn dir(&self, handle: Handle) -> Result<NodeId> {
        let id = self.opened(handle)?.node;
        self.directory(id).map(|_| id)
    }

    /// The file that a handle can write to.
    fn writable(&self, handle: Handle) -> Result<NodeId> {
        let open = self.opened(handle)?;
        if open.write { Ok(open.node) } else { Err(Error::BADF) }
    }

    /// Turns one user of a node into a handle.
    fn hand_out(&mut self, open: Open) -> Handle {
        let handle = Handle(self.next_handle);
        self.next_handle += 1;
        self.open.insert(handle, open);
        handle
    }
}
