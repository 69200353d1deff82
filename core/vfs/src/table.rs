//! The mount table: which file system lies where, and what may be changed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::resolve::{NAME_MAX, PATH_MAX};
use crate::{Attributes, Error, FileSystem, FileType, Handle, PackedFs, Result};

/// An open directory, file or looked-up thing in one mount. Closed once by its owner with [`Vfs::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub(crate) mount: u16,
    pub(crate) handle: Handle,
}

/// What may be done in a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing can be changed, by no call.
    ReadOnly,
    /// Everything that the file system allows.
    ReadWrite,
}

/// The file systems of one app, mounted beneath each other, and the only way to them.
///
/// Paths are relative to a [`Node`] and never leave it, nor a mount that they have entered. The rules of resolution
/// are those of Linux with `RESOLVE_BENEATH`: see [`open`](Self::open).
#[derive(Default)]
pub struct Vfs {
    mounts: Vec<Mount>,
}

/// The most mounts, those included that are made for the missing parents of others.
const MOUNTS_MAX: usize = 1024;

struct Mount {
    path: String,
    fs: Box<dyn FileSystem>,
    access: Access,
    /// What the file system calls its root's device; what it calls so is one device to the guest.
    device: u64,
    /// The mounts that lie directly beneath.
    grafts: Vec<Graft>,
    /// The directories on the way to them, which must stay where they are.
    held: Vec<Id>,
}

/// A mount point: a name in a directory. The directory is held open, so its [`Id`] stays its own.
struct Graft {
    dir: Id,
    name: Box<str>,
    mount: u16,
}

/// A file within its mount: what the file system calls its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    pub(crate) const fn of(attributes: &Attributes) -> Self {
        Self { device: attributes.device, inode: attributes.inode }
    }
}

impl Vfs {
    /// A table without mounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts a file system at a normalised absolute path such as `/` or `/data`. It hides what the mount around it
    /// has there; directories that are missing on the way are made, empty and read-only.
    ///
    /// # Errors
    ///
    /// `INVAL` when the path is not normalised, or lies above an older mount: the outer one must come first. `BUSY`
    /// when it is taken. `NOMEM` at more than 1024 mounts. Otherwise what the file systems say.
    pub fn mount(&mut self, path: &str, fs: Box<dyn FileSystem>, access: Access) -> Result<()> {
        if !is_normal(path) {
            return Err(Error::INVAL);
        }
        if self.mounts.iter().any(|mount| mount.path == path) {
            return Err(Error::BUSY);
        }
        if self.mounts.iter().any(|mount| beneath(path, &mount.path).is_some()) {
            return Err(Error::INVAL);
        }
        let around = self
            .mounts
            .iter()
            .enumerate()
            .filter_map(|(index, mount)| Some((index, beneath(&mount.path, path)?)))
            .min_by_key(|(_, rest)| rest.len());
        let Some((outer, rest)) = around else {
            return self.add(path, fs, access).map(|_| ());
        };
        let mut here = self.root(outer as u16)?;
        let mounted = self.graft(&mut here, path, path.len() - rest.len(), fs, access);
        if mounted.is_err() {
            self.close(here);
        }
        mounted
    }

    /// Goes down from `here` along the names of `path` that begin at `at`, and mounts under the last.
    fn graft(
        &mut self,
        here: &mut Node,
        path: &str,
        mut at: usize,
        fs: Box<dyn FileSystem>,
        access: Access,
    ) -> Result<()> {
        while let Some(length) = path[at..].find('/') {
            let name = &path[at..at + length];
            self.hold(*here)?;
            *here = match self.inner(*here, name)? {
                Some(inner) => {
                    self.close(*here);
                    inner
                }
                None => self.attach(
                    *here,
                    &path[..at + length],
                    name,
                    Box::new(PackedFs::empty()),
                    Access::ReadOnly,
                )?,
            };
            at += length + 1;
        }
        self.attach(*here, path, &path[at..], fs, access).map(|_| ())
    }

    /// The directory `name` in `dir`; `None` when there is none, or something else that the mount will hide.
    fn inner(&mut self, dir: Node, name: &str) -> Result<Option<Node>> {
        let fs = self.fs(dir)?;
        let handle = match fs.lookup(dir.handle, name) {
            Ok(handle) => handle,
            Err(Error::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        match fs.attributes(handle) {
            Ok(attributes) if attributes.kind == FileType::Directory => Ok(Some(Node { handle, ..dir })),
            other => {
                fs.close(handle);
                other.map(|_| None)
            }
        }
    }

    /// Mounts at `name` in `dir`, which stays open from now on. Returns the root of the mount.
    fn attach(
        &mut self,
        dir: Node,
        path: &str,
        name: &str,
        fs: Box<dyn FileSystem>,
        access: Access,
    ) -> Result<Node> {
        let id = self.hold(dir)?;
        let mount = self.add(path, fs, access)?;
        self.mount_of(dir)?.grafts.push(Graft { dir: id, name: name.into(), mount });
        self.root(mount)
    }

    /// Marks a directory as one that must stay where it is.
    fn hold(&mut self, dir: Node) -> Result<Id> {
        let id = self.id(dir)?;
        let mount = self.mount_of(dir)?;
        if !mount.held.contains(&id) {
            mount.held.push(id);
        }
        Ok(id)
    }

    fn add(&mut self, path: &str, mut fs: Box<dyn FileSystem>, access: Access) -> Result<u16> {
        if self.mounts.len() >= MOUNTS_MAX {
            return Err(Error::NOMEM);
        }
        let root = fs.root();
        let device = fs.attributes(root)?.device;
        let (grafts, held) = (Vec::new(), Vec::new());
        self.mounts.push(Mount { path: path.into(), fs, access, device, grafts, held });
        Ok((self.mounts.len() - 1) as u16)
    }

    /// The root directory of the mount at exactly `path`, as a base for paths.
    ///
    /// # Errors
    ///
    /// `NOENT` when nothing is mounted there.
    pub fn open_root(&mut self, path: &str) -> Result<Node> {
        let mount = self.mounts.iter().position(|mount| mount.path == path).ok_or(Error::NOENT)?;
        self.root(mount as u16)
    }

    /// What may be done in the mount of `node`.
    #[must_use]
    pub fn access(&self, node: Node) -> Access {
        self.mounts.get(usize::from(node.mount)).map_or(Access::ReadOnly, |mount| mount.access)
    }

    /// Ends the use of a node.
    pub fn close(&mut self, node: Node) {
        if let Ok(fs) = self.fs(node)
            && node.handle != fs.root()
        {
            fs.close(node.handle);
        }
    }

    /// The one check that every change goes through: `ROFS` in a read-only mount.
    pub(crate) fn writable(&self, node: Node) -> Result<()> {
        match self.access(node) {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Error::ROFS),
        }
    }

    fn mount_of(&mut self, node: Node) -> Result<&mut Mount> {
        self.mounts.get_mut(usize::from(node.mount)).ok_or(Error::BADF)
    }

    pub(crate) fn fs(&mut self, node: Node) -> Result<&mut dyn FileSystem> {
        Ok(&mut *self.mount_of(node)?.fs)
    }

    pub(crate) fn root(&self, mount: u16) -> Result<Node> {
        let found = self.mounts.get(usize::from(mount)).ok_or(Error::BADF)?;
        Ok(Node { mount, handle: found.fs.root() })
    }

    pub(crate) fn id(&mut self, node: Node) -> Result<Id> {
        Ok(Id::of(&self.fs(node)?.attributes(node.handle)?))
    }

    /// Whether anything is mounted beneath the mount of `node`.
    pub(crate) fn has_grafts(&self, node: Node) -> bool {
        self.mounts.get(usize::from(node.mount)).is_some_and(|mount| !mount.grafts.is_empty())
    }

    /// Whether the file system of `node` may resolve whole paths itself.
    pub(crate) fn is_fast(&self, node: Node) -> bool {
        let mount = self.mounts.get(usize::from(node.mount));
        mount.is_some_and(|mount| mount.grafts.is_empty() && mount.fs.resolves_paths())
    }

    /// The root of what is mounted at `name` in the directory `dir`.
    pub(crate) fn graft_at(&mut self, dir: Node, name: &str) -> Result<Option<Node>> {
        // Asking for the directory's identity can cost a system call, so the name is compared first.
        if !self.mount_of(dir)?.grafts.iter().any(|graft| *graft.name == *name) {
            return Ok(None);
        }
        let id = self.id(dir)?;
        let graft = self.mount_of(dir)?.grafts.iter().find(|graft| graft.dir == id && *graft.name == *name);
        graft.map(|graft| graft.mount).map(|mount| self.root(mount)).transpose()
    }

    /// What is mounted in the directory `dir`: names and roots, in the order of mounting.
    pub(crate) fn grafts_in(&mut self, dir: Node) -> Result<Vec<(Box<str>, Node)>> {
        if !self.has_grafts(dir) {
            return Ok(Vec::new());
        }
        let id = self.id(dir)?;
        let grafts = self.mount_of(dir)?.grafts.iter().filter(|graft| graft.dir == id);
        let grafts: Vec<_> = grafts.map(|graft| (graft.name.clone(), graft.mount)).collect();
        grafts.into_iter().map(|(name, mount)| Ok((name, self.root(mount)?))).collect()
    }

    /// `BUSY` when `name` in `dir` is a directory that holds a mount point.
    pub(crate) fn not_held(&mut self, dir: Node, name: &str) -> Result<()> {
        if !self.has_grafts(dir) {
            return Ok(());
        }
        let id = Id::of(&self.fs(dir)?.attributes_at(dir.handle, name)?);
        if self.mount_of(dir)?.held.contains(&id) { Err(Error::BUSY) } else { Ok(()) }
    }

    /// Gives attributes the device number that the guest sees: unique to the mount, and within it to each device
    /// that the file system spans. The root's is the mount's number alone, whatever the host calls it.
    pub(crate) fn seen(&mut self, node: Node, attributes: Attributes) -> Result<Attributes> {
        // Device numbers of Linux have at most 44 bits.
        const BITS: u32 = 48;
        let inner = (attributes.device ^ self.mount_of(node)?.device) & ((1 << BITS) - 1);
        Ok(Attributes { device: (u64::from(node.mount) + 1) << BITS | inner, ..attributes })
    }
}

/// The part of `path` beneath `above`, without a leading slash; `None` when it does not lie beneath.
fn beneath<'a>(above: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(above)?;
    let rest = if above == "/" { rest } else { rest.strip_prefix('/')? };
    (!rest.is_empty()).then_some(rest)
}

/// Whether a path is absolute and every name in it legal.
fn is_normal(path: &str) -> bool {
    let legal =
        |name: &str| !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains('\0');
    path.len() <= PATH_MAX
        && path.strip_prefix('/').is_some_and(|names| names.is_empty() || names.split('/').all(legal))
}
