//! Health checks of one run: when the next is due, and what their answers mean.

use qyv_spec::app::AppHealth;

use crate::spec::ns;

/// The checks of one run.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Failures before this moment do not count, unless a check has succeeded.
    counts_from: u64,
    succeeded: bool,
    failures: u32,
    /// The number of the last check.
    id: u64,
    next: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    /// A check is due at this moment.
    At(u64),
    /// An answer is due by this moment.
    Answer(u64),
}

/// What is known after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Open,
    Healthy,
    Unhealthy,
}

impl Watch {
    /// Starts watching a run whose code began at `now`. The first check is made when the host says that it listens, or
    /// after one interval.
    pub(crate) fn new(health: &AppHealth, now: u64) -> Self {
        Self {
            counts_from: now.saturating_add(ns(health.start_period_ms)),
            succeeded: false,
            failures: 0,
            id: 0,
            next: Next::At(now.saturating_add(ns(health.interval_ms))),
        }
    }

    /// Makes the first check due at once.
    pub(crate) fn hurry(&mut self, now: u64) {
        if self.id == 0 {
            self.next = Next::At(now);
        }
    }

    /// The number of the check to make, when one is due.
    pub(crate) fn due(&mut self, health: &AppHealth, now: u64) -> Option<u64> {
        match self.next {
            Next::At(at) if at <= now => {
                self.id += 1;
                self.next = Next::Answer(now.saturating_add(ns(health.timeout_ms)));
                Some(self.id)
            }
            _ => None,
        }
    }

    /// Takes the answer to check `id`. An answer to another one says nothing.
    pub(crate) fn answer(&mut self, health: &AppHealth, id: u64, ok: bool, now: u64) -> Verdict {
        if id != self.id || !matches!(self.next, Next::Answer(_)) {
            return Verdict::Open;
        }
        self.next = Next::At(now.saturating_add(ns(health.interval_ms)));
        if ok {
            self.succeeded = true;
            self.failures = 0;
            return Verdict::Healthy;
        }
        if !self.succeeded && now < self.counts_from {
            return Verdict::Open;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= health.retries { Verdict::Unhealthy } else { Verdict::Open }
    }

    /// An answer that has not come in time is a failure.
    pub(crate) fn expire(&mut self, health: &AppHealth, now: u64) -> Verdict {
        match self.next {
            Next::Answer(by) if by <= now => self.answer(health, self.id, false, now),
            _ => Verdict::Open,
        }
    }

    pub(crate) fn deadline(&self) -> u64 {
        match self.next {
            Next::At(at) | Next::Answer(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyv_spec::app::Probe;

    const SECOND: u64 = 1_000_000_000;

    fn health(start_period_ms: u64) -> AppHealth {
        let probe = Probe::Service("db".parse().unwrap());
        AppHealth { probe, interval_ms: 10_000, timeout_ms: 2000, retries: 3, start_period_ms }
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy_and_a_success_forgets_them() {
        let health = health(0);
        let mut watch = Watch::new(&health, 0);
        let mut now = 0;
        let mut check = |watch: &mut Watch, ok| {
            now = watch.deadline();
            let id = watch.due(&health, now).unwrap();
            watch.answer(&health, id, ok, now)
        };
        let verdicts = [false, false, true, false, false, false].map(|ok| check(&mut watch, ok));
        use Verdict::{Healthy, Open, Unhealthy};
        assert_eq!(verdicts, [Open, Open, Healthy, Open, Open, Unhealthy]);
    }

    #[test]
    fn in_the_start_period_failures_count_only_after_a_success() {
        let health = health(100_000);
        let mut watch = Watch::new(&health, 0);
        for round in 1..=9 {
            let id = watch.due(&health, round * 10 * SECOND).unwrap();
            assert_eq!(watch.answer(&health, id, false, round * 10 * SECOND), Verdict::Open);
        }
        let verdicts = [10, 11, 12].map(|round| {
            let id = watch.due(&health, round * 10 * SECOND).unwrap();
            watch.answer(&health, id, false, round * 10 * SECOND)
        });
        assert_eq!(verdicts, [Verdict::Open, Verdict::Open, Verdict::Unhealthy]);

        let mut watch = Watch::new(&health, 0);
        let verdicts = [true, false, false, false].map(|ok| {
            let now = watch.deadline();
            let id = watch.due(&health, now).unwrap();
            watch.answer(&health, id, ok, now)
        });
        assert_eq!(verdicts, [Verdict::Healthy, Verdict::Open, Verdict::Open, Verdict::Unhealthy]);
    }

    #[test]
    fn no_answer_is_a_failure_and_a_late_one_says_nothing() {
        let health = health(0);
        let mut watch = Watch::new(&health, 0);
        watch.hurry(5);
        let id = watch.due(&health, 5).unwrap();
        assert_eq!(watch.deadline(), 5 + 2 * SECOND);
        assert_eq!(watch.expire(&health, 4 + 2 * SECOND), Verdict::Open);
        watch.expire(&health, 5 + 2 * SECOND);
        assert_eq!(watch.failures, 1);
        assert_eq!(watch.answer(&health, id, true, 6 + 2 * SECOND), Verdict::Open);
        assert_eq!(watch.due(&health, 6 + 2 * SECOND), None);
    }
}
