//! A file, directory or link of a memory file system, apart from its names.

use alloc::boxed::Box;

use super::content::Content;
use super::directory::Directory;
use crate::{Attributes, Charge, FileType, SetTime, Times};

/// Bytes that an inode takes: itself, its place in the table, the allocator's own.
pub(super) const INODE_COST: u64 = size_of::<Inode>() as u64 + 64;

/// One thing in the tree. It lives while it has a name or an open handle.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) body: Body,
    /// How many entries name it; the root counts as named.
    pub(super) names: u64,
    /// How many open handles there are.
    pub(super) opened: u64,
    pub(super) times: Times,
    /// Of the volume's inodes: one for each name, or one while it is only open. None for the root, which is there
    /// before the app.
    pub(super) units: Option<Charge>,
    /// Its bytes of the app's memory. None for the root.
    pub(super) _memory: Option<Charge>,
}

#[derive(Debug)]
pub(super) enum Body {
    File(Content),
    Directory(Directory),
    Link(Box<str>),
}

impl Inode {
    pub(super) fn kind(&self) -> FileType {
        match self.body {
            Body::File(_) => FileType::Regular,
            Body::Directory(_) => FileType::Directory,
            Body::Link(_) => FileType::Symlink,
        }
    }

    pub(super) fn attributes(&self, inode: u64) -> Attributes {
        let (size, links) = match &self.body {
            Body::File(content) => (content.size(), self.names),
            Body::Link(target) => (target.len() as u64, self.names),
            // Its own `.`, and the `..` of every directory in it, as on most file systems of Linux.
            Body::Directory(directory) => (0, if self.names == 0 { 0 } else { 2 + directory.directories }),
        };
        Attributes { device: 0, inode, kind: self.kind(), links, size, times: self.times }
    }

    /// The contents changed.
    pub(super) fn touch(&mut self, now: u64) {
        (self.times.modified, self.times.changed) = (now, now);
    }

    pub(super) fn set_times(&mut self, now: u64, accessed: SetTime, modified: SetTime) {
        for (time, set) in [(&mut self.times.accessed, accessed), (&mut self.times.modified, modified)] {
            match set {
                SetTime::Keep => {}
                SetTime::Now => *time = now,
                SetTime::At(at) => *time = at,
            }
        }
        if (accessed, modified) != (SetTime::Keep, SetTime::Keep) {
            self.times.changed = now;
        }
    }
}
