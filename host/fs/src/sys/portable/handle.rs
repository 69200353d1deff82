//! What a handle of a guest stands for.

use std::fs::File;

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use qyv_vfs::{Attributes, Error, Result, SetTime};

use super::attributes::{self, file_id};
use super::error::{call, error};
use super::listing::Listing;
use crate::sys::quota::FileId;

/// What a handle stands for.
pub(super) enum Open {
    Dir {
        dir: Dir,
        /// Where a reader of the directory is.
        listing: Listing,
    },
    File {
        file: File,
        read: bool,
        write: bool,
        id: FileId,
    },
    /// What cannot be opened: a link, what is not served, a file that may not be read.
    Name {
        dir: Dir,
        name: String,
        /// What was there; something else there is not meant.
        id: FileId,
    },
}

impl Open {
    pub(super) fn dir(dir: Dir) -> Self {
        Self::Dir { dir, listing: Listing::new() }
    }

    pub(super) fn as_dir(&self) -> Result<&Dir> {
        match self {
            Self::Dir { dir, .. } => Ok(dir),
            Self::File { .. } | Self::Name { .. } => Err(Error::NOTDIR),
        }
    }

    pub(super) fn as_listing(&mut self) -> Result<(&Dir, &mut Listing)> {
        match self {
            Self::Dir { dir, listing } => Ok((dir, listing)),
            Self::File { .. } | Self::Name { .. } => Err(Error::NOTDIR),
        }
    }

    /// The file, if it was opened for writing, otherwise `BADF`.
    pub(super) fn for_writing(&self) -> Result<&File> {
        match self {
            Self::File { file, write: true, .. } => Ok(file),
            _ => Err(Error::BADF),
        }
    }

    /// Whether it has this file open.
    pub(super) fn holds(&self, wanted: FileId) -> bool {
        matches!(self, Self::File { id, .. } if *id == wanted)
    }

    pub(super) fn attributes(&self) -> Result<Attributes> {
        match self {
            Self::Dir { dir, .. } => attributes::attributes(&call(|| dir.dir_metadata())?),
            Self::File { file, .. } => attributes::attributes(&attributes::of_file(file)?),
            Self::Name { dir, name, id } => {
                same(dir, name, *id)?;
                attributes::at_name(dir, name)
            }
        }
    }

    pub(super) fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        match self {
            Self::Dir { dir, .. } => {
                let [accessed, modified] = attributes::time_specs(accessed, modified)?;
                dir.set_times(".", accessed, modified).map_err(|refused| error(&refused))
            }
            Self::File { file, .. } => {
                let times = attributes::file_times(accessed, modified)?;
                call(|| file.set_times(times))
            }
            Self::Name { dir, name, id } => {
                same(dir, name, *id)?;
                attributes::set_times_at(dir, name, accessed, modified)
            }
        }
    }
}

/// `NOENT` when the name now stands for something else.
fn same(dir: &Dir, name: &str, id: FileId) -> Result<()> {
    if file_id(&attributes::stat(dir, name)?) == id { Ok(()) } else { Err(Error::NOENT) }
}
