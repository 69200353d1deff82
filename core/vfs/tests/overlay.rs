//! The overlay's own promises: what the model test of `tests/conformance` cannot see from outside.
//!
//! The lower file system counts its open handles and refuses every change, so that a leak or a write below fails the
//! test by itself.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use qyv_vfs::{
    Attributes, Budget, Clock, Error, FileSystem, Handle, MemFs, MemFsOptions, OpenOptions, Opened, Overlay,
    ReadDir, Result, SetTime, SyncKind,
};

const READ: OpenOptions = options(true, false);
const READ_WRITE: OpenOptions = options(true, true);

const fn options(read: bool, write: bool) -> OpenOptions {
    OpenOptions { read, write, create: false, exclusive: false, truncate: false, directory: false }
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> u64 {
        12 * 3600 * 1_000_000_000
    }
}

struct Quota {
    bytes: Budget,
    inodes: Budget,
    memory: Budget,
}

impl Quota {
    fn new(bytes: u64, inodes: u64) -> Self {
        Self { bytes: Budget::new(bytes), inodes: Budget::new(inodes), memory: Budget::new(1 << 20) }
    }

    fn options(&self) -> MemFsOptions {
        MemFsOptions {
            bytes: self.bytes.clone(),
            inodes: self.inodes.clone(),
            memory: self.memory.clone(),
            clock: Arc::new(Noon),
            max_file: 1 << 30,
        }
    }

    fn used(&self) -> (u64, u64) {
        (self.bytes.used(), self.inodes.used())
    }
}

/// A lower file system that can be looked at, but not touched.
#[derive(Clone)]
struct Below {
    fs: Arc<Mutex<MemFs>>,
    handles: Arc<AtomicI64>,
}

impl Below {
    fn counted(&self, handle: Result<Handle>) -> Result<Handle> {
        handle.inspect(|_| {
            self.handles.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl FileSystem for Below {
    fn root(&self) -> Handle {
        self.fs.lock().unwrap().root()
    }
    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let handle = self.fs.lock().unwrap().lookup(dir, name);
        self.counted(handle)
    }
    fn close(&mut self, handle: Handle) {
        self.fs.lock().unwrap().attributes(handle).expect("closing what is open");
        self.handles.fetch_sub(1, Ordering::Relaxed);
        self.fs.lock().unwrap().close(handle);
    }
    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.fs.lock().unwrap().attributes(handle)
    }
    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.fs.lock().unwrap().read_link(dir, name)
    }
    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        assert!(!options.mutates(), "the lower file system is opened for a change");
        let opened = self.fs.lock().unwrap().open(dir, name, options)?;
        self.counted(Ok(opened.handle))?;
        Ok(opened)
    }
    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let handle = self.fs.lock().unwrap().reopen_dir(dir);
        self.counted(handle)
    }
    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        self.fs.lock().unwrap().read_at(file, offset, buffers)
    }
    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        self.fs.lock().unwrap().read_dir(dir, cookie, sink)
    }
    fn write_at(&mut self, _: Handle, _: u64, _: &[&[u8]]) -> Result<usize> {
        panic!("written below")
    }
    fn append(&mut self, _: Handle, _: &[&[u8]]) -> Result<(usize, u64)> {
        panic!("written below")
    }
    fn set_size(&mut self, _: Handle, _: u64) -> Result<()> {
        panic!("written below")
    }
    fn allocate(&mut self, _: Handle, _: u64, _: u64) -> Result<()> {
        panic!("written below")
    }
    fn sync(&mut self, _: Handle, _: SyncKind) -> Result<()> {
        Ok(())
    }
    fn set_times(&mut self, _: Handle, _: SetTime, _: SetTime) -> Result<()> {
        panic!("changed below")
    }
    fn set_times_at(&mut self, _: Handle, _: &str, _: SetTime, _: SetTime) -> Result<()> {
        panic!("changed below")
    }
    fn create_dir(&mut self, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
    fn remove_dir(&mut self, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
    fn unlink(&mut self, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
    fn rename(&mut self, _: Handle, _: &str, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
    fn link(&mut self, _: Handle, _: &str, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
    fn symlink(&mut self, _: &str, _: Handle, _: &str) -> Result<()> {
        panic!("changed below")
    }
}

/// `dir/` with the files `f0` to `f9` of 20,000 bytes, of which `f9` has the second name `same`.
fn below() -> Below {
    let unlimited =
        Quota { bytes: Budget::unlimited(), inodes: Budget::unlimited(), memory: Budget::unlimited() };
    let mut fs = MemFs::new(unlimited.options());
    let root = fs.root();
    fs.create_dir(root, "dir").unwrap();
    let dir = fs.lookup(root, "dir").unwrap();
    for number in 0..10_u8 {
        let create = OpenOptions { create: true, ..READ_WRITE };
        let file = fs.open(dir, &format!("f{number}"), &create).unwrap().handle;
        fs.write_at(file, 0, &[&[number; 20_000]]).unwrap();
        fs.close(file);
    }
    fs.link(dir, "f9", root, "same").unwrap();
    fs.close(dir);
    Below { fs: Arc::new(Mutex::new(fs)), handles: Arc::default() }
}

fn overlay(quota: &Quota) -> (Overlay, Below) {
    let below = below();
    (Overlay::new(Box::new(below.clone()), quota.options()).unwrap(), below)
}

fn read(fs: &mut Overlay, file: Handle, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; length];
    let count = fs.read_at(file, offset, &mut [&mut bytes]).unwrap();
    bytes.truncate(count);
    bytes
}

fn names(fs: &mut Overlay, dir: Handle, mut cookie: u64, most: usize) -> (Vec<String>, u64) {
    let mut names = Vec::new();
    fs.read_dir(dir, cookie, &mut |entry| {
        names.push(entry.name);
        cookie = entry.next;
        names.len() < most
    })
    .unwrap();
    (names, cookie)
}

#[test]
fn a_write_copies_up_its_pages_alone() {
    let quota = Quota::new(3 * 4096, 10);
    let (mut fs, _) = overlay(&quota);
    let dir = fs.lookup(fs.root(), "dir").unwrap();
    let file = fs.open(dir, "f7", &READ_WRITE).unwrap().handle;
    let before = fs.attributes(file).unwrap();
    assert_eq!(quota.used(), (0, 0), "opening for writing copies nothing");
    assert_eq!(fs.write_at(file, 5000, &[b"new"]), Ok(3));
    assert_eq!(quota.used(), (4096, 1));
    assert_eq!(read(&mut fs, file, 4998, 7), [7, 7, b'n', b'e', b'w', 7, 7]);
    assert_eq!(read(&mut fs, file, 19_998, 10), [7, 7]);
    let after = fs.attributes(file).unwrap();
    assert_eq!((after.device, after.inode, after.size), (before.device, before.inode, 20_000));
    // Two pages are left of the quota: what fits is written, then nothing is, and nothing is changed.
    assert_eq!(fs.write_at(file, 8192, &[&[1; 9000]]), Ok(8192));
    assert_eq!(fs.write_at(file, 0, &[&[1]]), Err(Error::NOSPC));
    assert_eq!(read(&mut fs, file, 0, 1), [7]);
    // Cutting it gives the pages back, and what was below does not come through again.
    fs.set_size(file, 6000).unwrap();
    fs.set_size(file, 20_000).unwrap();
    assert_eq!(read(&mut fs, file, 5999, 3), [7, 0, 0]);
    assert_eq!(quota.used(), (4096, 1));
}

#[test]
fn a_reader_from_before_keeps_the_lower_contents() {
    let (mut fs, _) = overlay(&Quota::new(1 << 20, 10));
    let dir = fs.lookup(fs.root(), "dir").unwrap();
    let old = fs.open(dir, "f3", &READ).unwrap().handle;
    let writer = fs.open(dir, "f3", &READ_WRITE).unwrap().handle;
    fs.write_at(writer, 0, &[b"x"]).unwrap();
    fs.set_size(writer, 1).unwrap();
    fs.unlink(dir, "f3").unwrap();
    assert_eq!((read(&mut fs, old, 0, 1), fs.attributes(old).unwrap().size), (vec![3], 20_000));
    assert_eq!((read(&mut fs, writer, 0, 9), fs.attributes(writer).unwrap().size), (vec![b'x'], 1));
    assert_eq!(fs.lookup(dir, "f3"), Err(Error::NOENT));
}

#[test]
fn all_names_of_a_lower_file_stay_one_file() {
    let (mut fs, _) = overlay(&Quota::new(1 << 20, 10));
    let root = fs.root();
    let dir = fs.lookup(root, "dir").unwrap();
    fs.link(dir, "f9", root, "third").unwrap();
    let file = fs.open(root, "third", &READ_WRITE).unwrap().handle;
    fs.write_at(file, 0, &[b"shared"]).unwrap();
    fs.close(file);
    for (dir, name) in [(dir, "f9"), (root, "same"), (root, "third")] {
        let file = fs.open(dir, name, &READ).unwrap().handle;
        assert_eq!((read(&mut fs, file, 0, 6), fs.attributes(file).unwrap().links), (b"shared".to_vec(), 3));
        fs.close(file);
    }
}

#[test]
fn renaming_a_lower_folder_is_one_step_or_none() {
    // The old parent, the folder, the whiteout: two inodes are too few, three enough, however much lies in it.
    for (inodes, outcome) in
        [(0, Err(Error::NOSPC)), (1, Err(Error::NOSPC)), (2, Err(Error::NOSPC)), (3, Ok(()))]
    {
        let quota = Quota::new(0, inodes);
        let (mut fs, _) = overlay(&quota);
        let root = fs.root();
        let before = fs.attributes_at(root, "dir").unwrap();
        assert_eq!(fs.rename(root, "dir", root, "moved"), outcome);
        let (name, gone) = if outcome.is_ok() { ("moved", "dir") } else { ("dir", "moved") };
        assert_eq!(quota.inodes.used(), if outcome.is_ok() { 3 } else { 0 });
        assert_eq!(fs.attributes_at(root, gone), Err(Error::NOENT));
        let dir = fs.lookup(root, name).unwrap();
        assert_eq!(fs.attributes(dir).unwrap().inode, before.inode);
        assert_eq!(names(&mut fs, dir, 0, usize::MAX).0.len(), 10);
        let file = fs.open(dir, "f4", &READ).unwrap().handle;
        assert_eq!(read(&mut fs, file, 0, 2), [4, 4]);
    }
}

#[test]
fn a_folder_made_where_one_was_removed_is_empty() {
    let (mut fs, _) = overlay(&Quota::new(0, 100));
    let root = fs.root();
    let dir = fs.lookup(root, "dir").unwrap();
    assert_eq!(fs.remove_dir(root, "dir"), Err(Error::NOTEMPTY));
    for number in 0..10 {
        fs.unlink(dir, &format!("f{number}")).unwrap();
    }
    fs.remove_dir(root, "dir").unwrap();
    assert_eq!(fs.create_dir(dir, "x"), Err(Error::NOENT), "nothing is made in a removed folder");
    fs.create_dir(root, "dir").unwrap();
    let dir = fs.lookup(root, "dir").unwrap();
    assert_eq!(names(&mut fs, dir, 0, usize::MAX).0, Vec::<String>::new());
    assert_eq!(fs.lookup(dir, "f0"), Err(Error::NOENT));
}

#[test]
fn a_listing_goes_on_from_any_place_while_names_change() {
    let (mut fs, _) = overlay(&Quota::new(1 << 20, 100));
    let dir = fs.lookup(fs.root(), "dir").unwrap();
    fs.symlink("f0", dir, "first").unwrap();
    fs.symlink("f0", dir, "second").unwrap();
    let (mut seen, cookie) = names(&mut fs, dir, 0, 4);
    fs.unlink(dir, &seen[0]).unwrap();
    fs.unlink(dir, "f7").unwrap();
    // One that was seen and one that was not become files of the overlay, in their old places.
    fs.rename(dir, "first", dir, &seen[1]).unwrap();
    fs.rename(dir, "second", dir, "f8").unwrap();
    let (rest, last) = names(&mut fs, dir, cookie, usize::MAX);
    assert_eq!(names(&mut fs, dir, last, usize::MAX).0, Vec::<String>::new());
    assert_eq!(names(&mut fs, dir, cookie, usize::MAX).0, rest, "an old place is found again");
    seen.extend(rest);
    seen.sort();
    assert_eq!(seen, ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f8", "f9"]);
}

#[test]
fn what_is_closed_holds_nothing_below() {
    let quota = Quota::new(1 << 20, 100);
    let (mut fs, below) = overlay(&quota);
    let root = fs.root();
    let idle = quota.memory.used();
    for round in 0..3 {
        let dir = fs.lookup(root, "dir").unwrap();
        let files: Vec<_> =
            (0..10).map(|n| fs.open(dir, &format!("f{n}"), &READ_WRITE).unwrap().handle).collect();
        for &file in files.iter().skip(if round == 0 { 10 } else { 5 }) {
            fs.write_at(file, 10, &[b"y"]).unwrap();
            assert_eq!(read(&mut fs, file, 9, 3).len(), 3);
        }
        names(&mut fs, dir, 0, usize::MAX);
        for (missing, error) in [("f0/", Error::NOENT), ("none", Error::NOENT)] {
            assert_eq!(fs.open(dir, missing, &READ).map(|opened| opened.kind), Err(error));
        }
        assert!(below.handles.load(Ordering::Relaxed) <= 11);
        files.into_iter().for_each(|file| fs.close(file));
        fs.close(dir);
        assert_eq!(below.handles.load(Ordering::Relaxed), 0, "in round {round}");
        if round == 0 {
            assert_eq!(quota.memory.used(), idle, "what was only looked at is forgotten");
        }
    }
    drop(fs);
    assert_eq!((quota.used(), quota.memory.used()), ((0, 0), 0));
}
