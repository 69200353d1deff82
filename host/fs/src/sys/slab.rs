//! The open handles of one file system.

use qyv_vfs::{Error, Handle, Result};

/// Handles by number. A number holds its slot's index (low half) and how often the slot was used before (high half),
/// so that a closed handle is not taken for its successor.
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    open: Option<T>,
}

impl<T> Slab<T> {
    /// A slab that holds the root directory, at [`Slab::ROOT`].
    pub(super) fn new(root: T) -> Self {
        Self { slots: vec![Slot { generation: 0, open: Some(root) }], free: Vec::new() }
    }

    pub(super) const ROOT: Handle = Handle(0);

    pub(super) fn insert(&mut self, open: T) -> Result<Handle> {
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

    pub(super) fn get(&self, handle: Handle) -> Result<&T> {
        let (generation, index) = parts(handle);
        match self.slots.get(index) {
            Some(Slot { generation: now, open: Some(open) }) if *now == generation => Ok(open),
            _ => Err(Error::BADF),
        }
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Result<&mut T> {
        let (generation, index) = parts(handle);
        match self.slots.get_mut(index) {
            Some(Slot { generation: now, open: Some(open) }) if *now == generation => Ok(open),
            _ => Err(Error::BADF),
        }
    }

    /// Takes the handle out; nothing when it is the root or not open.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<T> {
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

    /// What is open.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.open.as_ref())
    }
}

fn parts(handle: Handle) -> (u32, usize) {
    ((handle.0 >> 32) as u32, handle.0 as u32 as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_handle_is_not_its_successor() {
        let mut slab = Slab::new("root");
        let first = slab.insert("first").unwrap();
        assert!(slab.remove(first).is_some());
        let second = slab.insert("second").unwrap();
        assert_ne!(first, second);
        assert!(slab.get(first).is_err() && slab.get_mut(first).is_err() && slab.remove(first).is_none());
        assert_eq!(slab.get(second), Ok(&"second"));
        assert!(slab.get(Handle(u64::MAX)).is_err() && slab.get(Handle(99)).is_err());
        assert_eq!(slab.values().count(), 2);
    }

    #[test]
    fn the_root_stays() {
        let mut slab = Slab::new("root");
        assert!(slab.remove(Slab::<&str>::ROOT).is_none());
        assert!(slab.get(Slab::<&str>::ROOT).is_ok());
    }
}
