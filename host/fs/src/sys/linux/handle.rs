//! What a handle of a guest stands for on the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use qyv_vfs::{Error, Result};

use super::listing::Listing;
use crate::sys::quota::FileId;

/// What a handle stands for.
pub(super) struct Open {
    pub(super) fd: OwnedFd,
    pub(super) role: Role,
    /// Where a reader of the directory is; made by the first read.
    pub(super) listing: Option<Box<Listing>>,
}

/// What a descriptor is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Opened with `O_PATH`, of any kind: a base for names, and attributes.
    Path,
    Directory,
    File {
        read: bool,
        write: bool,
        /// Which file, where a quota must know when its last handle goes.
        id: Option<FileId>,
    },
}

impl Open {
    pub(super) fn new(fd: OwnedFd, role: Role) -> Self {
        Self { fd, role, listing: None }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor of a file opened for writing, otherwise `BADF`.
    pub(super) fn for_writing(&self) -> Result<BorrowedFd<'_>> {
        match self.role {
            Role::File { write: true, .. } => Ok(self.fd()),
            _ => Err(Error::BADF),
        }
    }

    /// Whether it has this file open.
    pub(super) fn holds(&self, file: FileId) -> bool {
        matches!(self.role, Role::File { id: Some(id), .. } if id == file)
    }
}
