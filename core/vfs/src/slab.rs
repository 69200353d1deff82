//! Values under numbers that are not given twice.

use alloc::vec::Vec;

use crate::{Error, Result};

/// The number of a value: the slot plus one in the low 32 bits, how often the slot was used before in the high ones.
/// So it is never 0, small numbers come first, and the number of a removed value names nothing.
pub(crate) type Key = u64;

/// A growing table. Finding, adding and removing take constant time.
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

    /// Adds a value. `NOMEM` at 2^32 - 1 values.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|&index| index < u32::MAX);
                let index = index.ok_or(Error::NOMEM)?;
                self.slots.push(Slot { generation: 0, value: None });
                index
            }
        };
        let slot = self.slots.get_mut(index as usize).ok_or(Error::NOMEM)?;
        slot.value = Some(value);
        Ok(u64::from(slot.generation) << 32 | u64::from(index + 1))
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let (index, generation) = split(key)?;
        self.slots.get(index).filter(|slot| slot.generation == generation)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (index, generation) = split(key)?;
        self.slots.get_mut(index).filter(|slot| slot.generation == generation)?.value.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (index, generation) = split(key)?;
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == generation)?;
        let value = slot.value.take()?;
        // A slot that was used 2^32 times is left alone rather than numbered again.
        if let Some(next) = generation.checked_add(1) {
            slot.generation = next;
            self.free.push(index as u32);
        }
        Some(value)
    }
}

fn split(key: Key) -> Option<(usize, u32)> {
    let index = (key as u32).checked_sub(1)?;
    Some((index as usize, (key >> 32) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_number_names_nothing() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a').unwrap(), slab.insert('b').unwrap());
        assert_eq!((a, b), (1, 2));
        assert_eq!(slab.remove(a), Some('a'));
        let c = slab.insert('c').unwrap();
        assert_eq!(c, 1 << 32 | 1);
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!((slab.remove(a), slab.get(0), slab.get(u64::MAX)), (None, None, None));
    }
}
