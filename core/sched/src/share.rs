//! What a group may have: a part of the processors by weight, and at most its quota.

use core::num::NonZeroU32;

use crate::PERIOD_NS;

/// What a group may have. The default is weight 100 and no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Its part of the processors, against the weights of the groups that want to run too.
    pub weight: Weight,
    /// What it may use at most, however idle the processors are. `None` is no limit.
    pub quota: Option<Quota>,
}

/// A weight from 1 to 10,000. The default is 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    /// The greatest weight.
    pub const MAX: Self = Self(10_000);

    /// Returns the weight, `None` if it is not within 1 to 10,000.
    #[must_use]
    pub const fn new(weight: u16) -> Option<Self> {
        if weight >= 1 && weight <= Self::MAX.0 { Some(Self(weight)) } else { None }
    }

    pub(crate) fn get(self) -> u128 {
        self.0.into()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

/// Thousandths of one processor, over each period of [`PERIOD_NS`]: 500 is 50 ms in each 100 ms, 2,500 is two and a half
/// processors. What is left of a period is not added to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quota(NonZeroU32);

impl Quota {
    /// Returns the quota, `None` for 0.
    #[must_use]
    pub const fn thousandths(thousandths: u32) -> Option<Self> {
        match NonZeroU32::new(thousandths) {
            Some(thousandths) => Some(Self(thousandths)),
            None => None,
        }
    }

    /// Nanoseconds of processor time in a period.
    pub(crate) fn period_ns(self) -> u64 {
        u64::from(self.0.get()) * (PERIOD_NS / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_bounds() {
        assert_eq!(Weight::new(100), Some(Weight::default()));
        assert_eq!((Weight::new(1), Weight::new(10_000)), (Some(Weight(1)), Some(Weight::MAX)));
        assert_eq!((Weight::new(0), Weight::new(10_001), Quota::thousandths(0)), (None, None, None));
        assert_eq!(Quota::thousandths(500).map(Quota::period_ns), Some(PERIOD_NS / 2));
        assert_eq!(Quota::thousandths(u32::MAX).map(Quota::period_ns), Some(4_294_967_295 * 100_000));
    }
}
