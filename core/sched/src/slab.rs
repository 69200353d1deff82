//! Values under identifiers that are not given twice.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// A slot, and how often it was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    generation: u32,
    index: u32,
}

impl Key {
    pub(crate) const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self { generation: (bits >> 32) as u32, index: bits as u32 }
    }
}

/// A growing table. Outsiders ask by [`Key`], which is checked; the queue itself keeps plain slots of values that it knows
/// to be there.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Adds a value. `None` at 2^32 - 1 values.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|&index| index < NONE)?;
                self.slots.push(Slot { generation: 0, value: None });
                index
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        Some(Key { generation: slot.generation, index })
    }

    /// Returns the slot of a value that is there.
    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        let slot = self.slots.get(key.index as usize)?;
        (slot.generation == key.generation && slot.value.is_some()).then_some(key.index)
    }

    /// Returns the key of a slot that is in use.
    pub(crate) fn key(&self, index: u32) -> Key {
        Key { generation: self.slots[index as usize].generation, index }
    }

    /// Empties a slot that is in use.
    pub(crate) fn remove(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.value = None;
        // A slot that was used 2^32 times is left alone rather than numbered again.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(index);
        }
    }
}

/// The slot that no value has.
pub(crate) const NONE: u32 = u32::MAX;

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.slots[index as usize].value.as_ref().expect("the slot is in use")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.slots[index as usize].value.as_mut().expect("the slot is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_key_names_nothing() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a').unwrap(), slab.insert('b').unwrap());
        slab.remove(slab.find(a).unwrap());
        let c = slab.insert('c').unwrap();
        assert_eq!((c.index, c.generation), (a.index, 1));
        assert_eq!((slab.find(a), slab.find(b), slab.find(c)), (None, Some(1), Some(0)));
        assert_eq!((slab[0], slab[1], slab.key(0)), ('c', 'b', c));
        assert_eq!((Key::from_bits(c.to_bits()), slab.find(Key::from_bits(u64::MAX))), (c, None));
    }
}
