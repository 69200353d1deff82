//! One file system in the trees of several programs of an app.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_vfs::{
    Advice, Attributes, FileSystem, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind,
};

/// A hand on a file system that others have too. What it holds open is closed with it: the others go on.
pub(crate) struct SharedFs {
    fs: Arc<Mutex<Box<dyn FileSystem>>>,
    root: Handle,
    resolves_paths: bool,
    held: HashSet<Handle>,
}

impl SharedFs {
    pub(crate) fn new(fs: Arc<Mutex<Box<dyn FileSystem>>>) -> Self {
        let (root, resolves_paths) = {
            let fs = fs.lock().unwrap_or_else(PoisonError::into_inner);
            (fs.root(), fs.resolves_paths())
        };
        Self { fs, root, resolves_paths, held: HashSet::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn FileSystem>> {
        self.fs.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut fs = self.lock();
        held.into_iter().for_each(|handle| fs.close(handle));
    }
}

impl FileSystem for SharedFs {
    fn root(&self) -> Handle {
        self.root
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let handle = self.lock().lookup(dir, name);
        self.hold(handle)
    }

    fn close(&mut self, handle: Handle) {
        // What another hand holds is not this one's to close.
        if self.held.remove(&handle) {
            self.lock().close(handle);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.lock().attributes(handle)
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        self.lock().attributes_at(dir, name)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.lock().read_link(dir, name)
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let opened = self.lock().open(dir, name, options);
        self.hold_opened(opened)
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let handle = self.lock().reopen_dir(dir);
        self.hold(handle)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        self.lock().read_at(file, offset, buffers)
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        self.lock().write_at(file, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.lock().append(file, buffers)
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        self.lock().set_size(file, size)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        self.lock().allocate(file, offset, length)
    }

    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.lock().advise(file, offset, length, advice)
    }

    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        self.lock().sync(handle, what)
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.lock().set_times(handle, accessed, modified)
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.lock().set_times_at(dir, name, accessed, modified)
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        self.lock().read_dir(dir, cookie, sink)
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.lock().create_dir(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.lock().remove_dir(dir, name)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.lock().unlink(dir, name)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.lock().rename(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.lock().link(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.lock().symlink(target, dir, name)
    }

    fn resolves_paths(&self) -> bool {
        self.resolves_paths
    }

    fn lookup_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Handle> {
        let handle = self.lock().lookup_path(dir, path, follow);
        self.hold(handle)
    }

    fn attributes_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Attributes> {
        self.lock().attributes_path(dir, path, follow)
    }

    fn open_path(&mut self, dir: Handle, path: &str, follow: bool, options: &OpenOptions) -> Result<Opened> {
        let opened = self.lock().open_path(dir, path, follow, options);
        self.hold_opened(opened)
    }
}
