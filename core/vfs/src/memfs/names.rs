//! Names that go or move.

use super::MemFs;
use super::inode::Body;
use crate::slab::Key;
use crate::{Error, FileType, Handle, Result};

impl MemFs {
    /// Takes a name away, and what it stood for when that was the last way to it.
    pub(super) fn remove_name(&mut self, dir: Handle, name: &str) -> Result<()> {
        let parent = self.opened(dir)?.inode;
        let entry = self.directory_mut(parent)?.remove(name).ok_or(Error::NOENT)?;
        let now = self.now();
        self.inode_mut(parent)?.touch(now);
        self.drop_name(entry.inode, now)
    }

    fn drop_name(&mut self, key: Key, now: u64) -> Result<()> {
        let inode = self.inode_mut(key)?;
        inode.names -= 1;
        // The last unit stands for the inode itself, which may still be open.
        if inode.names > 0
            && let Some(units) = &mut inode.units
        {
            units.shrink(1);
        }
        inode.times.changed = now;
        self.release(key);
        Ok(())
    }

    /// As `rename(2)`. Everything is checked and charged before anything changes.
    pub(super) fn move_name(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_key, to_key) = (self.opened(from_dir)?.inode, self.opened(to_dir)?.inode);
        let (key, kind) = self.find(from_dir, from).map(|entry| (entry.inode, entry.kind))?;
        let replaced = match self.find(to_dir, to) {
            Ok(entry) => Some((entry.inode, entry.kind)),
            Err(Error::NOENT) => None,
            Err(error) => return Err(error),
        };
        if self.inode(to_key)?.names == 0 {
            return Err(Error::NOENT);
        }
        let moves = from_key != to_key;
        if moves && kind == FileType::Directory && self.lies_in(to_key, key)? {
            return Err(Error::INVAL);
        }
        match replaced {
            Some((same, _)) if same == key => return Ok(()),
            // An ancestor of the source is not empty, whatever the source is.
            Some((other, FileType::Directory)) if moves && self.lies_in(from_key, other)? => {
                return Err(Error::NOTEMPTY);
            }
            Some((other, other_kind)) => {
                match (kind == FileType::Directory, other_kind == FileType::Directory) {
                    (true, false) => return Err(Error::NOTDIR),
                    (false, true) => return Err(Error::ISDIR),
                    (true, true) if !self.directory(other)?.is_empty() => return Err(Error::NOTEMPTY),
                    _ => {}
                }
            }
            None => {}
        }

        self.directory_mut(to_key)?.put(to, key, kind)?;
        self.directory_mut(from_key)?.remove(from);
        let now = self.now();
        self.inode_mut(from_key)?.touch(now);
        self.inode_mut(to_key)?.touch(now);
        let inode = self.inode_mut(key)?;
        inode.times.changed = now;
        if let Body::Directory(directory) = &mut inode.body {
            directory.parent = to_key;
        }
        replaced.map_or(Ok(()), |(other, _)| self.drop_name(other, now))
    }

    /// Whether the directory `key`, which has a name, is `above` or lies beneath it.
    fn lies_in(&self, mut key: Key, above: Key) -> Result<bool> {
        while key != above {
            let parent = self.directory(key)?.parent;
            if parent == key {
                return Ok(false);
            }
            key = parent;
        }
        Ok(true)
    }
}
