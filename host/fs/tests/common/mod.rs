//! What the tests of the served folder share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use qyv_vfs::{Error, FileSystem, FileType, Handle, OpenOptions};
use qyvol_fs::{DiskFs, DiskFsOptions, DiskQuota};
use tempfile::TempDir;

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
}

pub(crate) fn serve() -> Served {
    serve_with(DiskFsOptions::default())
}

pub(crate) fn serve_with(options: DiskFsOptions) -> Served {
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(outside.path().join("served")).unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let fs = DiskFs::open(&outside.path().join("served"), options).unwrap();
    Served { outside, fs }
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
        let root = self.fs.root();
        let stat = self.fs.attributes_path(root, path, true).unwrap_err();
        assert_eq!(self.fs.open_path(root, path, true, &READ).unwrap_err(), stat, "reading {path}");
        assert_eq!(self.fs.open_path(root, path, true, &WRITE).unwrap_err(), stat, "writing {path}");
        let truncate = OpenOptions { truncate: true, ..WRITE };
        assert_eq!(self.fs.open_path(root, path, true, &truncate).unwrap_err(), stat, "truncating {path}");
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

pub(crate) fn is_dir(kind: FileType) -> bool {
    kind == FileType::Directory
}

/// A FIFO, made by the host's own program.
pub(crate) fn make_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}
