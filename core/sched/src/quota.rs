//! What a group has used of its quota in this period.

use crate::{PERIOD_NS, Quota};

/// The account of one group. Periods follow each other from when the group was made, so that not all groups that are
/// throttled come back in the same instant.
///
/// Use beyond the quota, by a task that did not yield in time, is a debt that the next periods pay. So over many periods a
/// group has its quota, whatever its tasks do; and never more than the quota of one period is saved.
#[derive(Debug)]
pub(crate) struct Account {
    quota: Option<Quota>,
    period_begin: u64,
    used_ns: u64,
}

impl Account {
    pub(crate) fn new(quota: Option<Quota>, now: u64) -> Self {
        Self { quota, period_begin: now, used_ns: 0 }
    }

    pub(crate) fn set_quota(&mut self, quota: Option<Quota>) {
        self.quota = quota;
    }

    /// Adds what was used.
    pub(crate) fn charge(&mut self, used_ns: u64) {
        self.used_ns = self.used_ns.saturating_add(used_ns);
    }

    /// Returns what may still be given out in the period of `now`, when `granted_ns` are given out and not yet charged.
    pub(crate) fn room(&mut self, granted_ns: u64, now: u64) -> u64 {
        let Some(quota) = self.quota else { return u64::MAX };
        let periods = now.saturating_sub(self.period_begin) / PERIOD_NS;
        self.period_begin += periods * PERIOD_NS;
        self.used_ns = self.used_ns.saturating_sub(periods.saturating_mul(quota.period_ns()));
        quota.period_ns().saturating_sub(self.used_ns.saturating_add(granted_ns))
    }

    /// Returns when there is room again, after [`Self::room`] found none: at the end of this period, or when debts are paid.
    pub(crate) fn renewed(&self) -> u64 {
        let periods = self.quota.map_or(0, |quota| self.used_ns / quota.period_ns()).max(1);
        self.period_begin.saturating_add(periods.saturating_mul(PERIOD_NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_period_has_its_quota_and_saves_nothing() {
        let mut account = Account::new(Quota::thousandths(200), 7);
        assert_eq!((account.room(0, 7), account.room(5 * MS, 8)), (20 * MS, 15 * MS));
        account.charge(20 * MS);
        assert_eq!((account.room(0, 99 * MS), account.renewed()), (0, 7 + 100 * MS));
        assert_eq!(account.room(0, 7 + 100 * MS), 20 * MS);
        assert_eq!(account.room(0, 900_000 * MS), 20 * MS);
    }

    #[test]
    fn a_debt_is_paid_by_the_periods_after() {
        let mut account = Account::new(Quota::thousandths(200), 0);
        account.charge(50 * MS);
        assert_eq!((account.room(0, 1), account.renewed()), (0, 200 * MS));
        assert_eq!((account.room(0, 100 * MS), account.renewed()), (0, 200 * MS));
        assert_eq!(account.room(0, 200 * MS), 10 * MS);
    }

    #[test]
    fn absurd_numbers_are_harmless() {
        let mut account = Account::new(Quota::thousandths(1), u64::MAX);
        account.charge(u64::MAX);
        account.charge(u64::MAX);
        assert_eq!((account.room(u64::MAX, 0), account.renewed()), (0, u64::MAX));
        account.set_quota(None);
        assert_eq!(account.room(u64::MAX, 0), u64::MAX);
    }
}
