//! A guest with a writable folder against a second process that swaps directories for links and moves them out and in
//! all the time: the served folder holds, while a resolver that checks first and opens later breaks.
//!
//! `QYVOL_ESCAPE_TRIES` sets the number of tries (100,000).

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::{CREATE, DIRECTORY, READ, WRITE};
use qyv_vfs::{Access, Error, FileSystem, FileType, Handle, Node, OpenOptions, SetTime, Vfs};

use crate::DiskFs;
use qyvol_fs::DiskFsOptions;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

const SWAP_FOLDER: &str = "QYVOL_TEST_SWAP_FOLDER";
const TRIES: usize = 100_000;
const NAIVE_TRIES: usize = 1_000;
/// How many tries a guest makes before it offers the processor: on a single one, the two would otherwise only take
/// turns at the end of long slices.
const YIELD_EVERY: usize = 64;
/// Long enough for the second process to get the processor and swap.
const PAUSE: Duration = Duration::from_micros(50);
const SECRET: &[u8] = b"the host's own";

#[test]
fn no_try_of_a_guest_escapes() {
    let arena = Arena::new();
    let before = arena.private();
    let mut guest = Guest::new(open(&arena), &arena);
    let tries = tries();
    let swapper = Swapper::start(&arena);
    for number in 0..tries {
        if number % YIELD_EVERY == 0 {
            std::thread::yield_now();
        }
        guest.try_something();
    }
    drop(swapper);
    assert_eq!(arena.private(), before, "a guest changed what is outside");
    // It proves nothing if the guest never reached what is inside, or if the second process stood still meanwhile:
    // links that nobody moves are refused too, so the swaps that the guest saw are counted by themselves.
    let Guest { reached, refused, swaps, .. } = guest;
    println!("{tries} tries: {reached} reached, {refused} refused, {swaps} swaps seen");
    assert!(reached > tries / 50 && refused > tries / 50, "{reached} reached, {refused} refused");
    assert!(swaps > tries / 1000, "the second process swapped too seldom to prove anything: {swaps} seen");
}

/// The same through the mount table, which resolves by itself when the kernel does not.
#[test]
fn no_try_through_the_mount_table_escapes() {
    for kernel_resolves in [true, false] {
        let arena = Arena::new();
        let before = arena.private();
        let fs = open(&arena);
        if kernel_resolves && !fs.resolves_paths() {
            continue;
        }
        let fs = if kernel_resolves { fs } else { fs.without_path_resolution() };
        assert_eq!(fs.resolves_paths(), kernel_resolves);
        let mut vfs = Vfs::new();
        // The generator of paths and what may not be seen; its own file system is not used.
        let mut guest = Guest::new(open(&arena), &arena);
        vfs.mount("/", Box::new(fs), Access::ReadWrite).unwrap();
        let root = vfs.open_root("/").unwrap();
        let tries = tries() / 10;
        let swapper = Swapper::start(&arena);
        for number in 0..tries {
            if number % YIELD_EVERY == 0 {
                std::thread::yield_now();
            }
            match guest.by_table(&mut vfs, root) {
                Ok(()) => guest.reached += 1,
                Err(_) => guest.refused += 1,
            }
        }
        drop(swapper);
        assert_eq!(arena.private(), before, "a guest changed what is outside");
        let Guest { reached, refused, .. } = guest;
        println!("{tries} tries, kernel_resolves {kernel_resolves}: {reached} reached, {refused} refused");
        assert!(reached > tries / 50 && refused > tries / 50, "{reached} reached, {refused} refused");
    }
}

fn open(arena: &Arena) -> DiskFs {
    DiskFs::open(&arena.served(), DiskFsOptions::default()).unwrap()
}

fn tries() -> usize {
    std::env::var("QYVOL_ESCAPE_TRIES").ok().map_or(TRIES, |text| text.parse().unwrap())
}

#[test]
fn the_same_swapping_breaks_a_resolver_that_checks_first() {
    let arena = Arena::new();
    let swapper = Swapper::start(&arena);
    let broken =
        (0..NAIVE_TRIES).position(|_| naive_read(&arena.served(), "swapped/secret").is_some_and(is_secret));
    drop(swapper);
    assert!(broken.is_some(), "the swapping is too slow to prove anything");
}

/// Resolves, checks that the result is inside, opens. What is between is the hole.
fn naive_read(served: &Path, path: &str) -> Option<Vec<u8>> {
    let wanted = served.join(path);
    // Without a pause before, a whole slice of the processor, some 450 tries, goes by while the second process waits
    // for it with the link in place, and every check refuses.
    std::thread::sleep(PAUSE);
    let resolved = wanted.canonicalize().ok()?;
    if !resolved.starts_with(served) {
        return None;
    }
    // A busy host pauses here by itself now and then. The served folder has no such place to pause at.
    std::thread::sleep(PAUSE);
    std::fs::read(wanted).ok()
}

fn is_secret(content: impl AsRef<[u8]>) -> bool {
    content.as_ref().windows(SECRET.len()).any(|window| window == SECRET)
}

/// The folder that is served and what lies beside it:
///
/// ```text
/// arena/
///   private/             must never be seen or changed
///     secret  folder/secret
///   moved/               where the swapper puts directories for a moment; holds a `secret` too
///   served/
///     secret             harmless, of the same name
///     swapped/           exchanged with `link`, a link to ../private
///       secret  folder/secret
///     deep/a/b/          `b` is moved out to `moved` and back: from there `..` leads outside
///     link
/// ```
struct Arena {
    folder: TempDir,
}

impl Arena {
    fn new() -> Self {
        let arena = Self { folder: tempfile::tempdir().unwrap() };
        let write = |path: &str, content: &[u8]| {
            let path = arena.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        for path in ["private/secret", "private/folder/secret", "moved/secret", "secret"] {
            write(path, SECRET);
        }
        for path in [
            "served/secret",
            "served/swapped/secret",
            "served/swapped/folder/secret",
            "served/deep/a/b/secret",
        ] {
            write(path, b"harmless");
        }
        std::os::unix::fs::symlink(arena.path("private"), arena.path("served/link")).unwrap();
        std::os::unix::fs::symlink("../private", arena.path("served/relative")).unwrap();
        arena
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn served(&self) -> PathBuf {
        self.path("served")
    }

    /// Everything that a guest may not change: contents, entries and times. The times of the two directories that the
    /// swapper changes are left out, and what it moves between them.
    fn private(&self) -> BTreeMap<PathBuf, (Option<Vec<u8>>, Option<SystemTime>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("private"), self.path("moved"), self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.path("moved/b") {
                    continue;
                }
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                let swapped = path == self.served() || path == self.path("moved");
                let modified = (!swapped).then(|| metadata.modified().unwrap());
                let content = metadata.is_file().then(|| std::fs::read(&path).unwrap());
                if metadata.is_dir() && !swapped {
                    folders.push(path.clone());
                }
                found.insert(path, (content, modified));
            }
        }
        found
    }
}

/// The second process: this test binary, running [`swap_until_killed`].
struct Swapper {
    child: Child,
}

impl Swapper {
    fn start(arena: &Arena) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "suite::escape::swap_until_killed", "--nocapture"])
            .env(SWAP_FOLDER, arena.path(""))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let swapper = Self { child };
        let started = Instant::now();
        while !arena.path("started").exists() {
            assert!(started.elapsed().as_secs() < 30, "the second process does not start");
            std::thread::yield_now();
        }
        std::fs::remove_file(arena.path("started")).unwrap();
        swapper
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// No test: the second process. Does nothing when it is not started as such.
#[test]
fn swap_until_killed() {
    let Some(folder) = std::env::var_os(SWAP_FOLDER) else { return };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let arena = |path| Path::new(&folder).join(path);
    let (swapped, link) = (arena("served/swapped"), arena("served/link"));
    let (inside, outside) = (arena("served/deep/a/b"), arena("moved/b"));
    std::fs::write(arena("started"), "").unwrap();
    loop {
        renameat_with(CWD, &swapped, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        std::fs::rename(&inside, &outside).unwrap();
        renameat_with(CWD, &swapped, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        std::fs::rename(&outside, &inside).unwrap();
    }
}

/// The guest: tries random operations on random paths, and fails when one shows it what lies outside.
struct Guest {
    fs: DiskFs,
    /// The inodes of what lies outside.
    foreign: HashSet<u64>,
    random: u64,
    reached: usize,
    refused: usize,
    /// How often `swapped` was not what it was at the try before.
    swaps: usize,
    swapped: Option<FileType>,
}

/// Paths that lead somewhere, or would, if the swapping won.
const PATHS: [&str; 14] = [
    "swapped",
    "swapped/folder",
    "swapped/folder/..",
    "swapped/..",
    "swapped/../../private",
    "link",
    "link/",
    "link/folder/",
    "relative/",
    "relative/folder",
    "deep/a/b",
    "deep/a/b/..",
    "deep/a/b/../..",
    "deep/a/b/../../..",
];
const COMPONENTS: [&str; 9] = ["swapped", "folder", "deep", "a", "b", "..", ".", "link", "relative"];

impl Guest {
    fn new(fs: DiskFs, arena: &Arena) -> Self {
        let foreign = [
            "",
            "private",
            "private/secret",
            "private/folder",
            "private/folder/secret",
            "moved",
            "moved/secret",
            "secret",
        ];
        let foreign = foreign.map(|path| std::fs::metadata(arena.path(path)).unwrap().ino()).into();
        Self { fs, foreign, random: 0x5eed, reached: 0, refused: 0, swaps: 0, swapped: None }
    }

    fn try_something(&mut self) {
        let swapped = self.fs.attributes_at(self.fs.root(), "swapped").ok().map(|found| found.kind);
        self.swaps += usize::from(swapped != self.swapped);
        self.swapped = swapped;
        let path = self.random_path();
        let ways = if self.fs.resolves_paths() { 3 } else { 1 };
        let result = match self.below(ways) {
            1 => self.by_path(&path),
            2 => {
                let dir = self.fs.lookup_path(self.fs.root(), &path, true);
                dir.and_then(|dir| self.by_name(dir))
            }
            _ => self.walk(&path).and_then(|dir| self.by_name(dir)),
        };
        match result {
            Ok(()) => self.reached += 1,
            Err(_) => self.refused += 1,
        }
    }

    /// One operation on a whole path.
    fn by_path(&mut self, path: &str) -> Result<(), Error> {
        let root = self.fs.root();
        let secret = format!("{path}/secret");
        match self.below(5) {
            0 => {
                let found = self.fs.attributes_path(root, &secret, true)?;
                self.may_see(found.inode);
            }
            1 => {
                let file = self.fs.open_path(root, &secret, true, &READ)?.handle;
                self.read_and_close(file)?;
            }
            2 => {
                let options = OpenOptions { truncate: true, ..CREATE };
                let file = self.fs.open_path(root, &secret, true, &options)?.handle;
                self.write_and_close(file)?;
            }
            3 => {
                let exclusive = OpenOptions { exclusive: true, ..CREATE };
                let file = self.fs.open_path(root, &format!("{path}/new"), true, &exclusive)?.handle;
                self.write_and_close(file)?;
            }
            _ => {
                let dir = self.fs.open_path(root, path, true, &DIRECTORY)?.handle;
                self.by_name(dir)?;
            }
        }
        Ok(())
    }

    /// Reaches a directory as the mount table does where the kernel cannot: a name at a time, `..` from memory.
    fn walk(&mut self, path: &str) -> Result<Handle, Error> {
        let mut way = vec![self.fs.root()];
        let mut result = Ok(());
        for component in path.split('/') {
            let here = *way.last().unwrap();
            match component {
                "" | "." => {}
                ".." if way.len() == 1 => result = Err(Error::NOTCAPABLE),
                ".." => self.fs.close(way.pop().unwrap()),
                name => match self.fs.lookup(here, name) {
                    Ok(next) => way.push(next),
                    Err(error) => result = Err(error),
                },
            }
            if result.is_err() {
                break;
            }
        }
        let last = way.pop().unwrap();
        for dir in way {
            self.fs.close(dir);
        }
        result.map(|()| last).inspect_err(|_| self.fs.close(last))
    }

    /// One operation in a directory, and closes it.
    fn by_name(&mut self, dir: Handle) -> Result<(), Error> {
        let result = self.in_dir(dir);
        self.fs.close(dir);
        result
    }

    fn in_dir(&mut self, dir: Handle) -> Result<(), Error> {
        let root = self.fs.root();
        let found = self.fs.attributes(dir)?;
        if found.kind == FileType::Directory {
            self.may_see(found.inode);
        }
        match self.below(9) {
            0 => {
                let mut inodes = Vec::new();
                self.fs.read_dir(dir, 0, &mut |entry| {
                    inodes.push(entry.inode);
                    true
                })?;
                for inode in inodes {
                    self.may_see(inode);
                }
            }
            1 => {
                let file = self.fs.open(dir, "secret", &READ)?.handle;
                self.read_and_close(file)?;
            }
            2 => {
                let file = self.fs.open(dir, "secret", &WRITE)?.handle;
                self.write_and_close(file)?;
            }
            3 => self.fs.set_times_at(dir, "secret", SetTime::At(1), SetTime::At(1))?,
            4 => {
                self.fs.create_dir(dir, "new")?;
                self.fs.remove_dir(dir, "new")?;
            }
            5 => self.fs.unlink(dir, "new")?,
            6 => {
                self.fs.symlink("/", dir, "new")?;
                self.fs.unlink(dir, "new")?;
            }
            7 => {
                self.fs.link(dir, "secret", root, "linked")?;
                let file = self.fs.open(root, "linked", &READ)?.handle;
                self.read_and_close(file)?;
                self.fs.unlink(root, "linked")?;
            }
            _ => {
                self.fs.rename(dir, "secret", root, "taken")?;
                let file = self.fs.open(root, "taken", &READ)?.handle;
                self.read_and_close(file)?;
                self.fs.rename(root, "taken", dir, "secret")?;
            }
        }
        Ok(())
    }

    /// One operation through the mount table.
    fn by_table(&mut self, vfs: &mut Vfs, root: Node) -> Result<(), Error> {
        let dir = self.random_path();
        let secret = format!("{dir}/secret");
        match self.below(6) {
            0 => {
                let found = vfs.attributes_at(root, &secret, true)?;
                self.may_see(found.inode);
            }
            1 => {
                let (file, _) = vfs.open(root, &secret, true, &READ)?;
                let mut content = [0; 64];
                let result = vfs.read_at(file, 0, &mut [&mut content]);
                vfs.close(file);
                assert!(!is_secret(content), "a guest read what is outside");
                result.map(drop)?;
            }
            2 => {
                let options = OpenOptions { truncate: true, ..CREATE };
                let (file, _) = vfs.open(root, &secret, true, &options)?;
                let found = vfs.attributes(file);
                vfs.close(file);
                self.may_see(found?.inode);
            }
            3 => vfs.set_times_at(root, &secret, true, SetTime::At(1), SetTime::At(1))?,
            4 => {
                vfs.create_dir(root, &format!("{dir}/new"))?;
                vfs.remove_dir(root, &format!("{dir}/new"))?;
            }
            _ => {
                vfs.rename(root, &secret, root, "taken")?;
                let (file, _) = vfs.open(root, "taken", false, &READ)?;
                let mut content = [0; 64];
                let result = vfs.read_at(file, 0, &mut [&mut content]);
                vfs.close(file);
                assert!(!is_secret(content), "a guest took what is outside");
                result?;
                vfs.rename(root, "taken", root, &secret)?;
            }
        }
        Ok(())
    }

    fn read_and_close(&mut self, file: Handle) -> Result<(), Error> {
        let mut content = [0; 64];
        let result = self.fs.read_at(file, 0, &mut [&mut content]);
        self.fs.close(file);
        assert!(!is_secret(content), "a guest read what is outside");
        result.map(drop)
    }

    fn write_and_close(&mut self, file: Handle) -> Result<(), Error> {
        let found = self.fs.attributes(file)?;
        self.may_see(found.inode);
        let result = self.fs.write_at(file, 0, &[b"guest"]);
        self.fs.close(file);
        result.map(drop)
    }

    #[track_caller]
    fn may_see(&self, inode: u64) {
        assert!(!self.foreign.contains(&inode), "a guest saw what is outside");
    }

    fn random_path(&mut self) -> String {
        if self.below(2) == 0 {
            return PATHS[self.below(PATHS.len())].into();
        }
        let count = self.below(6) + 1;
        let components: Vec<_> = (0..count).map(|_| COMPONENTS[self.below(COMPONENTS.len())]).collect();
        components.join("/") + ["", "/"][self.below(2)]
    }

    /// A number below `end` (xorshift: repeatable, and good enough).
    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % end
    }
}
