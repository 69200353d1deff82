//! Listing a merged directory: what the lower one has, then what only the overlay has.

use alloc::string::String;
use core::ops::Bound;

use super::node::{Kind, Place};
use super::{Open, Overlay};
use crate::{DirEntry, Handle, ReadDir, Result};

/// Set in the cookies of names that only the overlay has, which count in the order of creation. Below are those of
/// names that the lower directory has: their positions in it, as its own cookies may have any bit set.
const UPPER_COOKIE: u64 = 1 << 62;

/// A place in a lower directory: how many names lie before it, and the lower cookie to go on from there.
#[derive(Clone, Copy, Default)]
pub(super) struct Listed {
    position: u64,
    cookie: u64,
}

impl Overlay {
    /// See [`FileSystem::read_dir`](crate::FileSystem::read_dir).
    pub(super) fn list(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let id = self.dir(dir)?;
        if cookie < UPPER_COOKIE && !self.list_lower(dir, cookie, sink)? {
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

    /// Hands out the names that the lower directory has, from a position on. Returns whether more are wanted.
    ///
    /// As the lower directory does not change, a position in it means the same for ever, and one that is no longer
    /// remembered is found by counting from the start.
    fn list_lower(&mut self, handle: Handle, position: u64, sink: ReadDir<'_>) -> Result<bool> {
        let Open { node, mut listed, .. } = self.opened(handle)?;
        let Some(lower) = self.lower_handle(node)? else { return Ok(true) };
        let from =
            listed.iter().rev().find(|listed| listed.position <= position).copied().unwrap_or_default();
        listed = [from; 2];
        let nodes = &self.nodes;
        let Some(Kind::Directory(directory)) = nodes.get(&node).map(|node| &node.kind) else {
            return Ok(true);
        };
        let mut more = true;
        let read = self.lower.read_dir(lower, from.cookie, &mut |mut below| {
            let next = listed[1].position + 1;
            listed = [listed[1], Listed { position: next, cookie: below.next }];
            if next <= position {
                return true;
            }
            if let Some(entry) = directory.entries.get(below.name.as_str()) {
                let node = entry.node.filter(|_| matches!(entry.place, Place::Lower { .. }));
                let Some(node) = node.and_then(|node| nodes.get(&node)) else { return true };
                (below.inode, below.kind) = (node.inode, node.file_type());
            }
            below.next = next;
            more = sink(below);
            more
        });
        if let Some(open) = self.open.get_mut(&handle) {
            open.listed = listed;
        }
        read.map(|()| more)
    }
}
