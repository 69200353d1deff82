//! A file system in memory.

mod content;
mod directory;
mod files;
mod inode;
mod names;

use alloc::boxed::Box;
use alloc::sync::Arc;

use self::content::Content;
use self::directory::{Directory, Entry};
use self::inode::{Body, INODE_COST, Inode};
use crate::slab::{Key, Slab};
use crate::{Budget, Clock, Error, Handle, Result, Times};

/// What bounds a [`MemFs`], and its clock.
#[derive(Clone)]
pub struct MemFsOptions {
    /// The quota for the contents of files, in bytes. A hole is not counted. Beyond it: `NOSPC`.
    pub bytes: Budget,
    /// The quota for files, directories and links together (the root is not counted), and one more for each further
    /// name of a file. Beyond it: `NOSPC`.
    pub inodes: Budget,
    /// The app's memory, in bytes: contents with their room to grow, inodes, names, targets of links. Beyond it:
    /// `NOMEM`.
    pub memory: Budget,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The largest size of a file in bytes, holes included, at most `i64::MAX`. Beyond it: `FBIG`.
    pub max_file: u64,
}

/// A file system in memory with the semantics of Linux: files without a name live until their last handle is closed,
/// hard links, sparse files, listings that are stable under changes. A file is marked as read when it was changed
/// since the last time (`relatime`).
///
/// Everything is charged before it is stored and given back when it goes; dropping the file system gives back the
/// rest.
pub struct MemFs {
    options: MemFsOptions,
    inodes: Slab<Box<Inode>>,
    root: Key,
    opened: Slab<Open>,
    root_handle: Handle,
}

/// What a handle stands for.
#[derive(Clone, Copy)]
struct Open {
    inode: Key,
    read: bool,
    write: bool,
}

/// The most names of one file; `MLINK` beyond.
const NAMES_MAX: u64 = 65_000;

impl MemFs {
    /// An empty file system.
    #[must_use]
    pub fn new(options: MemFsOptions) -> Self {
        let mut fs =
            Self { options, inodes: Slab::new(), root: 0, opened: Slab::new(), root_handle: Handle(0) };
        let now = fs.now();
        let inode = Inode {
            // The first key of an empty table is 1.
            body: Body::Directory(Directory::new(1, &fs.options.memory)),
            names: 1,
            opened: 1,
            times: Times { accessed: now, modified: now, changed: now },
            units: None,
            _memory: None,
        };
        fs.root = fs.inodes.insert(Box::new(inode)).unwrap_or(0);
        fs.root_handle =
            Handle(fs.opened.insert(Open { inode: fs.root, read: true, write: false }).unwrap_or(0));
        fs
    }

    fn now(&self) -> u64 {
        self.options.clock.now()
    }

    fn opened(&self, handle: Handle) -> Result<Open> {
        self.opened.get(handle.0).copied().ok_or(Error::BADF)
    }

    fn inode(&self, key: Key) -> Result<&Inode> {
        self.inodes.get(key).map(|inode| &**inode).ok_or(Error::BADF)
    }

    fn inode_mut(&mut self, key: Key) -> Result<&mut Inode> {
        self.inodes.get_mut(key).map(|inode| &mut **inode).ok_or(Error::BADF)
    }

    fn directory(&self, key: Key) -> Result<&Directory> {
        match &self.inode(key)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NOTDIR),
        }
    }

    fn directory_mut(&mut self, key: Key) -> Result<&mut Directory> {
        match &mut self.inode_mut(key)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NOTDIR),
        }
    }

    fn content_mut(&mut self, key: Key) -> Result<&mut Content> {
        match &mut self.inode_mut(key)?.body {
            Body::File(content) => Ok(content),
            Body::Directory(_) => Err(Error::ISDIR),
            Body::Link(_) => Err(Error::BADF),
        }
    }

    /// What `name` in the directory stands for.
    fn find(&self, dir: Handle, name: &str) -> Result<&Entry> {
        self.directory(self.opened(dir)?.inode)?.get(name).ok_or(Error::NOENT)
    }

    fn open_key(&mut self, inode: Key, read: bool, write: bool) -> Result<Handle> {
        let handle = self.opened.insert(Open { inode, read, write })?;
        self.inode_mut(inode)?.opened += 1;
        Ok(Handle(handle))
    }

    /// Frees the inode when nothing leads to it any more.
    fn release(&mut self, key: Key) {
        if self.inodes.get(key).is_some_and(|inode| inode.names == 0 && inode.opened == 0) {
            self.inodes.remove(key);
        }
    }

    /// Creates a thing under a name that is free. `extra` is what it takes of memory beside its inode, in bytes.
    fn create(
        &mut self,
        dir: Handle,
        name: &str,
        extra: u64,
        body: impl FnOnce(&MemFsOptions, Key) -> Body,
    ) -> Result<Key> {
        let parent = self.opened(dir)?.inode;
        let inode = self.inode(parent)?;
        if inode.names == 0 {
            // A directory that was removed and is still open takes nothing new.
            return Err(Error::NOENT);
        }
        if self.directory(parent)?.get(name).is_some() {
            return Err(Error::EXIST);
        }
        let units = self.options.inodes.charge(1).ok_or(Error::NOSPC)?;
        let memory = self.options.memory.charge(INODE_COST + extra).ok_or(Error::NOMEM)?;
        let now = self.now();
        let inode = Inode {
            body: body(&self.options, parent),
            names: 1,
            opened: 0,
            times: Times { accessed: now, modified: now, changed: now },
            units: Some(units),
            _memory: Some(memory),
        };
        let kind = inode.kind();
        let key = self.inodes.insert(Box::new(inode))?;
        if let Err(error) = self.directory_mut(parent)?.put(name, key, kind) {
            self.inodes.remove(key);
            return Err(error);
        }
        self.inode_mut(parent)?.touch(now);
        Ok(key)
    }
}
