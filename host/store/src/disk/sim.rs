//! A disk in memory that loses what was not synced.
//!
//! What is written is seen at once by who reads it, as through a kernel's cache, and reaches the platter by a sync alone.
//! [`SimDisk::power_loss`] keeps any subset of the rest: of each file's writes, whole or by sectors of 512 bytes, and of each
//! folder's changes. [`SimDisk::kill`] ends the process only, and keeps the cache. Both are drawn from a seed.
//!
//! One kind of sync can be made to lie ([`SimDisk::ignore_sync`]), which a test of durability must notice.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, Entry};

mod file;
mod random;
mod tree;

use file::Content;
pub use random::Random;
use tree::{Node, Tree};

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug)]
struct State {
    tree: Tree,
    files: Vec<Content>,
    random: Random,
    /// How many more operations succeed.
    left: Option<u64>,
    /// Whether one has failed since.
    cut: bool,
    /// How many more bytes can be written.
    room: Option<u64>,
    ignored: Option<String>,
    sites: BTreeSet<String>,
    /// What was last done in each folder since it was synced, by this process.
    done: BTreeMap<String, &'static str>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(State {
            tree: Tree::new(),
            files: Vec::new(),
            random: Random::new(seed),
            left: None,
            cut: false,
            room: None,
            ignored: None,
            sites: BTreeSet::new(),
            done: BTreeMap::new(),
        })
    }

    fn with(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Everything fails after `operations` more of them that change or sync something; the first that fails may have happened
    /// all the same.
    pub fn cut_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// Whether the cut has come.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().cut
    }

    /// There is room for so many more bytes; `None` is without end.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Syncs of this kind, one of [`SimDisk::sync_sites`], do nothing from now on and say that they did.
    pub fn ignore_sync(&self, site: &str) {
        self.state().ignored = Some(site.to_owned());
    }

    /// The kinds of syncs that were asked for so far: `file` or `folder`, the path with what varies replaced by `*`, and of a
    /// folder what was done in it before, by the same process: `folder secrets after rename`, `folder secrets as found`.
    #[must_use]
    pub fn sync_sites(&self) -> BTreeSet<String> {
        self.state().sites.clone()
    }

    /// The disk as the next process finds it after this one was killed: nothing is lost.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.state().clone();
        (state.left, state.cut) = (None, false);
        state.done.clear();
        Self::with(state)
    }

    /// The disk after the machine has lost its power: any subset of what was not synced is lost.
    #[must_use]
    pub fn power_loss(&self) -> Self {
        let mut state = self.state().clone();
        (state.left, state.cut) = (None, false);
        state.done.clear();
        let State { tree, files, random, .. } = &mut state;
        // Now and then all or nothing: the extremes are what real disks do most.
        let kept_of_8 = [0, 1, 4, 7, 8][random.below(5)];
        for file in files {
            file.lose(random, kept_of_8);
        }
        tree.lose(random, kept_of_8);
        Self::with(state)
    }

    /// Changes bytes of a file behind everybody's back, as a broken disk would.
    ///
    /// # Panics
    ///
    /// When the file is not there or too short.
    pub fn damage(&self, path: &str, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let Some(Node::File(id)) = state.tree.find(path) else { panic!("`{path}` is no file") };
        state.files[id].damage(offset, bytes);
    }

    /// Does something that changes or syncs, unless the power is off.
    fn act<T>(&self, effect: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        match &mut state.left {
            Some(0) => {
                // Of the one that is cut nobody hears whether it has happened.
                if !std::mem::replace(&mut state.cut, true) && state.random.below(2) == 0 {
                    effect(&mut state)?;
                }
                return Err(io::Error::other("the power is off"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        effect(&mut state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that has failed elsewhere may have left it so; what is in it is whole.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// A change of what stands in the folder of `path`.
    fn changes(&mut self, path: &str, how: &'static str) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.done.insert(folder.to_owned(), how);
    }

    /// Whether a sync of this kind does what it says.
    fn honest(&mut self, site: String) -> bool {
        let honest = self.ignored.as_deref() != Some(site.as_str());
        self.sites.insert(site);
        honest
    }

    fn charge(&mut self, bytes: u64) -> io::Result<()> {
        match &mut self.room {
            Some(room) if *room < bytes => Err(io::ErrorKind::StorageFull.into()),
            Some(room) => {
                *room -= bytes;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// `blobs/ab/.cdef.7.draft` is of the kind `blobs/*`.
fn kind(path: &str) -> String {
    match path.split_once('/') {
        Some((first, _)) => format!("{first}/*"),
        None if path.is_empty() => "/".to_owned(),
        None => path.to_owned(),
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let id = self.act(|state| {
            let id = state.files.len();
            state.tree.create(path, Node::File(id))?;
            state.files.push(Content::default());
            state.changes(path, "create");
            Ok(id)
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), id, path: path.to_owned() }))
    }

    fn open(&self, path: &str, _write: bool) -> io::Result<Box<dyn DiskFile>> {
        match self.state().tree.find(path) {
            Some(Node::File(id)) => Ok(Box::new(SimFile { disk: self.clone(), id, path: path.to_owned() })),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let state = self.state();
        let size = |node| match node {
            Node::File(id) => state.files[id].len(),
            Node::Folder(_) => 0,
        };
        let entries = state.tree.list(folder).into_iter();
        Ok(entries.map(|(name, node)| Entry { name, size: size(node), modified: 0 }).collect())
    }

    fn create_folder(&self, path: &str) -> io::Result<()> {
        if matches!(self.state().tree.find(path), Some(Node::Folder(_))) {
            return Ok(());
        }
        self.act(|state| {
            state.changes(path, "create");
            state.tree.create_folder(path)
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.act(|state| {
            state.tree.rename(from, to)?;
            state.changes(to, "rename");
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.act(|state| {
            state.tree.remove(path)?;
            state.changes(path, "remove");
            Ok(())
        })
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.act(|state| {
            let before = match state.done.remove(path) {
                Some(how) => format!("after {how}"),
                None => "as found".to_owned(),
            };
            if state.honest(format!("folder {} {before}", kind(path))) {
                state.tree.sync(path)
            } else {
                Ok(())
            }
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: usize,
    path: String,
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.id].len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.state().files[self.id].read(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.act(|state| {
            state.charge(bytes.len() as u64)?;
            state.files[self.id].write(offset, bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.act(|state| {
            state.files[self.id].set_len(len);
            Ok(())
        })
    }

    fn set_read_only(&self) -> io::Result<()> {
        self.disk.act(|_| Ok(()))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.act(|state| {
            if state.honest(format!("file {}", kind(&self.path))) {
                state.files[self.id].sync();
            }
            Ok(())
        })
    }
}
