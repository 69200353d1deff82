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
}
