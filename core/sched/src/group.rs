//! A group in the fair queue: its virtual time, its account, its line of waiting tasks.

use crate::quota::Account;
use crate::tasks::Line;
use crate::{CHARGE_MIN_NS, SLICE_NS, Share, Weight};

/// Virtual time: nanoseconds of service at the greatest weight. A group of weight `w` moves on by `10,000 / w` for each
/// nanosecond that it uses.
///
/// It does not wrap: at weight 1 it takes 10^13 a second for each processor, so 1,000 processors need 10^22 seconds to come
/// to 2^128. Additions saturate all the same, because used times come from outside.
pub(crate) type Virtual = u128;

/// Returns the virtual time of `ns` nanoseconds of service.
pub(crate) fn virtual_time(ns: u64, weight: Weight) -> Virtual {
    u128::from(ns) * Weight::MAX.get() / weight.get()
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) weight: Weight,
    pub(crate) account: Account,
    /// Its tasks that wait.
    pub(crate) line: Line,
    /// How many of its tasks run.
    pub(crate) running: usize,
    /// How many tasks it has.
    pub(crate) tasks: usize,
    /// It takes no more tasks.
    pub(crate) closed: bool,
    pub(crate) place: Place,
    /// What it has been charged for.
    service: Virtual,
    /// The slices of its running tasks, in nanoseconds.
    granted_ns: u64,
}

/// Where a group waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: none of its tasks waits.
    Idle,
    /// Among those that can run, with so many tasks.
    Ready { tag: Virtual, turn: Turn, tasks: usize },
    /// Until its quota is renewed, at that time.
    Throttled { until: u64 },
}

/// Tells groups with the same tag apart: those that slept come before those that competed, then who came first. It cannot
/// be had for ever: a turn that is charged changes the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Turn {
    pub(crate) competed: bool,
    pub(crate) number: u64,
}

impl Group {
    pub(crate) fn new(share: Share, now: u64) -> Self {
        Self {
            weight: share.weight,
            account: Account::new(share.quota, now),
            line: Line::new(),
            running: 0,
            tasks: 0,
            closed: false,
            place: Place::Idle,
            service: 0,
            granted_ns: 0,
        }
    }

    /// Whether it runs or could run: only while it does, it may be owed something.
    pub(crate) fn competes(&self) -> bool {
        self.running > 0 || matches!(self.place, Place::Ready { .. })
    }

    /// Returns up to which virtual time it has been served.
    pub(crate) fn service(&self) -> Virtual {
        self.service
    }

    /// Returns its start tag: what it has had, and what its running tasks were promised.
    pub(crate) fn tag(&self) -> Virtual {
        self.service.saturating_add(virtual_time(self.granted_ns, self.weight))
    }

    /// Returns where it stands when one of its tasks has run for `elapsed_ns`.
    pub(crate) fn position(&self, elapsed_ns: u64) -> Virtual {
        self.service.saturating_add(virtual_time(elapsed_ns, self.weight))
    }

    /// Forgets what it is owed beyond `owed_ns` of service, and what it was promised, at the virtual time `clock`.
    fn forget_credit(&mut self, clock: Virtual, owed_ns: u64) {
        let owed = virtual_time(self.granted_ns.saturating_add(owed_ns), self.weight);
        self.service = self.service.max(clock.saturating_sub(owed));
    }

    /// Gives a slice to one of its tasks, as long as the quota allows it.
    pub(crate) fn grant(&mut self, slice_ns: u64, now: u64) -> u64 {
        let slice_ns = slice_ns.min(self.account.room(self.granted_ns, now)).max(1);
        self.granted_ns = self.granted_ns.saturating_add(slice_ns);
        self.running += 1;
        slice_ns
    }

    /// Takes a slice back, and charges what was used. Returns the virtual time up to which it has been served.
    pub(crate) fn settle(&mut self, slice_ns: u64, used_ns: u64) -> Virtual {
        let used_ns = used_ns.max(CHARGE_MIN_NS);
        self.granted_ns = self.granted_ns.saturating_sub(slice_ns);
        self.running -= 1;
        self.service = self.position(used_ns);
        self.account.charge(used_ns);
        self.service
    }

    /// Changes its share at the virtual time `clock`. What it is ahead by stays the same service, in nanoseconds.
    pub(crate) fn set_share(&mut self, share: Share, clock: Virtual) {
        let ahead = self.service.saturating_sub(clock);
        if ahead > 0 {
            let ahead = ahead.saturating_mul(self.weight.get()) / share.weight.get();
            self.service = clock.saturating_add(ahead);
        }
        self.weight = share.weight;
        self.account.set_quota(share.quota);
    }

    /// Returns where it has to wait now. `competed` is what [`Self::competes`] said before the change that asks for this.
    pub(crate) fn next_place(&mut self, competed: bool, clock: Virtual, now: u64) -> Place {
        if self.line.len() == 0 {
            return Place::Idle;
        }
        if self.account.room(self.granted_ns, now) == 0 {
            return Place::Throttled { until: self.account.renewed() };
        }
        self.forget_credit(clock, if competed { SLICE_NS } else { 0 });
        Place::Ready { tag: self.tag(), turn: Turn::default(), tasks: self.line.len() }
    }
}
