//! Who gets no more than its quota.

use proptest::prelude::*;
use qyv_sched::{FairQueue, PERIOD_NS};

use crate::cases;
use crate::machine::{Habit, MS, Machine, S, US, quota, weight};

#[test]
fn a_quota_is_kept_by_all_tasks_together_and_leaves_the_rest() {
    let mut machine = Machine::new(2, FairQueue::new(2));
    let (limited, other) = (machine.app(quota(300)), machine.app(weight(1)));
    for _ in 0..5 {
        machine.task(limited, Habit::yielding(700 * US));
        machine.task(other, Habit::HOG);
    }
    machine.run_until(10 * S);
    let used = machine.used();
    assert!(used[limited].abs_diff(3 * S) <= 30 * MS, "{used:?}");
    assert_eq!(used[limited] + used[other], 20 * S);
}

#[test]
fn idle_periods_are_not_saved() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let app = machine.app(quota(100));
    machine.task_at(app, Habit::HOG, 60 * S);
    for period in 1..=10 {
        machine.run_until(60 * S + period * PERIOD_NS);
        assert_eq!(machine.used()[app], period * PERIOD_NS / 10);
    }
}

#[test]
fn a_new_quota_counts_at_once() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let app = machine.app(quota(100));
    machine.task(app, Habit::HOG);
    machine.run_until(50 * MS);
    assert_eq!(machine.used()[app], 10 * MS);
    machine.set_share(app, quota(400));
    // Somebody looks at the queue.
    machine.task(app, Habit::sleeping(US, S));
    machine.run_until(PERIOD_NS - 1);
    assert_eq!(machine.used()[app], 40 * MS);
    machine.set_share(app, weight(100));
    machine.run_until(S);
    assert!(machine.used()[app] >= 40 * MS + 9 * PERIOD_NS - US);
}

#[test]
fn thousands_that_are_throttled_all_come_back() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    for _ in 0..5_000 {
        let app = machine.app(quota(1));
        machine.task(app, Habit::sleeping(100 * US, MS));
    }
    machine.run_until(5 * S);
    // Five processors' worth of quotas on one: all of it is used, by all.
    let used = machine.used();
    assert_eq!(used.iter().sum::<u64>(), 5 * S);
    assert!(used.iter().all(|used| used.abs_diff(MS) <= 200 * US));
}

proptest! {
    #![proptest_config(cases(32))]

    /// Within 1 % of the quota over ten seconds, though tasks stop late, sleep a little, and others want to run.
    #[test]
    fn a_quota_is_kept_within_one_percent(
        processors in 1..4_usize,
        thousandths in 10..900_u32,
        tasks in prop::collection::vec((1..8_000_u64, prop::option::of(1..300_u64), 0..2_000_u64), 1..5),
    ) {
        let mut machine = Machine::new(processors, FairQueue::new(processors));
        let app = machine.app(quota(thousandths));
        // One that always wants to run, so that the quota is what limits.
        machine.task(app, Habit { overrun_ns: 500 * US, ..Habit::HOG });
        for (run_us, sleep_us, late_us) in tasks {
            let sleep_ns = sleep_us.map(|sleep_us| sleep_us * US);
            machine.task(app, Habit { run_ns: run_us * US, sleep_ns, overrun_ns: late_us * US });
        }
        machine.run_until(20 * S);
        let expected = 20 * S / 1_000 * u64::from(thousandths);
        let used = machine.used()[app];
        prop_assert!(used.abs_diff(expected) <= expected / 100, "{used} ns of {expected} ns");
    }
}
