//! Directory entries: creating, removing, renaming, and what that means for the quota.

use std::os::fd::BorrowedFd;

use qyv_vfs::{Error, FileType, Handle, Result};
use rustix::fs::{AtFlags, Mode, Stat};

use super::DiskFs;
use super::attributes::{file_id, kind, size};
use super::resolve::stat_name;
use crate::sys::component::component;
use crate::sys::errno::call;

/// The longest target of a link, with one byte to see that it is longer.
const TARGET_MAX: usize = 4096;

pub(super) fn read_link(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    let name = component(name)?;
    let mut buffer = [0_u8; TARGET_MAX];
    let length = call(|| rustix::fs::readlinkat_raw(dir, name, &mut buffer))?;
    let target = buffer.get(..length).unwrap_or_default();
    Ok(std::str::from_utf8(target).map_err(|_| Error::ILSEQ)?.to_owned())
}

impl DiskFs {
    pub(super) fn make_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.make(dir, name, |dir, name| rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777)))
    }

    pub(super) fn make_link(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.make(dir, name, |dir, name| rustix::fs::symlinkat(target, dir, name))
    }

    fn make(
        &mut self,
        dir: Handle,
        name: &str,
        make: impl Fn(BorrowedFd<'_>, &str) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let dir = self.slab.get(dir)?.fd();
        let name = component(name)?;
        self.limits.charged(|| call(|| make(dir, name)))
    }

    /// A further name counts as an inode too: it takes room in a directory.
    pub(super) fn link_name(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_fd, to_fd) = (self.slab.get(from_dir)?.fd(), self.slab.get(to_dir)?.fd());
        let (from, to) = (component(from)?, component(to)?);
        self.limits.charged(|| call(|| rustix::fs::linkat(from_fd, from, to_fd, to, AtFlags::empty())))
    }

    pub(super) fn remove_name(&mut self, dir: Handle, name: &str, flags: AtFlags) -> Result<()> {
        let fd = self.slab.get(dir)?.fd();
        let name = component(name)?;
        let lost = self.loses(fd, name);
        call(|| rustix::fs::unlinkat(fd, name, flags)).map_err(not_empty)?;
        self.lost(lost);
        Ok(())
    }

    pub(super) fn move_name(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_fd, to_fd) = (self.slab.get(from_dir)?.fd(), self.slab.get(to_dir)?.fd());
        let (from, to) = (component(from)?, component(to)?);
        // Renaming one name of a file to another name of it does nothing.
        let lost = self
            .loses(to_fd, to)
            .filter(|lost| stat_name(from_fd, from).is_ok_and(|found| file_id(&found) != file_id(lost)));
        call(|| rustix::fs::renameat(from_fd, from, to_fd, to)).map_err(not_empty)?;
        self.lost(lost);
        Ok(())
    }

    /// What is there now, if its removal is to be counted.
    fn loses(&self, dir: BorrowedFd<'_>, name: &str) -> Option<Stat> {
        self.limits.quota.as_ref()?;
        stat_name(dir, name).ok()
    }

    /// Gives back what a removed name stood for: itself where the file has others, and nothing yet where it is open.
    fn lost(&mut self, removed: Option<Stat>) {
        let Some(removed) = removed else { return };
        let held = self.limits.quota.is_some() && self.holds(file_id(&removed));
        let Some(quota) = &mut self.limits.quota else { return };
        match kind(&removed) {
            Some(FileType::Directory) => quota.inodes.give_back(1),
            _ if removed.st_nlink > 1 => quota.inodes.give_back(1),
            _ if held => {}
            Some(FileType::Regular) => quota.give_back_file(size(&removed)),
            _ => quota.inodes.give_back(1),
        }
    }
}

/// POSIX leaves file systems the choice between two errors for a directory with entries.
fn not_empty(error: Error) -> Error {
    if error == Error::EXIST { Error::NOTEMPTY } else { error }
}
