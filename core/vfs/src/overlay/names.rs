//! What changes directories. Each operation first finds, then checks, then charges, and only then changes: from the
//! first change on nothing can fail, so a refusal leaves everything as it was.

use super::content::Content;
use super::node::{Directory, Kind, NodeId};
use super::tables::Change;
use super::{LINKS_MAX, Overlay};
use crate::{Error, Result};

impl Overlay {
    pub(super) fn create_named(&mut self, dir: NodeId, name: &str, kind: Kind) -> Result<NodeId> {
        if let Some(there) = self.find_any(dir, name)? {
            self.release(there);
            return Err(Error::EXIST);
        }
        self.require_alive(dir)?;
        let change = self.charge_change(dir)?;
        let slot = self.reserve(dir, name, false)?;
        let id = self.create(kind)?;
        self.place(dir, name, Some(id), slot)?;
        self.node_mut(id)?.links = 1;
        self.mark_modified(change)?;
        Ok(id)
    }

    pub(super) fn create_file(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let content = Content::new(&self.quota, 0)?;
        self.create_named(dir, name, Kind::Regular(content))
    }

    pub(super) fn create_directory(&mut self, dir: NodeId, name: &str) -> Result<()> {
        let directory = Directory { parent: Some(dir), ..Directory::default() };
        let id = self.create_named(dir, name, Kind::Directory(directory))?;
        self.release(id);
        Ok(())
    }

    /// Removes a name: of an empty directory, or of anything else.
    pub(super) fn remove(&mut self, dir: NodeId, name: &str, directory: bool) -> Result<()> {
        let id = self.find(dir, name)?;
        let removed = self.remove_found(dir, name, id, directory);
        self.release(id);
        removed
    }

    fn remove_found(&mut self, dir: NodeId, name: &str, id: NodeId, directory: bool) -> Result<()> {
        match (self.node(id)?.is_directory(), directory) {
            (true, false) => return Err(Error::ISDIR),
            (false, true) => return Err(Error::NOTDIR),
            (true, true) => self.require_empty(id)?,
            (false, false) => {}
        }
        let change = self.charge_change(dir)?;
        let unnamed = self.charge_unname(id)?;
        let slot = self.reserve(dir, name, true)?;
        self.place(dir, name, None, slot)?;
        self.unname(unnamed)?;
        self.mark_modified(change)
    }

    pub(super) fn move_name(&mut self, from_dir: NodeId, from: &str, to_dir: NodeId, to: &str) -> Result<()> {
        let moved = self.find(from_dir, from)?;
        let renamed = match self.find_any(to_dir, to) {
            Ok(replaced) => {
                let renamed = self.move_found((from_dir, from), (to_dir, to), moved, replaced);
                if let Some(replaced) = replaced {
                    self.release(replaced);
                }
                renamed
            }
            Err(error) => Err(error),
        };
        self.release(moved);
        renamed
    }

    /// Moves one node, whatever lies beneath it: a lower directory keeps its lower path, a whiteout takes its old name.
    fn move_found(
        &mut self,
        (from_dir, from): (NodeId, &str),
        (to_dir, to): (NodeId, &str),
        moved: NodeId,
        replaced: Option<NodeId>,
    ) -> Result<()> {
        self.require_alive(to_dir)?;
        let directory = self.node(moved)?.is_directory();
        if directory && self.is_within(to_dir, moved)? {
            return Err(Error::INVAL);
        }
        if let Some(replaced) = replaced {
            if replaced == moved {
                return Ok(());
            }
            match (directory, self.node(replaced)?.is_directory()) {
                // Something that holds what moves is never empty, and Linux says so before it looks at the kinds.
                (_, true) if self.is_within(from_dir, replaced)? => return Err(Error::NOTEMPTY),
                (true, false) => return Err(Error::NOTDIR),
                (false, true) => return Err(Error::ISDIR),
                (true, true) => self.require_empty(replaced)?,
                (false, false) => {}
            }
        }

        let from_change = self.charge_change(from_dir)?;
        let to_change = if to_dir == from_dir { None } else { Some(self.charge_change(to_dir)?) };
        // An entry that moves is paid for; a lower name that moves becomes an entry.
        let moved_change = if self.directory(from_dir)?.entries.contains_key(from) {
            self.charge_change(moved)?
        } else {
            self.charge_entry(moved)?
        };
        let unnamed = replaced.map(|replaced| self.charge_unname(replaced)).transpose()?;
        let from_slot = self.reserve(from_dir, from, true)?;
        let to_slot = self.reserve(to_dir, to, replaced.is_some())?;

        self.place(to_dir, to, Some(moved), to_slot)?;
        self.place(from_dir, from, None, from_slot)?;
        if let Some(unnamed) = unnamed {
            self.unname(unnamed)?;
        }
        if let Kind::Directory(directory) = &mut self.mark(moved_change)?.kind {
            directory.parent = Some(to_dir);
            self.directory_mut(to_dir)?.children += 1;
            self.directory_mut(from_dir)?.children -= 1;
        }
        self.mark_modified(from_change)?;
        to_change.map_or(Ok(()), |change| self.mark_modified(change))
    }

    pub(super) fn link_name(&mut self, from_dir: NodeId, from: &str, to_dir: NodeId, to: &str) -> Result<()> {
        let id = self.find(from_dir, from)?;
        let linked = self.link_found(id, to_dir, to);
        self.release(id);
        linked
    }

    fn link_found(&mut self, id: NodeId, to_dir: NodeId, to: &str) -> Result<()> {
        if let Some(there) = self.find_any(to_dir, to)? {
            self.release(there);
            return Err(Error::EXIST);
        }
        self.require_alive(to_dir)?;
        if self.node(id)?.is_directory() {
            return Err(Error::PERM);
        }
        let links = self.node(id)?.links + 1;
        if links > LINKS_MAX {
            return Err(Error::MLINK);
        }
        let change = self.charge_entry(id)?;
        let to_change = self.charge_change(to_dir)?;
        let slot = self.reserve(to_dir, to, false)?;
        self.place(to_dir, to, Some(id), slot)?;
        self.mark(change)?.links = links;
        self.mark_modified(to_change)
    }

    /// Takes what the loss of a name needs: only a file that keeps others must remember how many.
    fn charge_unname(&self, id: NodeId) -> Result<Change> {
        if self.node(id)?.links > 1 { self.charge_change(id) } else { Ok(Change::free(id)) }
    }

    fn unname(&mut self, change: Change) -> Result<()> {
        let node = self.mark(change)?;
        node.links = node.links.saturating_sub(1);
        if let Some(held) = &mut node.changed {
            held.shrink(held.amount().saturating_sub(node.entries.max(1)));
        }
        let Kind::Directory(directory) = &mut node.kind else { return Ok(()) };
        // Only whiteouts are left, of no use now that nothing can be created here any more.
        directory.entries.clear();
        if let Some(lower) = node.lower.take() {
            self.by_lower.remove(&lower.key);
            if let Some(handle) = lower.handle {
                self.close_lower(handle);
            }
        }
        Ok(())
    }

    /// `NOTDIR` for a file, `NOENT` for a directory that was removed: nothing can be created there.
    fn require_alive(&self, dir: NodeId) -> Result<()> {
        self.directory(dir)?;
        if self.node(dir)?.links == 0 { Err(Error::NOENT) } else { Ok(()) }
    }

    /// `NOTEMPTY` when the merged directory has an entry.
    fn require_empty(&mut self, id: NodeId) -> Result<()> {
        if self.directory(id)?.entries.values().any(|entry| entry.node.is_some()) {
            return Err(Error::NOTEMPTY);
        }
        let Some(handle) = self.lower_handle(id)? else { return Ok(()) };
        let Some(Kind::Directory(directory)) = self.nodes.get(&id).map(|node| &node.kind) else {
            return Ok(());
        };
        let mut empty = true;
        self.lower.read_dir(handle, 0, &mut |entry| {
            empty = directory.entries.contains_key(entry.name.as_str());
            empty
        })?;
        if empty { Ok(()) } else { Err(Error::NOTEMPTY) }
    }

    /// Whether `inner` is `outer` or lies beneath it.
    fn is_within(&self, inner: NodeId, outer: NodeId) -> Result<bool> {
        let mut at = Some(inner);
        while let Some(id) = at {
            if id == outer {
                return Ok(true);
            }
            at = self.directory(id)?.parent;
        }
        Ok(false)
    }
}
