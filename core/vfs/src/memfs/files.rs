//! The operations of a memory file system, as the mount table calls them.

use alloc::boxed::Box;
use alloc::string::String;

use super::content::Content;
use super::directory::Directory;
use super::inode::Body;
use super::{MemFs, NAMES_MAX};
use crate::slab::Key;
use crate::{
    Attributes, DirEntry, Error, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir, Result, SetTime,
    SyncKind,
};

impl FileSystem for MemFs {
    fn root(&self) -> Handle {
        self.root_handle
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let inode = self.find(dir, name)?.inode;
        self.open_key(inode, false, false)
    }

    fn close(&mut self, handle: Handle) {
        if handle == self.root_handle {
            return;
        }
        if let Some(open) = self.opened.remove(handle.0) {
            if let Ok(inode) = self.inode_mut(open.inode) {
                inode.opened -= 1;
            }
            self.release(open.inode);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        let key = self.opened(handle)?.inode;
        Ok(self.inode(key)?.attributes(key))
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        let key = self.find(dir, name)?.inode;
        Ok(self.inode(key)?.attributes(key))
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        match &self.inode(self.find(dir, name)?.inode)?.body {
            Body::Link(target) => Ok(String::from(&**target)),
            _ => Err(Error::INVAL),
        }
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let (key, kind) = match self.find(dir, name) {
            Ok(_) if options.create && options.exclusive => return Err(Error::EXIST),
            Ok(entry) => (entry.inode, entry.kind),
            Err(Error::NOENT) if options.create => {
                let file = |options: &super::MemFsOptions, _| {
                    Body::File(Content::new(&options.bytes, &options.memory))
                };
                (self.create(dir, name, 0, file)?, FileType::Regular)
            }
            Err(error) => return Err(error),
        };
        match kind {
            FileType::Directory if options.mutates() => return Err(Error::ISDIR),
            FileType::Regular | FileType::Symlink if options.directory => return Err(Error::NOTDIR),
            FileType::Symlink => return Err(Error::LOOP),
            FileType::Directory | FileType::Regular => {}
        }
        let handle = self.open_key(key, options.read, options.write)?;
        if options.truncate {
            let now = self.now();
            self.content_mut(key)?.set_size(0);
            self.inode_mut(key)?.touch(now);
        }
        Ok(Opened { handle, kind })
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let key = self.opened(dir)?.inode;
        self.directory(key)?;
        self.open_key(key, true, false)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let open = self.opened(file)?;
        let inode = self.inode(open.inode)?;
        let times = inode.times;
        let length = match &inode.body {
            Body::Directory(_) => return Err(Error::ISDIR),
            Body::File(content) if open.read => {
                end(offset, buffers.iter().map(|buffer| buffer.len()))?;
                content.read(offset, buffers)
            }
            _ => return Err(Error::BADF),
        };
        if times.accessed <= times.modified || times.accessed <= times.changed {
            let now = self.now();
            self.inode_mut(open.inode)?.times.accessed = now;
        }
        Ok(length)
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let key = self.writable(file)?;
        self.write(key, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        let key = self.writable(file)?;
        let offset = self.content_mut(key)?.size();
        let length = self.write(key, offset, buffers)?;
        Ok((length, offset + length as u64))
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        let key = self.writable(file)?;
        self.fits(end(size, [])?)?;
        let now = self.now();
        self.content_mut(key)?.set_size(size);
        self.inode_mut(key)?.touch(now);
        Ok(())
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        if length == 0 || offset > i64::MAX as u64 || length > i64::MAX as u64 {
            return Err(Error::INVAL);
        }
        let key = self.writable(file)?;
        let end = self.fits(offset + length)?;
        let now = self.now();
        self.content_mut(key)?.allocate(offset, end)?;
        self.inode_mut(key)?.touch(now);
        Ok(())
    }

    fn sync(&mut self, handle: Handle, _what: SyncKind) -> Result<()> {
        self.opened(handle).map(|_| ())
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        let (key, now) = (self.opened(handle)?.inode, self.now());
        self.inode_mut(key)?.set_times(now, accessed, modified);
        Ok(())
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        let (key, now) = (self.find(dir, name)?.inode, self.now());
        self.inode_mut(key)?.set_times(now, accessed, modified);
        Ok(())
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        for (next, entry) in self.directory(self.opened(dir)?.inode)?.after(cookie) {
            let name = String::from(&*entry.name);
            if !sink(DirEntry { next, inode: entry.inode, kind: entry.kind, name }) {
                break;
            }
        }
        Ok(())
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.create(dir, name, 0, |options, parent| {
            Body::Directory(Directory::new(parent, &options.memory))
        })?;
        Ok(())
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        let key = self.find(dir, name)?.inode;
        if !self.directory(key)?.is_empty() {
            return Err(Error::NOTEMPTY);
        }
        self.remove_name(dir, name)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        if self.find(dir, name)?.kind == FileType::Directory {
            return Err(Error::ISDIR);
        }
        self.remove_name(dir, name)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.move_name(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (key, kind) = self.find(from_dir, from).map(|entry| (entry.inode, entry.kind))?;
        match self.find(to_dir, to) {
            Ok(_) => return Err(Error::EXIST),
            Err(Error::NOENT) => {}
            Err(error) => return Err(error),
        }
        let to_key = self.opened(to_dir)?.inode;
        if self.inode(to_key)?.names == 0 {
            return Err(Error::NOENT);
        }
        if kind == FileType::Directory {
            return Err(Error::PERM);
        }
        if self.inode(key)?.names >= NAMES_MAX {
            return Err(Error::MLINK);
        }
        let unit = self.options.inodes.charge(1).ok_or(Error::NOSPC)?;
        self.directory_mut(to_key)?.put(to, key, kind)?;
        let now = self.now();
        self.inode_mut(to_key)?.touch(now);
        let inode = self.inode_mut(key)?;
        if let Some(units) = &mut inode.units {
            units.merge(unit);
        }
        inode.names += 1;
        inode.times.changed = now;
        Ok(())
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.create(dir, name, target.len() as u64, |_, _| Body::Link(Box::from(target)))?;
        Ok(())
    }
}

impl MemFs {
    /// The file that a handle may write to.
    fn writable(&self, file: Handle) -> Result<Key> {
        let open = self.opened(file)?;
        if open.write { Ok(open.inode) } else { Err(Error::BADF) }
    }

    /// The end of a file, when it may be as large as that.
    fn fits(&self, end: u64) -> Result<u64> {
        if end > self.options.max_file.min(i64::MAX as u64) { Err(Error::FBIG) } else { Ok(end) }
    }

    fn write(&mut self, key: Key, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let end = end(offset, buffers.iter().map(|buffer| buffer.len()))?;
        if end == offset {
            return Ok(0);
        }
        self.fits(end)?;
        let now = self.now();
        let length = self.content_mut(key)?.write(offset, buffers)?;
        self.inode_mut(key)?.touch(now);
        Ok(length)
    }
}

/// Where a range ends. `INVAL` beyond `i64::MAX`, as on Linux.
fn end(offset: u64, lengths: impl IntoIterator<Item = usize>) -> Result<u64> {
    let end = lengths.into_iter().try_fold(offset, |end, length| end.checked_add(length as u64));
    end.filter(|&end| end <= i64::MAX as u64).ok_or(Error::INVAL)
}
