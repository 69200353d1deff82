//! The open handles of one file system.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use qyv_vfs::{Error, Handle, Result};

use super::listing::Listing;

/// Handles by number. A number holds its slot's index (low half) and how often the slot was used before (high half),
/// so that a closed handle is not taken for its successor.
pub(super) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    open: Option<Open>,
}

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

/// Names a file on the host for as long as it exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Slab {
    /// A slab that holds the root directory, at [`Slab::ROOT`].
    pub(super) fn new(root: OwnedFd) -> Self {
        let open = Open::new(root, Role::Path);
        Self { slots: vec![Slot { generation: 0, open: Some(open) }], free: Vec::new() }
    }

    pub(super) const ROOT: Handle = Handle(0);

    pub(super) fn insert(&mut self, open: Open) -> Result<Handle> {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.open = Some(open);
            return Ok(Handle(u64::from(slot.generation) << 32 | u64::from(index)));
        }
        let index = u32::try_from(self.slots.len()).map_err(|_| Error::MFILE)?;
        self.slots.push(Slot { generation: 0, open: Some(open) });
        Ok(Handle(index.into()))
    }

    pub(super) fn get(&self, handle: Handle) -> Result<&Open> {
        let (generation, index) = parts(handle);
        match self.slots.get(index) {
            Some(Slot { generation: now, open: Some(open) }) if *now == generation => Ok(open),
            _ => Err(Error::BADF),
        }
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Result<&mut Open> {
        let (generation, index) = parts(handle);
        match self.slots.get_mut(index) {
            Some(Slot { generation: now, open: Some(open) }) if *now == generation => Ok(open),
            _ => Err(Error::BADF),
        }
    }

    /// Takes the handle out; nothing when it is the root or not open.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<Open> {
        let (generation, index) = parts(handle);
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == generation)?;
        if handle == Self::ROOT {
            return None;
        }
        let open = slot.open.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.0 as u32);
        Some(open)
    }

    /// Whether any handle has this file open.
    pub(super) fn holds(&self, file: FileId) -> bool {
        self.slots
            .iter()
            .filter_map(|slot| slot.open.as_ref())
            .any(|open| matches!(open.role, Role::File { id: Some(id), .. } if id == file))
    }
}

fn parts(handle: Handle) -> (u32, usize) {
    ((handle.0 >> 32) as u32, handle.0 as u32 as usize)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Open {
        Open::new(std::fs::File::open("/").unwrap().into(), Role::Directory)
    }

    #[test]
    fn a_closed_handle_is_not_its_successor() {
        let mut slab = Slab::new(std::fs::File::open("/").unwrap().into());
        let first = slab.insert(open()).unwrap();
        assert!(slab.remove(first).is_some());
        let second = slab.insert(open()).unwrap();
        assert_ne!(first, second);
        assert!(slab.get(first).is_err() && slab.get_mut(first).is_err() && slab.remove(first).is_none());
        assert!(slab.get(second).is_ok());
        assert!(slab.get(Handle(u64::MAX)).is_err() && slab.get(Handle(99)).is_err());
    }

    #[test]
    fn the_root_stays() {
        let mut slab = Slab::new(std::fs::File::open("/").unwrap().into());
        assert!(slab.remove(Slab::ROOT).is_none());
        assert!(slab.get(Slab::ROOT).is_ok());
    }
}
