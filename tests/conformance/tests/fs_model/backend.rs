//! One mount table with one file system, driven by the operations.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use qyv_vfs::{
    Access, Attributes, Budget, Clock, Error, FileSystem, FileType, MemFs, MemFsOptions, Node, OpenOptions,
    Overlay, Result, Vfs,
};
use qyvol_fs::{DiskFs, DiskFsOptions, portable};

use crate::model::Ino;
use crate::ops::{FILE_BYTES_MAX, Op, SLOTS};
use crate::outcome::{Described, Outcome};

pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) vfs: Vfs,
    pub(crate) root: Node,
    slots: [Option<(Node, FileType)>; SLOTS],
    /// What the file system calls each file of the model: never changes while the file exists.
    identities: HashMap<Ino, (u64, u64)>,
    /// Whether it is an overlay: descriptors from before a change behave differently.
    pub(crate) overlay: bool,
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64)
    }
}

/// The budgets of a file system in memory.
pub(crate) struct Budgets {
    pub(crate) bytes: Budget,
    pub(crate) inodes: Budget,
    pub(crate) memory: Budget,
}

impl Budgets {
    pub(crate) fn unlimited() -> Self {
        Self { bytes: Budget::unlimited(), inodes: Budget::unlimited(), memory: Budget::unlimited() }
    }

    pub(crate) fn options(&self) -> MemFsOptions {
        MemFsOptions {
            bytes: self.bytes.clone(),
            inodes: self.inodes.clone(),
            memory: self.memory.clone(),
            clock: Arc::new(SystemClock),
            max_file: FILE_BYTES_MAX,
        }
    }
}

impl Backend {
    pub(crate) fn new(name: &'static str, fs: Box<dyn FileSystem>) -> Self {
        let mut vfs = Vfs::new();
        vfs.mount("/", fs, Access::ReadWrite).expect("mounting");
        let root = vfs.open_root("/").expect("opening the root");
        Self { name, vfs, root, slots: [None; SLOTS], identities: HashMap::new(), overlay: false }
    }

    pub(crate) fn memory(budgets: &Budgets) -> Self {
        Self::new("memory", Box::new(MemFs::new(budgets.options())))
    }

    pub(crate) fn disk(name: &'static str, folder: &Path) -> Self {
        Self::new(name, Box::new(disk(folder)))
    }

    pub(crate) fn disk_by_components(folder: &Path) -> Self {
        Self::new("disk by components", Box::new(disk(folder).without_path_resolution()))
    }

    pub(crate) fn portable_disk(folder: &Path) -> Self {
        let disk = portable::DiskFs::open(folder, disk_options()).expect("opening the folder");
        Self::new("portable disk", Box::new(disk))
    }

    pub(crate) fn overlay(folder: &Path, budgets: &Budgets) -> Self {
        let overlay = Overlay::new(Box::new(disk(folder)), budgets.options()).expect("making the overlay");
        Self { overlay: true, ..Self::new("overlay", Box::new(overlay)) }
    }

    fn slot(&self, slot: usize) -> Result<Node> {
        self.slots[slot].map(|(node, _)| node).ok_or(Error::BADF)
    }

    fn base(&self, base: Option<usize>) -> Node {
        let base = base.and_then(|slot| self.slots[slot]).filter(|(_, kind)| *kind == FileType::Directory);
        base.map_or(self.root, |(node, _)| node)
    }

    /// Makes one call. Calls on an empty slot are the caller's to leave out.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<Outcome> {
        let done = |result: Result<()>| result.map(|()| Outcome::Done);
        match op {
            Op::Open { slot, base, path, follow, options } => {
                let (node, kind) = self.vfs.open(self.base(*base), path, *follow, options)?;
                self.close(*slot);
                self.slots[*slot] = Some((node, kind));
                Ok(Outcome::Opened(kind))
            }
            Op::Close { slot } => {
                self.close(*slot);
                Ok(Outcome::Done)
            }
            Op::Read { slot, offset, lengths } => self.read(self.slot(*slot)?, *offset, *lengths),
            Op::Write { slot, offset, lengths, byte } => {
                let buffers = lengths.map(|length| vec![*byte; length]);
                let node = self.slot(*slot)?;
                let count = self.vfs.write_at(node, *offset, &[&buffers[0], &buffers[1]])?;
                Ok(Outcome::Wrote(count, *offset + count as u64))
            }
            Op::Append { slot, lengths, byte } => {
                let buffers = lengths.map(|length| vec![*byte; length]);
                let (count, end) = self.vfs.append(self.slot(*slot)?, &[&buffers[0], &buffers[1]])?;
                Ok(Outcome::Wrote(count, end))
            }
            Op::SetSize { slot, size } => done(self.vfs.set_size(self.slot(*slot)?, *size)),
            Op::Allocate { slot, offset, length } => {
                done(self.vfs.allocate(self.slot(*slot)?, *offset, *length))
            }
            Op::Attributes { slot } => self.vfs.attributes(self.slot(*slot)?).map(Outcome::Attributes),
            Op::AttributesAt { base, path, follow } => {
                self.vfs.attributes_at(self.base(*base), path, *follow).map(Outcome::Attributes)
            }
            Op::SetTimes { slot, accessed, modified } => {
                done(self.vfs.set_times(self.slot(*slot)?, *accessed, *modified))
            }
            Op::SetTimesAt { base, path, follow, accessed, modified } => {
                done(self.vfs.set_times_at(self.base(*base), path, *follow, *accessed, *modified))
            }
            Op::ReadLink { base, path } => self.vfs.read_link(self.base(*base), path).map(Outcome::Target),
            Op::CreateDir { base, path } => done(self.vfs.create_dir(self.base(*base), path)),
            Op::RemoveDir { base, path } => done(self.vfs.remove_dir(self.base(*base), path)),
            Op::Unlink { base, path } => done(self.vfs.unlink(self.base(*base), path)),
            Op::Rename { from_base, from, to_base, to } => {
                done(self.vfs.rename(self.base(*from_base), from, self.base(*to_base), to))
            }
            Op::Link { from_base, from, follow, to_base, to } => {
                done(self.vfs.link(self.base(*from_base), from, *follow, self.base(*to_base), to))
            }
            Op::Symlink { target, base, path } => done(self.vfs.symlink(target, self.base(*base), path)),
            Op::List { slot, first, between } => {
                let node = self.slot(*slot)?;
                let mut names = Vec::new();
                let mut cookie = 0;
                // One entry a call, as a guest with a small buffer.
                for _ in 0..*first {
                    self.list(node, &mut cookie, 1, &mut names)?;
                }
                let outcome = between.as_ref().map(|op| Box::new(self.apply(op)));
                self.list(node, &mut cookie, usize::MAX, &mut names)?;
                Ok(Outcome::Names { names, between: outcome })
            }
        }
    }

    fn list(
        &mut self,
        node: Node,
        cookie: &mut u64,
        most: usize,
        names: &mut Vec<(String, FileType)>,
    ) -> Result<()> {
        let mut left = most;
        self.vfs.read_dir(node, *cookie, &mut |entry| {
            *cookie = entry.next;
            names.push((entry.name, entry.kind));
            left -= 1;
            left > 0
        })
    }

    fn read(&mut self, node: Node, offset: u64, lengths: [usize; 2]) -> Result<Outcome> {
        let [mut first, mut second] = lengths.map(|length| vec![0xee; length]);
        let count = self.vfs.read_at(node, offset, &mut [&mut first, &mut second])?;
        first.append(&mut second);
        first.truncate(count);
        Ok(Outcome::Bytes(first))
    }

    pub(crate) fn close(&mut self, slot: usize) {
        if let Some((node, _)) = self.slots[slot].take() {
            self.vfs.close(node);
        }
    }

    pub(crate) fn close_all(&mut self) {
        (0..SLOTS).for_each(|slot| self.close(slot));
    }

    /// Remembers what the file system calls a file of the model, and complains when it called it otherwise before.
    pub(crate) fn identify(&mut self, ino: Ino, attributes: &Attributes) -> std::result::Result<(), String> {
        let identity = (attributes.device, attributes.inode);
        let known = *self.identities.entry(ino).or_insert(identity);
        if known == identity {
            return Ok(());
        }
        Err(format!("{}: a file that was {known:?} is now {identity:?}", self.name))
    }

    /// The whole tree, by path.
    pub(crate) fn dump(&mut self) -> Result<BTreeMap<String, Described>> {
        let mut tree = BTreeMap::new();
        self.dump_dir(self.root, "", &mut tree)?;
        Ok(tree)
    }

    fn dump_dir(&mut self, dir: Node, prefix: &str, tree: &mut BTreeMap<String, Described>) -> Result<()> {
        let mut names = Vec::new();
        self.list(dir, &mut 0, usize::MAX, &mut names)?;
        for (name, kind) in names {
            let path = format!("{prefix}{name}");
            let attributes = self.vfs.attributes_at(dir, &name, false)?;
            let mut described = Described { attributes, bytes: Vec::new(), target: None };
            if kind != attributes.kind || tree.contains_key(&path) || path.len() > 4096 {
                // A name twice, two kinds of one thing, a directory in itself: no tree at all.
                return Err(Error::IO);
            }
            let options = OpenOptions { read: true, ..OpenOptions::default() };
            match kind {
                FileType::Symlink => described.target = Some(self.vfs.read_link(dir, &name)?),
                FileType::Regular => {
                    let (node, _) = self.vfs.open(dir, &name, false, &options)?;
                    let read = self.read(node, 0, [FILE_BYTES_MAX as usize, 1]);
                    self.vfs.close(node);
                    if let Outcome::Bytes(bytes) = read? {
                        described.bytes = bytes;
                    }
                }
                FileType::Directory => {
                    let (node, _) = self.vfs.open(dir, &name, false, &OpenOptions::default())?;
                    let dumped = self.dump_dir(node, &format!("{path}/"), tree);
                    self.vfs.close(node);
                    dumped?;
                }
            }
            tree.insert(path, described);
        }
        Ok(())
    }
}

fn disk(folder: &Path) -> DiskFs {
    DiskFs::open(folder, disk_options()).expect("opening the folder")
}

fn disk_options() -> DiskFsOptions {
    DiskFsOptions { max_file: FILE_BYTES_MAX, ..DiskFsOptions::default() }
}
