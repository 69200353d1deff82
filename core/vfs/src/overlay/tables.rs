//! The table of nodes: how one is found, kept, charged and let go, and the handles below.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use super::content::Content;
use super::node::{Directory, ENTRY_BYTES, Entry, Kind, Lower, NODE_BYTES, Node, NodeId, Place};
use super::{Overlay, ROOT};
use crate::{Attributes, Charge, Error, FileType, Handle, OpenOptions, Result, Times};

/// Inodes of what was created here; no disk counts that high.
const UPPER_INODES: u64 = 1 << 63;

/// What a new name needs, taken before anything changes and given back when it is dropped unused.
pub(super) enum Slot {
    /// The directory holds an entry of that name already, which may be a whiteout.
    Held,
    New {
        memory: Charge,
        whiteout: Option<Charge>,
    },
}

/// What a change of a node needs, taken before anything changes and given back when it is dropped unused.
pub(super) struct Change {
    id: NodeId,
    charge: Option<Charge>,
    /// For one more entry that names it.
    entry: Option<Charge>,
}

impl Change {
    /// A change of a node that need not be remembered.
    pub(super) fn free(id: NodeId) -> Self {
        Self { id, charge: None, entry: None }
    }
}

impl Overlay {
    pub(super) fn node(&self, id: NodeId) -> Result<&Node> {
        self.nodes.get(&id).ok_or(Error::IO)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or(Error::IO)
    }

    pub(super) fn directory(&self, id: NodeId) -> Result<&Directory> {
        match &self.node(id)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Error::NOTDIR),
        }
    }

    pub(super) fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory> {
        match &mut self.node_mut(id)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Error::NOTDIR),
        }
    }

    /// Finds `name` in the merged directory. The node found has one more user, for [`release`](Self::release).
    pub(super) fn find(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let found = match self.directory(dir)?.entries.get(name) {
            Some(entry) => entry.node.ok_or(Error::NOENT)?,
            None => return self.find_below(dir, name),
        };
        self.node_mut(found)?.users += 1;
        Ok(found)
    }

    /// As [`find`](Self::find), `None` when nothing is there.
    pub(super) fn find_any(&mut self, dir: NodeId, name: &str) -> Result<Option<NodeId>> {
        match self.find(dir, name) {
            Ok(id) => Ok(Some(id)),
            Err(Error::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds `name` in the lower directory. A lower file is known by its inode, so one that was changed is found
    /// again under each of its lower names, and changing it alters no directory.
    fn find_below(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let handle = self.lower_handle(dir)?.ok_or(Error::NOENT)?;
        let handle = self.lower.lookup(handle, name)?;
        let found = self.adopt(dir, name, handle);
        if !matches!(found, Ok((_, true))) {
            self.lower.close(handle);
        }
        found.map(|(id, _)| id)
    }

    /// Gives the node of a lower handle, and whether it keeps the handle.
    fn adopt(&mut self, dir: NodeId, name: &str, handle: Handle) -> Result<(NodeId, bool)> {
        let below = self.lower.attributes(handle)?;
        let key = (below.device, below.inode);
        if let Some(&id) = self.by_lower.get(&key) {
            let node = self.node_mut(id)?;
            node.users += 1;
            let Some(lower) = node.lower.as_mut().filter(|lower| lower.handle.is_none()) else {
                return Ok((id, false));
            };
            (lower.handle, lower.readable) = (Some(handle), false);
            return Ok((id, true));
        }
        let parent = self.node(dir)?.lower.as_ref().map_or("", |lower| &*lower.path);
        let path =
            if parent.is_empty() { Box::from(name) } else { format!("{parent}/{name}").into_boxed_str() };
        let kind = match below.kind {
            FileType::Regular => Kind::Regular(Content::new(&self.quota, below.size)?),
            FileType::Directory => Kind::Directory(Directory { parent: Some(dir), ..Directory::default() }),
            FileType::Symlink => {
                let dir = self.lower_handle(dir)?.ok_or(Error::IO)?;
                Kind::Symlink(self.lower.read_link(dir, name)?.into_boxed_str())
            }
        };
        let target = if let Kind::Symlink(target) = &kind { target.len() } else { 0 };
        let memory = self.quota.memory(NODE_BYTES + (path.len() + target) as u64)?;
        let lower = Lower { key, path, handle: Some(handle), readable: false };
        // How many directories a lower directory holds says nothing here: 1 while it exists, as for every directory.
        let links = if below.kind == FileType::Directory { 1 } else { below.links.max(1) };
        Ok((self.insert(&Attributes { links, ..below }, kind, Some(lower), None, memory)?, true))
    }

    /// Makes a node of the upper layer, without a name yet and with one user.
    pub(super) fn create(&mut self, kind: Kind) -> Result<NodeId> {
        let changed = self.quota.inode()?;
        let target = if let Kind::Symlink(target) = &kind { target.len() } else { 0 };
        let memory = self.quota.memory(NODE_BYTES + target as u64)?;
        let now = self.clock.now();
        let attributes = Attributes {
            device: self.node(ROOT)?.device,
            inode: UPPER_INODES | self.next_node,
            kind: FileType::Regular,
            links: 0,
            size: 0,
            times: Times { accessed: now, modified: now, changed: now },
        };
        self.insert(&attributes, kind, None, Some(changed), memory)
    }

    fn insert(
        &mut self,
        attributes: &Attributes,
        kind: Kind,
        lower: Option<Lower>,
        changed: Option<Charge>,
        memory: Charge,
    ) -> Result<NodeId> {
        let id = NodeId(self.next_node);
        self.next_node += 1;
        if let Kind::Directory(Directory { parent: Some(parent), .. }) = kind {
            self.directory_mut(parent)?.children += 1;
        }
        if let Some(lower) = &lower {
            self.by_lower.insert(lower.key, id);
        }
        let &Attributes { device, inode, links, times, .. } = attributes;
        self.nodes.insert(
            id,
            Node { device, inode, kind, links, times, lower, entries: 0, changed, users: 1, _memory: memory },
        );
        Ok(id)
    }

    /// Ends one use of a node. What nobody needs is forgotten, and so are the parents that were kept for it.
    pub(super) fn release(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.users = node.users.saturating_sub(1);
        if node.users == 0
            && let Some(lower) = &mut node.lower
        {
            lower.readable = false;
            if let Some(handle) = lower.handle.take() {
                self.lower.close(handle);
            }
        }
        self.forget_idle(id);
    }

    pub(super) fn forget_idle(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            if self.nodes.get(&id).is_none_or(|node| !node.is_idle()) {
                return;
            }
            let Some(node) = self.nodes.remove(&id) else { return };
            if let Some(lower) = node.lower {
                self.by_lower.remove(&lower.key);
            }
            if let Kind::Directory(Directory { parent: Some(parent), .. }) = node.kind {
                if let Ok(directory) = self.directory_mut(parent) {
                    directory.children = directory.children.saturating_sub(1);
                }
                next = Some(parent);
            }
        }
    }

    /// Takes what a node needs to differ from the lower one: one inode of the quota, once.
    pub(super) fn charge_change(&self, id: NodeId) -> Result<Change> {
        let charge = if self.node(id)?.changed.is_none() { Some(self.quota.inode()?) } else { None };
        Ok(Change { id, charge, entry: None })
    }

    /// As [`charge_change`](Self::charge_change), for a change that adds an entry: the first is paid with the node.
    pub(super) fn charge_entry(&self, id: NodeId) -> Result<Change> {
        let entry = if self.node(id)?.entries > 0 { Some(self.quota.inode()?) } else { None };
        Ok(Change { entry, ..self.charge_change(id)? })
    }

    /// Records that a node differs from the lower one from now on, and when it was last changed.
    pub(super) fn mark(&mut self, change: Change) -> Result<&mut Node> {
        let now = self.clock.now();
        let node = self.node_mut(change.id)?;
        if node.changed.is_none() {
            node.changed = change.charge;
        }
        if let (Some(held), Some(entry)) = (&mut node.changed, change.entry) {
            held.merge(entry);
        }
        node.times.changed = now;
        Ok(node)
    }

    /// As [`mark`](Self::mark), for a change of the contents or the entries.
    pub(super) fn mark_modified(&mut self, change: Change) -> Result<()> {
        let node = self.mark(change)?;
        node.times.modified = node.times.changed;
        Ok(())
    }

    /// Takes what a change of `name` in `dir` needs. `taken` says whether the name is in use.
    pub(super) fn reserve(&mut self, dir: NodeId, name: &str, taken: bool) -> Result<Slot> {
        if self.directory(dir)?.entries.contains_key(name) {
            return Ok(Slot::Held);
        }
        let memory = self.quota.memory(ENTRY_BYTES + name.len() as u64)?;
        // In use and no entry: it is the lower directory's.
        let whiteout = if taken { Some(self.quota.inode()?) } else { None };
        Ok(Slot::New { memory, whiteout })
    }

    /// Makes `name` in `dir` mean `node`, or nothing. Needs no quota.
    pub(super) fn place(&mut self, dir: NodeId, name: &str, node: Option<NodeId>, slot: Slot) -> Result<()> {
        let directory = self.directory_mut(dir)?;
        let before = directory.entries.get(name).and_then(|entry| entry.node);
        if let Slot::New { memory, whiteout } = slot {
            let name: Arc<str> = name.into();
            let place = if let Some(whiteout) = whiteout {
                Place::Lower { _whiteout: whiteout }
            } else {
                directory.last_sequence += 1;
                directory.order.insert(directory.last_sequence, name.clone());
                Place::Upper(directory.last_sequence)
            };
            directory.entries.insert(name, Entry { node, place, _memory: memory });
        } else if let Some(entry) = directory.entries.get_mut(name) {
            entry.node = node;
            if let (None, Place::Upper(sequence)) = (node, &entry.place) {
                directory.order.remove(sequence);
                directory.entries.remove(name);
            }
        }
        if let Some(node) = node {
            self.node_mut(node)?.entries += 1;
        }
        if let Some(before) = before {
            let node = self.node_mut(before)?;
            node.entries = node.entries.saturating_sub(1);
        }
        Ok(())
    }

    /// The handle of a node's lower part, if it has one. The node must have a user.
    pub(super) fn lower_handle(&mut self, id: NodeId) -> Result<Option<Handle>> {
        let Some(lower) = &self.node(id)?.lower else { return Ok(None) };
        if lower.handle.is_some() {
            return Ok(lower.handle);
        }
        let path = lower.path.clone();
        let handle = self.walk(&path)?;
        self.keep_handle(id, handle, false)
    }

    /// As [`lower_handle`](Self::lower_handle), for a file that is to be read.
    pub(super) fn lower_readable(&mut self, id: NodeId) -> Result<Option<Handle>> {
        let Some(lower) = &self.node(id)?.lower else { return Ok(None) };
        if lower.readable {
            return Ok(lower.handle);
        }
        let path = lower.path.clone();
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let dir = self.walk(dir)?;
        let opened = self.lower.open(dir, name, &OpenOptions { read: true, ..OpenOptions::default() });
        self.close_lower(dir);
        self.keep_handle(id, opened?.handle, true)
    }

    fn keep_handle(&mut self, id: NodeId, handle: Handle, readable: bool) -> Result<Option<Handle>> {
        let Some(lower) = &mut self.node_mut(id)?.lower else { return Ok(None) };
        lower.readable = readable;
        if let Some(old) = lower.handle.replace(handle) {
            self.close_lower(old);
        }
        Ok(Some(handle))
    }

    /// Opens a directory or looks up a file of the lower tree, one component after the other.
    fn walk(&mut self, path: &str) -> Result<Handle> {
        let mut at = self.lower.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let next = self.lower.lookup(at, name);
            self.close_lower(at);
            at = next?;
        }
        Ok(at)
    }

    pub(super) fn close_lower(&mut self, handle: Handle) {
        if handle != self.lower.root() {
            self.lower.close(handle);
        }
    }
}
