//! Hosts other than Linux: no folder is served yet, and the attempt says so.

use std::io;
use std::path::Path;

use qyv_vfs::{Attributes, FileSystem, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind};

use crate::DiskFsOptions;

/// A folder of the host as a file system. On this host there is none: no value of this type exists.
#[derive(Debug)]
pub enum DiskFs {}

impl DiskFs {
    /// Serves `folder`.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    pub fn open(folder: &Path, _: DiskFsOptions) -> io::Result<Self> {
        let why =
            format!("folders are served on Linux only: `{}`; use a memory file system", folder.display());
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
