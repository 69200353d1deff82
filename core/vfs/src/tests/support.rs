//! A file system that counts its handles and can fail, one that resolves paths itself, and a small language for
//! tables of calls.

use std::boxed::Box;
use std::format;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::vec::Vec;

use crate::{
    Access, Attributes, Budget, Clock, Error, FileSystem, FileType, Handle, MemFs, MemFsOptions, Node,
    OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind, Vfs,
};

/// A clock that never stands still.
#[derive(Default)]
pub(super) struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1_000
    }
}

pub(super) fn options() -> MemFsOptions {
    MemFsOptions {
        bytes: Budget::new(1 << 24),
        inodes: Budget::new(100_000),
        memory: Budget::new(1 << 26),
        clock: Arc::new(Ticks::default()),
        max_file: 1 << 40,
    }
}

pub(super) fn mem() -> Box<MemFs> {
    Box::new(MemFs::new(options()))
}

/// How many handles are open, and after how many calls every call fails.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) open: Arc<AtomicI64>,
    pub(super) calls_left: Arc<AtomicI64>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { open: Arc::default(), calls_left: Arc::new(i64::MAX.into()) }
    }

    pub(super) fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn fail_after(&self, calls: i64) {
        self.calls_left.store(calls, Ordering::Relaxed);
    }

    /// Lets a call pass, or not.
    fn call(&self) -> Result<()> {
        if self.calls_left.fetch_sub(1, Ordering::Relaxed) > 0 { Ok(()) } else { Err(Error::IO) }
    }

    fn opened<T>(&self, result: Result<T>) -> Result<T> {
        self.open.fetch_add(i64::from(result.is_ok()), Ordering::Relaxed);
        result
    }
}

/// A file system under watch. With `paths` it resolves whole paths itself.
pub(super) struct Watched {
    inner: Vfs,
    watch: Watch,
    paths: bool,
}

impl Watched {
    pub(super) fn over(fs: Box<dyn FileSystem>, watch: &Watch, paths: bool) -> Box<Self> {
        let mut inner = Vfs::new();
        inner.mount("/", fs, Access::ReadWrite).unwrap();
        Box::new(Self { inner, watch: watch.clone(), paths })
    }

    fn fs(&mut self) -> Result<&mut dyn FileSystem> {
        self.watch.call()?;
        self.raw()
    }

    fn raw(&mut self) -> Result<&mut dyn FileSystem> {
        let root = self.inner.root(0)?;
        self.inner.fs(root)
    }
}

fn node(handle: Handle) -> Node {
    Node { mount: 0, handle }
}

impl FileSystem for Watched {
    fn root(&self) -> Handle {
        self.inner.root(0).unwrap().handle
    }
    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        assert!(
            !name.is_empty()
                && name.len() <= 255
                && !name.contains(['/', '\0'])
                && name != "."
                && name != ".."
        );
        let result = self.fs()?.lookup(dir, name);
        self.watch.opened(result)
    }
    fn close(&mut self, handle: Handle) {
        assert_ne!(handle, self.root(), "the root is never closed");
        self.raw().unwrap().attributes(handle).expect("only what is open is closed");
        self.watch.open.fetch_sub(1, Ordering::Relaxed);
        self.raw().unwrap().close(handle);
    }
    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.fs()?.attributes(handle)
    }
    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        self.fs()?.attributes_at(dir, name)
    }
    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.fs()?.read_link(dir, name)
    }
    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let result = self.fs()?.open(dir, name, options);
        self.watch.opened(result)
    }
    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let result = self.fs()?.reopen_dir(dir);
        self.watch.opened(result)
    }
    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        self.fs()?.read_at(file, offset, buffers)
    }
    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        self.fs()?.write_at(file, offset, buffers)
    }
    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.fs()?.append(file, buffers)
    }
    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        self.fs()?.set_size(file, size)
    }
    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        self.fs()?.allocate(file, offset, length)
    }
    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        self.fs()?.sync(handle, what)
    }
    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.fs()?.set_times(handle, accessed, modified)
    }
    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.fs()?.set_times_at(dir, name, accessed, modified)
    }
    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        self.fs()?.read_dir(dir, cookie, sink)
    }
    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.fs()?.create_dir(dir, name)
    }
    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.fs()?.remove_dir(dir, name)
    }
    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.fs()?.unlink(dir, name)
    }
    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.fs()?.rename(from_dir, from, to_dir, to)
    }
    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.fs()?.link(from_dir, from, to_dir, to)
    }
    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.fs()?.symlink(target, dir, name)
    }
    fn resolves_paths(&self) -> bool {
        self.paths
    }
    fn lookup_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Handle> {
        assert!(follow, "only directories are looked up so");
        self.watch.call()?;
        let options = OpenOptions::default();
        let result = self.inner.open(node(dir), path, true, &options).map(|(node, _)| node.handle);
        self.watch.opened(result)
    }
    fn attributes_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Attributes> {
        self.watch.call()?;
        self.inner.attributes_at(node(dir), path, follow)
    }
    fn open_path(&mut self, dir: Handle, path: &str, follow: bool, options: &OpenOptions) -> Result<Opened> {
        self.watch.call()?;
        let result = self.inner.open(node(dir), path, follow, options);
        self.watch.opened(result.map(|(node, kind)| Opened { handle: node.handle, kind }))
    }
}

/// A table with watched memory file systems, and the directory that paths start from.
pub(super) struct World {
    pub(super) vfs: Vfs,
    pub(super) base: Node,
    pub(super) watch: Watch,
}

impl World {
    /// One writable mount at `/`.
    pub(super) fn new(paths: bool) -> Self {
        Self::with(Access::ReadWrite, Watched::over(mem(), &Watch::new(), paths))
    }

    pub(super) fn with(access: Access, fs: Box<Watched>) -> Self {
        let watch = fs.watch.clone();
        let mut vfs = Vfs::new();
        vfs.mount("/", fs, access).unwrap();
        let base = vfs.open_root("/").unwrap();
        Self { vfs, base, watch }
    }

    /// Runs lines of `call => result`. Blank lines and `#` lines are skipped; a line without `=>` must succeed.
    #[track_caller]
    pub(super) fn check(&mut self, table: &str) {
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (call, expected) = line.split_once("=>").unwrap_or((line, ""));
            let before = self.watch.open();
            let result = match self.run(call) {
                Ok(answer) => answer,
                Err(error) => error.name().into(),
            };
            assert_eq!(result, expected.trim(), "{call}");
            assert_eq!(self.watch.open(), before, "handles are left open by: {call}");
        }
    }

    /// Runs one call. `''` stands for the empty string, `*3:ab;` for `ababab`.
    pub(super) fn run(&mut self, call: &str) -> Result<String> {
        let words: Vec<String> = call.split_whitespace().map(expand).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (vfs, base, now) = (&mut self.vfs, self.base, SetTime::Now);
        let done = |()| String::new();
        match words[..] {
            ["open", flags, path] => {
                let has = |flag| flags.contains(flag);
                let options = OpenOptions {
                    read: has('r'),
                    write: has('w'),
                    create: has('c'),
                    exclusive: has('x'),
                    truncate: has('t'),
                    directory: has('d'),
                };
                let (node, kind) = vfs.open(base, path, !has('n'), &options)?;
                vfs.close(node);
                Ok(name_of(kind).into())
            }
            ["stat", path] => vfs.attributes_at(base, path, true).map(|found| name_of(found.kind).into()),
            ["lstat", path] => vfs.attributes_at(base, path, false).map(|found| name_of(found.kind).into()),
            ["size", path] => vfs.attributes_at(base, path, true).map(|found| format!("{}", found.size)),
            ["links", path] => vfs.attributes_at(base, path, false).map(|found| format!("{}", found.links)),
            ["write", path, text] => {
                let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
                let (node, _) = vfs.open(base, path, true, &options)?;
                let written = vfs.write_at(node, 0, &[text.as_bytes()]);
                vfs.close(node);
                written.map(|_| String::new())
            }
            ["cat", path] => {
                let options = OpenOptions { read: true, ..OpenOptions::default() };
                let (node, _) = vfs.open(base, path, true, &options)?;
                let mut bytes = [0; 100];
                let read = vfs.read_at(node, 0, &mut [&mut bytes]);
                vfs.close(node);
                read.map(|length| String::from_utf8_lossy(&bytes[..length]).into())
            }
            ["ls", path] => {
                let (node, _) =
                    vfs.open(base, path, true, &OpenOptions { directory: true, ..Default::default() })?;
                let names = list(vfs, node);
                vfs.close(node);
                names.map(|names| names.join(","))
            }
            ["utime", path] => vfs.set_times_at(base, path, true, now, now).map(done),
            ["lutime", path] => vfs.set_times_at(base, path, false, now, now).map(done),
            ["readlink", path] => vfs.read_link(base, path),
            ["mkdir", path] => vfs.create_dir(base, path).map(done),
            ["rmdir", path] => vfs.remove_dir(base, path).map(done),
            ["unlink", path] => vfs.unlink(base, path).map(done),
            ["symlink", target, path] => vfs.symlink(target, base, path).map(done),
            ["link", from, to] => vfs.link(base, from, false, base, to).map(done),
            ["linkf", from, to] => vfs.link(base, from, true, base, to).map(done),
            ["rename", from, to] => vfs.rename(base, from, base, to).map(done),
            _ => panic!("no such call: {call}"),
        }
    }
}

/// The names in a directory, sorted.
pub(super) fn list(vfs: &mut Vfs, node: Node) -> Result<Vec<String>> {
    let mut names = Vec::new();
    vfs.read_dir(node, 0, &mut |entry| {
        names.push(entry.name);
        true
    })?;
    names.sort();
    Ok(names)
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Regular => "file",
        FileType::Directory => "dir",
        FileType::Symlink => "link",
    }
}

fn expand(word: &str) -> String {
    if word == "''" {
        return String::new();
    }
    let Some((before, after)) = word.split_once('*') else {
        return word.into();
    };
    let (count, letters) = after.split_once(':').unwrap();
    let (letters, after) = letters.split_once(';').unwrap_or((letters, ""));
    format!("{before}{}{after}", letters.repeat(count.parse().unwrap()))
}

/// Numbers that look random and are the same every time (xorshift).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed))
    }

    /// A number from 0 up to `end`, without it.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
