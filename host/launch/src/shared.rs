//! One file system in the trees of several programs of an app.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use qyv_vfs::{
    Advice, Attributes, FileSystem, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind,
};

/// Does a call that may wait, for a disk or for another program's call.
pub type Around = fn(&mut dyn FnMut());

/// A hand on a file system that others have too. What it holds open is closed with it: the others go on.
pub(crate) struct SharedFs {
    around: Around,
    fs: Arc<Mutex<Box<dyn FileSystem>>>,
    root: Handle,
    resolves_paths: bool,
    held: HashSet<Handle>,
}

impl SharedFs {
    /// `around` is given every call on the file system to make.
    pub(crate) fn new(fs: Arc<Mutex<Box<dyn FileSystem>>>, around: Around) -> Self {
        let (root, resolves_paths) = {
            let fs = fs.lock().unwrap_or_else(PoisonError::into_inner);
            (fs.root(), fs.resolves_paths())
        };
        Self { around, fs, root, resolves_paths, held: HashSet::new() }
    }

    /// Makes a call on the file system.
    fn call<R>(&self, work: impl FnOnce(&mut dyn FileSystem) -> R) -> R {
        let (mut work, mut result) = (Some(work), None);
        (self.around)(&mut || {
            let mut fs = self.fs.lock().unwrap_or_else(PoisonError::into_inner);
            result = work.take().map(|work| work(fs.as_mut()));
        });
        // `around` makes the call once; one that did not would be a mistake of the host's, and ends this guest alone.
        result.expect("the call is made")
    }

    fn hold(&mut self, handle: Result<Handle>) -> Result<Handle> {
        let handle = handle?;
        self.held.insert(handle);
        Ok(handle)
    }

    fn hold_opened(&mut self, opened: Result<Opened>) -> Result<Opened> {
        let opened = opened?;
        self.held.insert(opened.handle);
        Ok(opened)
    }
}

impl Drop for SharedFs {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.call(|fs| held.into_iter().for_each(|handle| fs.close(handle)));
    }
}

impl FileSystem for SharedFs {
    fn root(&self) -> Handle {
        self.root
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let handle = self.call(|fs| fs.lookup(dir, name));
        self.hold(handle)
    }

    fn close(&mut self, handle: Handle) {
        // What another hand holds is not this one's to close.
        if self.held.remove(&handle) {
            self.call(|fs| fs.close(handle));
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.call(|fs| fs.attributes(handle))
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        self.call(|fs| fs.attributes_at(dir, name))
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.call(|fs| fs.read_link(dir, name))
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let opened = self.call(|fs| fs.open(dir, name, options));
        self.hold_opened(opened)
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let handle = self.call(|fs| fs.reopen_dir(dir));
        self.hold(handle)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        self.call(|fs| fs.read_at(file, offset, buffers))
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        self.call(|fs| fs.write_at(file, offset, buffers))
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.call(|fs| fs.append(file, buffers))
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        self.call(|fs| fs.set_size(file, size))
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        self.call(|fs| fs.allocate(file, offset, length))
    }

    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.call(|fs| fs.advise(file, offset, length, advice))
    }

    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        self.call(|fs| fs.sync(handle, what))
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.call(|fs| fs.set_times(handle, accessed, modified))
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.call(|fs| fs.set_times_at(dir, name, accessed, modified))
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        self.call(|fs| fs.read_dir(dir, cookie, sink))
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.call(|fs| fs.create_dir(dir, name))
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.call(|fs| fs.remove_dir(dir, name))
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.call(|fs| fs.unlink(dir, name))
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.call(|fs| fs.rename(from_dir, from, to_dir, to))
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.call(|fs| fs.link(from_dir, from, to_dir, to))
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.call(|fs| fs.symlink(target, dir, name))
    }

    fn resolves_paths(&self) -> bool {
        self.resolves_paths
    }

    fn lookup_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Handle> {
        let handle = self.call(|fs| fs.lookup_path(dir, path, follow));
        self.hold(handle)
    }

    fn attributes_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Attributes> {
        self.call(|fs| fs.attributes_path(dir, path, follow))
    }

    fn open_path(&mut self, dir: Handle, path: &str, follow: bool, options: &OpenOptions) -> Result<Opened> {
        let opened = self.call(|fs| fs.open_path(dir, path, follow, options));
        self.hold_opened(opened)
    }
}
