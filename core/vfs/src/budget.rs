//! A counter that is charged before anything grows.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// A limit shared by everything that draws on it: cloning gives another hand on the same counter.
///
/// One budget counts an app's memory (linear memories, tables, GC heap, memory file systems, host buffers); others
/// count a volume's bytes and its inodes.
#[derive(Clone, Debug)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicU64,
}

impl Budget {
    /// A budget of `limit` units (bytes or inodes, whatever its user counts).
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let inner = Inner { limit, used: 0.into(), peak: 0.into(), refused: 0.into() };
        Self { inner: Arc::new(inner) }
    }

    /// A budget that never refuses (short of 2^64 - 1 units).
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Takes `amount` units, or takes nothing and returns `false`.
    #[must_use]
    pub fn try_take(&self, amount: u64) -> bool {
        let taken = self.inner.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|&sum| sum <= self.inner.limit)
        });
        match taken {
            Ok(before) => {
                self.inner.peak.fetch_max(before + amount, Ordering::Relaxed);
                true
            }
            Err(_) => {
                self.inner.refused.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Takes as much of `amount` as is left and returns how much that was. Less than asked counts as a refusal.
    #[must_use]
    pub fn take_up_to(&self, amount: u64) -> u64 {
        let fits = |used: u64| amount.min(self.inner.limit.saturating_sub(used));
        let taken = self
            .inner
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used + fits(used)))
            .map_or(0, |before| {
                self.inner.peak.fetch_max(before + fits(before), Ordering::Relaxed);
                fits(before)
            });
        if taken < amount {
            self.inner.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Gives `amount` units back. More than was taken counts as all of it.
    pub fn give_back(&self, amount: u64) {
        let _ = self
            .inner
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(amount)));
    }

    /// Takes `amount` units for as long as the returned value lives.
    #[must_use]
    pub fn charge(&self, amount: u64) -> Option<Charge> {
        self.try_take(amount).then(|| Charge { budget: self.clone(), amount })
    }

    /// A charge of nothing yet, to be resized.
    #[must_use]
    pub fn hold(&self) -> Charge {
        Charge { budget: self.clone(), amount: 0 }
    }

    /// The most that can be taken at once.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.inner.limit
    }

    /// What is taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// What is left.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// The most that was ever taken at one time.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.inner.peak.load(Ordering::Relaxed)
    }

    /// How many requests were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }
}

/// Units taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    amount: u64,
}

impl Charge {
    /// How many units are held.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Changes the held amount to `amount`, or changes nothing and returns `false`.
    #[must_use]
    pub fn try_resize(&mut self, amount: u64) -> bool {
        if amount > self.amount {
            if !self.budget.try_take(amount - self.amount) {
                return false;
            }
        } else {
            self.budget.give_back(self.amount - amount);
        }
        self.amount = amount;
        true
    }
}

impl Charge {
    /// Holds `amount` more units, or changes nothing and returns `false`.
    #[must_use]
    pub fn try_grow(&mut self, amount: u64) -> bool {
        self.amount.checked_add(amount).is_some_and(|sum| self.try_resize(sum))
    }

    /// Holds as many more units, up to `amount`, as are left. Returns how many.
    #[must_use]
    pub fn grow_up_to(&mut self, amount: u64) -> u64 {
        let taken = self.budget.take_up_to(amount);
        self.amount += taken;
        taken
    }

    /// Holds what `other`, of the same budget, held too.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.amount += core::mem::take(&mut other.amount);
    }

    /// Holds `amount` units less, or none when it held fewer.
    pub fn shrink(&mut self, amount: u64) {
        let less = amount.min(self.amount);
        self.budget.give_back(less);
        self.amount -= less;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit_and_changes_nothing() {
        let budget = Budget::new(10);
        let mut charge = budget.charge(6).unwrap();
        assert!(!budget.try_take(5));
        assert!(!budget.try_take(u64::MAX));
        assert!(!charge.try_resize(11));
        assert_eq!((budget.used(), budget.refused()), (6, 3));
        assert!(charge.try_resize(10));
        drop(charge);
        assert_eq!((budget.used(), budget.peak()), (0, 10));
    }

    #[test]
    fn takes_what_is_left() {
        let budget = Budget::new(10);
        let mut charge = budget.hold();
        assert_eq!((charge.grow_up_to(7), charge.grow_up_to(7), charge.grow_up_to(7)), (7, 3, 0));
        assert_eq!((charge.amount(), budget.used(), budget.peak(), budget.refused()), (10, 10, 10, 2));
        assert!(!charge.try_grow(u64::MAX));
        charge.shrink(4);
        assert_eq!((charge.amount(), budget.used()), (6, 6));
    }
}
