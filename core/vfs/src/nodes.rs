//! The operations of [`Vfs`] on what is open.

use crate::{Advice, Attributes, DirEntry, FileType, Node, ReadDir, Result, SetTime, SyncKind, Vfs};

/// Set in the cookie of a mount point in its parent's listing. The cookies of file systems lie below.
const GRAFT: u64 = 1 << 63;

impl Vfs {
    /// What is known of a node. The device number is the mount's.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn attributes(&mut self, node: Node) -> Result<Attributes> {
        let attributes = self.fs(node)?.attributes(node.handle)?;
        self.seen(node, attributes)
    }

    /// Sets the times of a node.
    ///
    /// # Errors
    ///
    /// `ROFS`, or those of the file system.
    pub fn set_times(&mut self, node: Node, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.writable(node)?;
        self.fs(node)?.set_times(node.handle, accessed, modified)
    }

    /// As [`FileSystem::read_at`](crate::FileSystem::read_at).
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn read_at(&mut self, node: Node, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        self.fs(node)?.read_at(node.handle, offset, buffers)
    }

    /// As [`FileSystem::write_at`](crate::FileSystem::write_at).
    ///
    /// # Errors
    ///
    /// `ROFS`, or those of the file system.
    pub fn write_at(&mut self, node: Node, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        self.writable(node)?;
        self.fs(node)?.write_at(node.handle, offset, buffers)
    }

    /// As [`FileSystem::append`](crate::FileSystem::append).
    ///
    /// # Errors
    ///
    /// `ROFS`, or those of the file system.
    pub fn append(&mut self, node: Node, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.writable(node)?;
        self.fs(node)?.append(node.handle, buffers)
    }

    /// As [`FileSystem::set_size`](crate::FileSystem::set_size).
    ///
    /// # Errors
    ///
    /// `ROFS`, or those of the file system.
    pub fn set_size(&mut self, node: Node, size: u64) -> Result<()> {
        self.writable(node)?;
        self.fs(node)?.set_size(node.handle, size)
    }

    /// As [`FileSystem::allocate`](crate::FileSystem::allocate).
    ///
    /// # Errors
    ///
    /// `ROFS`, or those of the file system.
    pub fn allocate(&mut self, node: Node, offset: u64, length: u64) -> Result<()> {
        self.writable(node)?;
        self.fs(node)?.allocate(node.handle, offset, length)
    }

    /// As [`FileSystem::advise`](crate::FileSystem::advise).
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn advise(&mut self, node: Node, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.fs(node)?.advise(node.handle, offset, length, advice)
    }

    /// As [`FileSystem::sync`](crate::FileSystem::sync).
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn sync(&mut self, node: Node, what: SyncKind) -> Result<()> {
        self.fs(node)?.sync(node.handle, what)
    }

    /// As [`FileSystem::read_dir`](crate::FileSystem::read_dir), with the mount points of the directory first.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn read_dir(&mut self, node: Node, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let grafts = self.grafts_in(node)?;
        let mut cookie = cookie;
        if cookie == 0 || cookie & GRAFT != 0 {
            let seen = usize::try_from(cookie & !GRAFT).unwrap_or(usize::MAX);
            for (index, (name, root)) in grafts.iter().enumerate().skip(seen) {
                let inode = self.attributes(*root)?.inode;
                let next = GRAFT | (index as u64 + 1);
                if !sink(DirEntry { next, inode, kind: FileType::Directory, name: (&**name).into() }) {
                    return Ok(());
                }
            }
            cookie = 0;
        }
        let fs = self.fs(node)?;
        if grafts.is_empty() {
            return fs.read_dir(node.handle, cookie, sink);
        }
        fs.read_dir(node.handle, cookie, &mut |entry| {
            grafts.iter().any(|(name, _)| **name == *entry.name) || sink(entry)
        })
    }
}
