//! `/svc` of a component: a folder for each service that it may dial, and in it `.info`, which describes the service as it is
//! when it is opened. Nothing is dialled by a path here; that is what `wasi:sockets` is for.

use std::collections::BTreeMap;

use qyv_vfs::{
    Attributes, Budget, Charge, DirEntry, Error, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir,
    Result, SetTime, SyncKind, Times,
};

use super::services::Line;

/// Where a component finds it.
pub(super) const PLACE: &str = "/svc";

/// What describes a service.
const INFO: &str = ".info";

const ROOT: Handle = Handle(0);
const ROOT_INODE: u64 = 1;

/// What an open handle costs besides the text that it holds, in bytes: an estimate.
const HANDLE_BYTES: u64 = 128;

/// A read-only tree over what the host says of services.
pub(super) struct Described {
    host: Line,
    memory: Budget,
    open: BTreeMap<u64, (Node, Charge)>,
    next: u64,
    /// Services that were looked at: the place in this list makes their inode. They exist and are granted, so a manifest
    /// bounds how many there are.
    seen: Vec<String>,
}

enum Node {
    Root,
    Service(usize),
    Info(usize, String),
}

impl Described {
    /// Texts and handles are charged to `memory`.
    pub(super) fn new(host: Line, memory: Budget) -> Self {
        Self { host, memory, open: BTreeMap::new(), next: 0, seen: Vec::new() }
    }

    fn node(&self, handle: Handle) -> Result<&Node> {
        if handle == ROOT {
            return Ok(&Node::Root);
        }
        self.open.get(&handle.0).map(|(node, _)| node).ok_or(Error::BADF)
    }

    fn keep(&mut self, node: Node) -> Result<Handle> {
        let text = if let Node::Info(_, text) = &node { text.len() as u64 } else { 0 };
        let charge = self.memory.charge(HANDLE_BYTES + text).ok_or(Error::NOMEM)?;
        self.next += 1;
        self.open.insert(self.next, (node, charge));
        Ok(Handle(self.next))
    }

    /// What `name` in a folder is. The grant is looked at first, whether the service exists or not.
    fn find(&mut self, dir: Handle, name: &str) -> Result<Node> {
        match self.node(dir)? {
            Node::Root => {
                self.host.with(|host| host.service(name, None))?;
                let known = self.seen.iter().position(|seen| seen == name);
                Ok(Node::Service(known.unwrap_or_else(|| {
                    self.seen.push(name.to_owned());
                    self.seen.len() - 1
                })))
            }
            Node::Service(index) if name == INFO => {
                let (index, service) = (*index, self.seen.get(*index).ok_or(Error::NOENT)?);
                let text = self.host.with(|host| host.service_info(service))?;
                Ok(Node::Info(index, text))
            }
            Node::Service(_) => Err(Error::NOENT),
            Node::Info(..) => Err(Error::NOTDIR),
        }
    }
}

fn kind(node: &Node) -> FileType {
    if matches!(node, Node::Info(..)) { FileType::Regular } else { FileType::Directory }
}

fn inode(node: &Node) -> u64 {
    match node {
        Node::Root => ROOT_INODE,
        Node::Service(index) => 2 + 2 * *index as u64,
        Node::Info(index, _) => 3 + 2 * *index as u64,
    }
}

fn attributes(node: &Node) -> Attributes {
    let size = if let Node::Info(_, text) = node { text.len() as u64 } else { 0 };
    Attributes { device: 0, inode: inode(node), kind: kind(node), links: 1, size, times: Times::default() }
}

impl FileSystem for Described {
    fn root(&self) -> Handle {
        ROOT
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let node = self.find(dir, name)?;
        self.keep(node)
    }

    fn close(&mut self, handle: Handle) {
        self.open.remove(&handle.0);
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.node(handle).map(attributes)
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        self.find(dir, name).map(|node| attributes(&node))
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.find(dir, name)?;
        Err(Error::INVAL)
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let node = self.find(dir, name)?;
        let kind = kind(&node);
        match kind {
            _ if options.create && options.exclusive => Err(Error::EXIST),
            FileType::Directory if options.mutates() => Err(Error::ISDIR),
            FileType::Regular if options.directory => Err(Error::NOTDIR),
            FileType::Regular if options.write || options.truncate => Err(Error::ROFS),
            _ => Ok(Opened { handle: self.keep(node)?, kind }),
        }
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let again = match self.node(dir)? {
            Node::Root => Node::Root,
            Node::Service(index) => Node::Service(*index),
            Node::Info(..) => return Err(Error::NOTDIR),
        };
        self.keep(again)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let Node::Info(_, text) = self.node(file)? else { return Err(Error::ISDIR) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = text.as_bytes().get(start..).unwrap_or_default();
        let all = rest.len();
        for buffer in buffers {
            let (now, later) = rest.split_at(buffer.len().min(rest.len()));
            buffer[..now.len()].copy_from_slice(now);
            rest = later;
        }
        Ok(all - rest.len())
    }

    fn write_at(&mut self, _: Handle, _: u64, _: &[&[u8]]) -> Result<usize> {
        Err(Error::BADF)
    }

    fn append(&mut self, _: Handle, _: &[&[u8]]) -> Result<(usize, u64)> {
        Err(Error::BADF)
    }

    fn set_size(&mut self, _: Handle, _: u64) -> Result<()> {
        Err(Error::BADF)
    }

    fn allocate(&mut self, _: Handle, _: u64, _: u64) -> Result<()> {
        Err(Error::BADF)
    }

    fn sync(&mut self, handle: Handle, _: SyncKind) -> Result<()> {
        self.node(handle).map(drop)
    }

    fn set_times(&mut self, _: Handle, _: SetTime, _: SetTime) -> Result<()> {
        Err(Error::ROFS)
    }

    fn set_times_at(&mut self, _: Handle, _: &str, _: SetTime, _: SetTime) -> Result<()> {
        Err(Error::ROFS)
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let names = match self.node(dir)? {
            Node::Root => self.host.with(qyv_wasi::Host::services),
            Node::Service(_) => vec![INFO.to_owned()],
            Node::Info(..) => return Err(Error::NOTDIR),
        };
        let first = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (index, name) in names.into_iter().enumerate().skip(first) {
            // What is granted and not there is no entry, as for whoever looks it up.
            let Ok(node) = self.find(dir, &name) else { continue };
            let next = index as u64 + 1;
            if !sink(DirEntry { next, inode: inode(&node), kind: kind(&node), name }) {
                break;
            }
        }
        Ok(())
    }

    fn create_dir(&mut self, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }

    fn remove_dir(&mut self, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }

    fn unlink(&mut self, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }

    fn rename(&mut self, _: Handle, _: &str, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }

    fn link(&mut self, _: Handle, _: &str, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }

    fn symlink(&mut self, _: &str, _: Handle, _: &str) -> Result<()> {
        Err(Error::ROFS)
    }
}
