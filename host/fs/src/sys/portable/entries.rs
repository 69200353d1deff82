//! Directory entries: creating, removing, renaming, and what that means for the quota.

use std::io;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, Metadata};
use qyv_vfs::{Error, FileType, Handle, Result};

use super::attributes::{file_id, kind, links, stat};
use super::error::call;
use super::names::component;
use super::{DiskFs, host};

/// The longest target of a link in bytes.
const TARGET_MAX: usize = 4096;

/// What a removal is meant for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    Directory,
    /// A file or a link.
    Other,
}

pub(super) fn read_link(dir: &Dir, name: &str) -> Result<String> {
    if kind(&stat(dir, name)?) != Some(FileType::Symlink) {
        return Err(Error::INVAL);
    }
    let target = call(|| dir.read_link_contents(name))?;
    let target = target.into_os_string().into_string().map_err(|_| Error::ILSEQ)?;
    if target.len() > TARGET_MAX { Err(Error::NAMETOOLONG) } else { Ok(host::guest_target(target)) }
}

impl DiskFs {
    /// Makes a directory or a link with `make`.
    pub(super) fn make(
        &mut self,
        dir: Handle,
        name: &str,
        make: impl Fn(&Dir, &str) -> io::Result<()>,
    ) -> Result<()> {
        let dir = self.slab.get(dir)?.as_dir()?;
        let name = component(name)?;
        self.limits.charged(|| call(|| make(dir, name)))
    }

    /// A further name counts as an inode too: it takes room in a directory.
    pub(super) fn link_name(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.slab.get(from_dir)?.as_dir()?, self.slab.get(to_dir)?.as_dir()?);
        let (from, to) = (component(from)?, component(to)?);
        self.limits.charged(|| {
            // Hosts have different words for it.
            if is_directory(&stat(from_dir, from)?) {
                return Err(if stat(to_dir, to).is_ok() { Error::EXIST } else { Error::PERM });
            }
            call(|| from_dir.hard_link(from, to_dir, to))
        })
    }

    pub(super) fn remove(&mut self, dir: Handle, name: &str, what: Removed) -> Result<()> {
        let dir = self.dir(dir)?;
        let name = component(name)?;
        let found = stat(dir, name)?;
        // Hosts have different words for what is of another kind, and Windows removes links by the same call as
        // directories.
        let directory = kind(&found) == Some(FileType::Directory);
        match what {
            Removed::Directory if directory => call(|| dir.remove_dir(name)).map_err(not_empty)?,
            Removed::Directory => return Err(Error::NOTDIR),
            Removed::Other if directory => return Err(Error::ISDIR),
            Removed::Other => call(|| dir.remove_file_or_symlink(name))?,
        }
        self.lost(Some(&found));
        Ok(())
    }

    pub(super) fn move_name(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        let (from, to) = (component(from)?, component(to)?);
        let moved = stat(from_dir, from)?;
        let replaced = stat(to_dir, to).ok();
        // Windows would replace a file by a directory, and has one word for all that it refuses.
        if cfg!(windows) {
            match replaced.as_ref().map(|replaced| [&moved, replaced].map(is_directory)) {
                Some([true, false]) => return Err(Error::NOTDIR),
                Some([false, true]) => return Err(Error::ISDIR),
                _ => {}
            }
        }
        call(|| from_dir.rename(from, to_dir, to)).map_err(not_empty)?;
        // Renaming one name of a file to another name of it does nothing.
        self.lost(replaced.filter(|replaced| file_id(replaced) != file_id(&moved)).as_ref());
        Ok(())
    }

    /// Gives back what a removed name stood for: itself where the file has others, and nothing yet where it is open.
    fn lost(&mut self, removed: Option<&Metadata>) {
        let Some(removed) = removed else { return };
        let held = self.limits.quota.is_some() && self.holds(file_id(removed));
        let Some(quota) = &mut self.limits.quota else { return };
        match kind(removed) {
            Some(FileType::Directory) => quota.inodes.give_back(1),
            _ if links(removed) > 1 => quota.inodes.give_back(1),
            _ if held => {}
            Some(FileType::Regular) => quota.give_back_file(removed.len()),
            _ => quota.inodes.give_back(1),
        }
    }
}

fn is_directory(found: &Metadata) -> bool {
    kind(found) == Some(FileType::Directory)
}

/// POSIX leaves file systems the choice between two errors for a directory with entries.
fn not_empty(error: Error) -> Error {
    if error == Error::EXIST { Error::NOTEMPTY } else { error }
}
