//! What a guest makes the engine allocate, charged before it is allocated.

use qyv_vfs::Budget;
use wasmtime::ResourceLimiter;

/// The most linear memories of one store. Each costs address space and a mapping besides its bytes.
pub(crate) const MEMORIES_MAX: usize = 100;
/// The most tables of one store.
pub(crate) const TABLES_MAX: usize = 100;
/// The most core instances of one store: a component may hold several.
pub(crate) const INSTANCES_MAX: usize = 100;
/// The bytes that one table element is charged: the widest reference that wasmtime stores.
const TABLE_ELEMENT_BYTES: u64 = 16;

/// Charges linear memories, tables, the GC heap (which wasmtime grows as a memory) and instances to one budget.
///
/// A growth that was granted and that the operating system then refuses stays charged: wasmtime reports failures of
/// growths that were never asked for in the same way, and a guest could win back what it holds by causing them.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: Budget,
    /// What this store holds of `memory`, given back with it.
    held: u64,
    refused: bool,
}

impl Limiter {
    /// A limiter that draws on `memory`, in bytes.
    #[must_use]
    pub(crate) fn new(memory: Budget) -> Self {
        Self { memory, held: 0, refused: false }
    }

    /// Whether a growth was ever refused: a trap that follows is the limit's doing.
    #[must_use]
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// Charges `bytes` that the engine allocates for the store outside of its memories and tables; `false` when they
    /// are refused.
    #[must_use]
    pub(crate) fn charge(&mut self, bytes: u64) -> bool {
        self.grow(0, bytes, None)
    }

    fn grow(&mut self, current: u64, desired: u64, maximum: Option<u64>) -> bool {
        let amount = desired.saturating_sub(current);
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum: an ordinary failure, not the operator's limit.
            return false;
        }
        if !self.memory.try_take(amount) {
            self.refused = true;
            return false;
        }
        self.held += amount;
        true
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.memory.give_back(self.held);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current as u64, desired as u64, maximum.map(|maximum| maximum as u64)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| (elements as u64).saturating_mul(TABLE_ELEMENT_BYTES);
        Ok(self.grow(bytes(current), bytes(desired), maximum.map(bytes)))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_counter_for_memories_and_tables() {
        let budget = Budget::new(100);
        let mut limiter = Limiter::new(budget.clone());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.table_growing(0, 3, None).unwrap());
        assert!(limiter.refused());
        assert!(limiter.table_growing(0, 2, None).unwrap());
        assert_eq!(budget.used(), 92);
        drop(limiter);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_was_charged_at_the_start_is_given_back_with_the_store() {
        let budget = Budget::new(100);
        let mut limiter = Limiter::new(budget.clone());
        assert!(limiter.charge(100));
        assert!(!limiter.charge(1));
        assert!(limiter.refused());
        drop(limiter);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_modules_own_maximum_is_not_the_operators_limit() {
        let mut limiter = Limiter::new(Budget::new(1000));
        assert!(!limiter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!limiter.refused());
    }
}
