//! The tests of a served folder, for each file system that serves one: `crate::DiskFs` is the one under test.

mod attacks;
mod escape;
mod files;
mod names;
mod quota;

use std::path::Path;

use qyv_vfs::{Access, Attributes, Error, FileSystem, FileType, Handle, Node, OpenOptions, Vfs};
use qyvol_fs::{DiskFsOptions, DiskQuota};
use tempfile::TempDir;

use crate::DiskFs;

pub(crate) const READ: OpenOptions = options(true, false);
pub(crate) const WRITE: OpenOptions = options(false, true);
pub(crate) const BOTH: OpenOptions = options(true, true);
pub(crate) const CREATE: OpenOptions = OpenOptions { create: true, ..BOTH };
pub(crate) const DIRECTORY: OpenOptions = OpenOptions { directory: true, ..options(false, false) };

const fn options(read: bool, write: bool) -> OpenOptions {
    OpenOptions { read, write, create: false, exclusive: false, truncate: false, directory: false }
}

/// A served folder inside a folder of which the guest must not see more.
pub(crate) struct Served {
    pub(crate) outside: TempDir,
    pub(crate) fs: DiskFs,
    pub(crate) paths: Paths,
}

pub(crate) fn serve() -> Served {
    serve_with(DiskFsOptions::default())
}

pub(crate) fn serve_with(options: DiskFsOptions) -> Served {
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(outside.path().join("served")).unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let folder = outside.path().join("served");
    let paths = Paths::new(&folder);
    Served { fs: DiskFs::open(&folder, options).unwrap(), paths, outside }
}

/// Whole paths in a folder, as the file system resolves them itself where it does, otherwise as the mount table does.
pub(crate) enum Paths {
    Own(DiskFs),
    Table(Vfs, Node),
}

impl Paths {
    pub(crate) fn new(folder: &Path) -> Self {
        let fs = DiskFs::open(folder, DiskFsOptions::default()).unwrap();
        if fs.resolves_paths() {
            return Self::Own(fs);
        }
        let mut table = Vfs::new();
        table.mount("/", Box::new(fs), Access::ReadWrite).unwrap();
        let root = table.open_root("/").unwrap();
        Self::Table(table, root)
    }

    pub(crate) fn attributes(&mut self, path: &str, follow: bool) -> Result<Attributes, Error> {
        match self {
            Self::Own(fs) => {
                let found = fs.attributes_path(fs.root(), path, follow);
                // Three ways to the same answer.
                let handle = fs.lookup_path(fs.root(), path, follow);
                let looked_up = handle.and_then(|handle| fs.attributes(handle));
                assert_eq!(looked_up, found, "{path} {follow}");
                found
            }
            Self::Table(table, root) => table.attributes_at(*root, path, follow),
        }
    }

    pub(crate) fn open(
        &mut self,
        path: &str,
        follow: bool,
        options: &OpenOptions,
    ) -> Result<FileType, Error> {
        match self {
            Self::Own(fs) => fs.open_path(fs.root(), path, follow, options).map(|opened| opened.kind),
            Self::Table(table, root) => table.open(*root, path, follow, options).map(|(_, kind)| kind),
        }
    }
}

pub(crate) fn quota(bytes: &qyv_vfs::Budget, inodes: &qyv_vfs::Budget) -> DiskFsOptions {
    let quota = DiskQuota { bytes: bytes.clone(), inodes: inodes.clone() };
    DiskFsOptions { quota: Some(quota), ..DiskFsOptions::default() }
}

impl Served {
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.outside.path().join("served")
    }

    pub(crate) fn create(&mut self, name: &str, content: &[u8]) -> Handle {
        let file = self.fs.open(self.fs.root(), name, &CREATE).unwrap().handle;
        assert_eq!(self.fs.write_at(file, 0, &[content]), Ok(content.len()));
        file
    }

    /// What every way of reaching `path` as a file answers; they must agree.
    pub(crate) fn refusal(&mut self, path: &str) -> Error {
        let paths = &mut self.paths;
        let stat = paths.attributes(path, true).unwrap_err();
        for options in [READ, WRITE, OpenOptions { truncate: true, ..WRITE }] {
            assert_eq!(paths.open(path, true, &options), Err(stat), "{path} {options:?}");
        }
        stat
    }

    pub(crate) fn names(&mut self, dir: Handle) -> Vec<String> {
        let mut names = Vec::new();
        self.fs
            .read_dir(dir, 0, &mut |entry| {
                names.push(entry.name);
                true
            })
            .unwrap();
        names.sort();
        names
    }
}

/// A FIFO, made by the host's own program.
pub(crate) fn make_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}
