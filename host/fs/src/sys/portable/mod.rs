//! Hosts other than Linux: no folder is served yet, and the attempt says so.

use std::io;
use std::path::{Path, PathBuf};

use qyv_vfs::{Attributes, FileSystem, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind};

use crate::DiskFsOptions;

/// A folder of the host: its path, resolved. What takes its place under that path takes its place here.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`. Links are followed: it is the operator's path.
    ///
    /// # Errors
    ///
    /// The host's, when it is no folder or cannot be reached.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() { Ok(Self { path }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Opens a folder beneath this one.
    ///
    /// # Errors
    ///
    /// `CrossesDevices` when `path` leads out of this folder; otherwise the host's.
    pub fn open_beneath(&self, path: &str) -> io::Result<Self> {
        let beneath = Self::open(&self.path.join(path))?;
        if beneath.path.starts_with(&self.path) {
            Ok(beneath)
        } else {
            Err(io::ErrorKind::CrossesDevices.into())
        }
    }

    /// Where the folder is: absolute, without links.
    ///
    /// # Errors
    ///
    /// None on this host.
    pub fn path(&self) -> io::Result<PathBuf> {
        Ok(self.path.clone())
    }

    /// A second hand on the same folder.
    ///
    /// # Errors
    ///
    /// None on this host.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone() })
    }
}

/// A folder of the host as a file system. On this host there is none: no value of this type exists.
#[derive(Debug)]
pub enum DiskFs {}

impl DiskFs {
    /// Serves `folder`.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    pub fn open(folder: &Path, options: DiskFsOptions) -> io::Result<Self> {
        Self::new(Folder::open(folder)?, options)
    }

    /// Serves a folder that is open.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    #[expect(clippy::needless_pass_by_value, reason = "as on Linux")]
    pub fn new(folder: Folder, _: DiskFsOptions) -> io::Result<Self> {
        let why = format!(
            "folders are served on Linux only: `{}`; use a memory file system",
            folder.path.display()
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    /// As on Linux.
    #[must_use]
    pub fn without_path_resolution(self) -> Self {
        match self {}
    }
}

/// Operations that nobody can call, because there is no file system to call them on.
macro_rules! nobody_calls {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self $(, _: $argument)*) -> $result { match *self {} })*
    };
}

impl FileSystem for DiskFs {
    fn root(&self) -> Handle {
        match *self {}
    }

    nobody_calls! {
        lookup(Handle, &str) -> Result<Handle>;
        close(Handle) -> ();
        attributes(Handle) -> Result<Attributes>;
        read_link(Handle, &str) -> Result<String>;
        open(Handle, &str, &OpenOptions) -> Result<Opened>;
        reopen_dir(Handle) -> Result<Handle>;
        read_at(Handle, u64, &mut [&mut [u8]]) -> Result<usize>;
        write_at(Handle, u64, &[&[u8]]) -> Result<usize>;
        append(Handle, &[&[u8]]) -> Result<(usize, u64)>;
        set_size(Handle, u64) -> Result<()>;
        allocate(Handle, u64, u64) -> Result<()>;
        sync(Handle, SyncKind) -> Result<()>;
        set_times(Handle, SetTime, SetTime) -> Result<()>;
        set_times_at(Handle, &str, SetTime, SetTime) -> Result<()>;
        read_dir(Handle, u64, ReadDir<'_>) -> Result<()>;
        create_dir(Handle, &str) -> Result<()>;
        remove_dir(Handle, &str) -> Result<()>;
        unlink(Handle, &str) -> Result<()>;
        rename(Handle, &str, Handle, &str) -> Result<()>;
        link(Handle, &str, Handle, &str) -> Result<()>;
        symlink(&str, Handle, &str) -> Result<()>;
    }
}
