//! What is done with one node: opening, contents, attributes.

use super::content::{Content, LowerFile};
use super::node::{Kind, Node, NodeId};
use super::{OFFSET_MAX, Open, Overlay};
use crate::{Attributes, Error, OpenOptions, Opened, Result, SetTime};

impl Overlay {
    pub(super) fn open_found(&mut self, id: NodeId, options: &OpenOptions) -> Result<Opened> {
        let kind = self.node(id)?.file_type();
        let mut lower = false;
        match &self.node(id)?.kind {
            _ if options.create && options.exclusive => return Err(Error::EXIST),
            Kind::Symlink(_) if options.directory => return Err(Error::NOTDIR),
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
        let handle =
            self.hand_out(Open { read: options.read, write: options.write, lower, ..Open::plain(id) });
        Ok(Opened { handle, kind })
    }

    /// Gives `act` the contents of a file and what shows through them.
    pub(super) fn with_content<T>(
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
    pub(super) fn change_content<T>(
        &mut self,
        id: NodeId,
        act: impl FnOnce(&mut Content, &mut LowerFile<'_>) -> Result<T>,
    ) -> Result<T> {
        let change = self.charge_change(id)?;
        let done = self.with_content(id, act)?;
        self.mark_modified(change)?;
        Ok(done)
    }

    pub(super) fn cut(&mut self, id: NodeId, size: u64) -> Result<()> {
        if end_of(size, [])? > self.file_bytes_max {
            return Err(Error::FBIG);
        }
        let change = self.charge_change(id)?;
        // Without the lower file: cutting reads nothing.
        if let Kind::Regular(content) = &mut self.node_mut(id)?.kind {
            content.set_size(size);
        }
        self.mark_modified(change)
    }

    pub(super) fn write_node(&mut self, id: NodeId, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let end = end_of(offset, buffers.iter().map(|buffer| buffer.len()))?;
        if end == offset {
            return Ok(0);
        }
        if end > self.file_bytes_max {
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

    pub(super) fn node_attributes(&self, open: Open) -> Result<Attributes> {
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

    pub(super) fn set_node_times(&mut self, id: NodeId, accessed: SetTime, modified: SetTime) -> Result<()> {
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
}

/// Where a range ends. `INVAL` beyond [`OFFSET_MAX`].
pub(super) fn end_of(offset: u64, lengths: impl IntoIterator<Item = usize>) -> Result<u64> {
    let end = lengths.into_iter().try_fold(offset, |end, length| end.checked_add(length as u64));
    end.filter(|&end| end <= OFFSET_MAX).ok_or(Error::INVAL)
}
