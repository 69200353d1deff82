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
mod names;
mod node;
mod tables;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Bound;

use self::content::{Content, LowerFile};
use self::node::{Directory, Kind, Lower, NODE_BYTES, Node, NodeId, Place};
use crate::{
    Attributes, Budget, Charge, Clock, DirEntry, Error, FileSystem, Handle, MemFsOptions, OpenOptions, Opened,
    ReadDir, Result, SetTime, SyncKind,
};

const ROOT: NodeId = NodeId(0);
const ROOT_HANDLE: Handle = Handle(0);

/// The bit that tells the cookies of names that only the overlay has from the lower directory's own.
const UPPER_COOKIE: u64 = 1 << 63;

/// Most bytes in the target of a link.
const TARGET_BYTES_MAX: usize = 4095;

/// A tree that can be changed over one that cannot.
///
/// A changed file counts one inode and its changed pages of 4 KiB, a removed or replaced lower name one inode more. What
/// is only looked up or read counts no quota, only some hundred bytes of the app's memory while it is open.
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
            lower: Some(Lower { key: (device, inode), path: "".into(), handle: Some(handle), readable: false }),
            changed: None,
            users: 1,
            memory: quota.memory(NODE_BYTES)?,
        };
        Ok(Self {
            lower,
            quota,
            clock,
            file_bytes_max: max_file,
            nodes: BTreeMap::from([(ROOT, root)]),
            by_lower: BTreeMap::from([((device, inode), ROOT)]),
            open: BTreeMap::from([(ROOT_HANDLE, Open { node: ROOT, read: false, write: false, lower: false })]),
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

    fn open_found(&mut self, id: NodeId, options: &OpenOptions) -> Result<Opened> {
        let kind = self.node(id)?.file_type();
        let mut lower = false;
        match &self.node(id)?.kind {
            _ if options.create && options.exclusive => return Err(Error::EXIST),
            Kind::Symlink(_) => return Err(Error::LOOP),
            Kind::Directory(_) if options.mutates() => return Err(Error::ISDIR),
            Kind::Directory(_) => {}
            Kind::Regular(_) if options.directory => return Err(Error::NOTDIR),
            Kind::Regular(_) => {
                if options.truncate {
                    self.cut(id, 0)?;
                } else if options.read || options.write {
                    // Here rather than at the first read or write, so that what the host refuses is refused at the open.
                    self.with_content(id, |_, _| Ok(()))?;
                }
                let node = self.node(id)?;
                let untouched = matches!(&node.kind, Kind::Regular(content) if content.is_lower());
                lower = options.read && !options.write && untouched && node.lower.is_some();
            }
        }
        let handle = self.hand_out(Open { node: id, read: options.read, write: options.write, lower });
        Ok(Opened { handle, kind })
    }

    /// Gives `act` the contents of a file and what shows through them.
    fn with_content<T>(
        &mut self,
        id: NodeId,
        act: impl FnOnce(&mut Content, &mut LowerFile<'_>) -> Result<T>,
    ) -> Result<T> {
        let shows = matches!(&self.node(id)?.kind, Kind::Regular(content) if content.shows_lower());
        let handle = if shows { self.lower_readable(id)? } else { None };
        let lower = &mut self.lower;
        match self.nodes.get_mut(&id).map(|node| &mut node.kind) {
            Some(Kind::Regular(content)) => act(content, &mut handle.map(|handle| (&mut **lower, handle))),
            _ => Err(Error::BADF),
        }
    }

    /// As [`with_content`](Self::with_content), to change them.
    fn change_content<T>(
        &mut self,
        id: NodeId,
        act: impl FnOnce(&mut Content, &mut LowerFile<'_>) -> Result<T>,
    ) -> Result<T> {
        let change = self.charge_change(id)?;
        let done = self.with_content(id, act)?;
        self.mark_modified(change)?;
        Ok(done)
    }

    fn cut(&mut self, id: NodeId, size: u64) -> Result<()> {
        if size > self.file_bytes_max {
            return Err(Error::FBIG);
        }
        let change = self.charge_change(id)?;
        // Without the lower file: cutting reads nothing.
        if let Kind::Regular(content) = &mut self.node_mut(id)?.kind {
            content.set_size(size);
        }
        self.mark_modified(change)
    }

    fn write_node(&mut self, id: NodeId, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let length: u64 = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        if length == 0 {
            return Ok(0);
        }
        if offset.checked_add(length).is_none_or(|end| end > self.file_bytes_max) {
            return Err(Error::FBIG);
        }
        self.change_content(id, |content, lower| {
            let mut done = 0;
            for buffer in buffers {
                match content.write(lower, offset + done as u64, buffer) {
                    Ok(count) => {
                        done += count;
                        if count < buffer.len() {
                            break;
                        }
                    }
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            Ok(done)
        })
    }

    fn node_attributes(&self, open: Open) -> Result<Attributes> {
        let node = self.node(open.node)?;
        let size = match &node.kind {
            Kind::Regular(content) if open.lower => content.lower_size(),
            Kind::Regular(content) => content.size(),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Directory(_) => 0,
        };
        let &Node { device, inode, links, times, .. } = node;
        Ok(Attributes { device, inode, kind: node.file_type(), links, size, times })
    }

    fn set_node_times(&mut self, id: NodeId, accessed: SetTime, modified: SetTime) -> Result<()> {
        if (accessed, modified) == (SetTime::Keep, SetTime::Keep) {
            return Ok(());
        }
        let change = self.charge_change(id)?;
        let times = &mut self.mark(change)?.times;
        let now = times.changed;
        for (time, wanted) in [(&mut times.accessed, accessed), (&mut times.modified, modified)] {
            match wanted {
                SetTime::Keep => {}
                SetTime::Now => *time = now,
                SetTime::At(at) => *time = at,
            }
        }
        Ok(())
    }

    /// Hands out the names that the lower directory has. Returns whether more are wanted.
    fn list_lower(&mut self, id: NodeId, cookie: u64, sink: ReadDir<'_>) -> Result<bool> {
        let Some(handle) = self.lower_handle(id)? else { return Ok(true) };
        let nodes = &self.nodes;
        let Some(Kind::Directory(directory)) = nodes.get(&id).map(|node| &node.kind) else { return Ok(true) };
        let mut outcome = Ok(true);
        self.lower.read_dir(handle, cookie, &mut |mut below| {
            if let Some(entry) = directory.entries.get(below.name.as_str()) {
                let node = entry.node.filter(|_| matches!(entry.place, Place::Lower { .. }));
                let Some(node) = node.and_then(|node| nodes.get(&node)) else { return true };
                (below.inode, below.kind) = (node.inode, node.file_type());
            }
            outcome = if below.next >= UPPER_COOKIE { Err(Error::OVERFLOW) } else { Ok(sink(below)) };
            outcome == Ok(true)
        })?;
        outcome
    }
}

impl FileSystem for Overlay {
    fn root(&self) -> Handle {
        ROOT_HANDLE
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let dir = self.dir(dir)?;
        let node = self.find(dir, name)?;
        Ok(self.hand_out(Open { node, read: false, write: false, lower: false }))
    }

    fn close(&mut self, handle: Handle) {
        if handle != ROOT_HANDLE
            && let Some(open) = self.open.remove(&handle)
        {
            self.release(open.node);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.node_attributes(self.opened(handle)?)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        let dir = self.dir(dir)?;
        let id = self.find(dir, name)?;
        let target = match &self.node(id)?.kind {
            Kind::Symlink(target) => Ok(String::from(&**target)),
            _ => Err(Error::INVAL),
        };
        self.release(id);
        target
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let dir = self.dir(dir)?;
        if options.create && options.directory {
            return Err(Error::INVAL);
        }
        let id = match self.find_any(dir, name)? {
            Some(id) => id,
            None if options.create => {
                let id = self.create_file(dir, name)?;
                let open = Open { node: id, read: options.read, write: options.write, lower: false };
                return Ok(Opened { handle: self.hand_out(open), kind: crate::FileType::Regular });
            }
            None => return Err(Error::NOENT),
        };
        let opened = self.open_found(id, options);
        if opened.is_err() {
            self.release(id);
        }
        opened
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let node = self.dir(dir)?;
        self.node_mut(node)?.users += 1;
        Ok(self.hand_out(Open { node, read: false, write: false, lower: false }))
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let open = self.opened(file)?;
        if self.node(open.node)?.is_directory() {
            return Err(Error::ISDIR);
        }
        if !open.read {
            return Err(Error::BADF);
        }
        if open.lower {
            let handle = self.lower_readable(open.node)?.ok_or(Error::IO)?;
            return self.lower.read_at(handle, offset, buffers);
        }
        self.with_content(open.node, |content, lower| {
            let mut done = 0;
            for buffer in buffers {
                let Some(at) = offset.checked_add(done as u64) else { break };
                let count = content.read(lower, at, buffer)?;
                done += count;
                if count < buffer.len() {
                    break;
                }
            }
            Ok(done)
        })
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let id = self.writable(file)?;
        self.write_node(id, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        let id = self.writable(file)?;
        let Kind::Regular(content) = &self.node(id)?.kind else { return Err(Error::BADF) };
        let end = content.size();
        let count = self.write_node(id, end, buffers)?;
        Ok((count, end + count as u64))
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        let id = self.writable(file)?;
        self.cut(id, size)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        let id = self.writable(file)?;
        if length == 0 {
            return Err(Error::INVAL);
        }
        let end = offset.checked_add(length).filter(|&end| end <= self.file_bytes_max).ok_or(Error::FBIG)?;
        self.change_content(id, |content, lower| content.allocate(lower, offset, end))
    }

    fn sync(&mut self, handle: Handle, _what: SyncKind) -> Result<()> {
        self.opened(handle).map(|_| ())
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        let id = self.opened(handle)?.node;
        self.set_node_times(id, accessed, modified)
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        let dir = self.dir(dir)?;
        let id = self.find(dir, name)?;
        let set = self.set_node_times(id, accessed, modified);
        self.release(id);
        set
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let id = self.dir(dir)?;
        if cookie < UPPER_COOKIE && !self.list_lower(id, cookie, sink)? {
            return Ok(());
        }
        let directory = self.directory(id)?;
        let after = if cookie < UPPER_COOKIE { 0 } else { cookie & !UPPER_COOKIE };
        for (sequence, name) in directory.order.range((Bound::Excluded(after), Bound::Unbounded)) {
            let node = directory.entries.get(name).and_then(|entry| entry.node);
            let Some(node) = node.and_then(|node| self.nodes.get(&node)) else { continue };
            let (inode, kind) = (node.inode, node.file_type());
            if !sink(DirEntry { next: UPPER_COOKIE | sequence, inode, kind, name: String::from(&**name) }) {
                break;
            }
        }
        Ok(())
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.create_directory(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.remove(dir, name, true)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.remove(dir, name, false)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        self.move_name(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        self.link_name(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        match target.len() {
            0 => return Err(Error::NOENT),
            1..=TARGET_BYTES_MAX => {}
            _ => return Err(Error::NAMETOOLONG),
        }
        let id = self.create_named(dir, name, Kind::Symlink(target.into()))?;
        self.release(id);
        Ok(())
    }
}
