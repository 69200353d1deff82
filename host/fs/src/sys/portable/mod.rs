//! Hosts other than Linux: no folder is served yet, and the attempt says so.

use std::io;
use std::path::Path;

use crate::DiskFsOptions;

/// A folder of the host as a file system: on this host there is none.
pub enum DiskFs {}

impl DiskFs {
    /// Serves `folder`.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    pub fn open(folder: &Path, _: DiskFsOptions) -> io::Result<Self> {
        let why = format!("folders are only served on Linux: {}", folder.display());
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}
