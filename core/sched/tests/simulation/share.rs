//! Who gets how much.

use proptest::prelude::*;
use qyv_sched::{FairQueue, Fifo, Outcome, SLICE_NS, Scheduler, TaskId, Wake};

use crate::cases;
use crate::machine::{Habit, MS, Machine, S, US, weight};

/// Jain's index of fairness: 1 when all have the same, 1 / n when one has all.
fn jain(values: &[u64]) -> f64 {
    let sum: f64 = values.iter().map(|&value| value as f64).sum();
    let squares: f64 = values.iter().map(|&value| (value as f64).powi(2)).sum();
    sum * sum / (values.len() as f64 * squares)
}

/// Whether each value is its part of all, within 5 %.
fn are_shares(used: &[u64], parts: &[u64]) -> bool {
    let (all, whole) = (used.iter().sum::<u64>() as f64, parts.iter().sum::<u64>() as f64);
    used.iter().zip(parts).all(|(&used, &part)| {
        let expected = all * part as f64 / whole;
        (used as f64 - expected).abs() <= expected * 0.05
    })
}

/// Three apps of the weights 1, 2 and 4, whose tasks have turns of different lengths.
fn one_two_four(processors: usize, queue: impl Scheduler + 'static) -> Vec<u64> {
    let mut machine = Machine::new(processors, queue);
    for (share, run_ns) in [(100, 2 * MS), (200, 300 * US), (400, u64::MAX)] {
        let app = machine.app(weight(share));
        for _ in 0..3 {
            machine.task(app, Habit::yielding(run_ns));
        }
    }
    machine.run_until(10 * S);
    machine.used()
}

/// A hundred apps of one weight: with one to four tasks each, and turns from 50 µs to a slice.
fn hundred(processors: usize, queue: impl Scheduler + 'static) -> Vec<u64> {
    let mut machine = Machine::new(processors, queue);
    for number in 0..100 {
        let app = machine.app(weight(100));
        for _ in 0..=number % 4 {
            machine.task(app, Habit::yielding((50 * US) << (number % 7)));
        }
    }
    machine.run_until(60 * S);
    machine.used()
}

#[test]
fn weights_share_the_processors() {
    for processors in [1, 2] {
        let used = one_two_four(processors, FairQueue::new(processors));
        assert!(are_shares(&used, &[1, 2, 4]), "{processors} processors: {used:?}");
        let used = one_two_four(processors, Fifo::new());
        assert!(!are_shares(&used, &[1, 2, 4]), "a FIFO shares nothing, so this test is none: {used:?}");
    }
}

#[test]
fn equal_apps_get_the_same() {
    for processors in [1, 2] {
        let index = jain(&hundred(processors, FairQueue::new(processors)));
        assert!(index >= 0.99, "{processors} processors: {index}");
        let index = jain(&hundred(processors, Fifo::new()));
        assert!(index < 0.99, "a FIFO is not fair, so this test is none: {index}");
    }
}

#[test]
fn a_weight_that_one_task_cannot_use_is_shared_by_the_others() {
    let mut machine = Machine::new(2, FairQueue::new(2));
    for share in [10_000, 100, 200] {
        let app = machine.app(weight(share));
        machine.task(app, Habit::HOG);
    }
    machine.run_until(10 * S);
    let used = machine.used();
    assert!(are_shares(&used, &[3, 1, 2]), "{used:?}");
    // What it could not use is no credit: with more tasks it has its share, and not more.
    for _ in 0..3 {
        machine.task(0, Habit::HOG);
        machine.task(1, Habit::HOG);
    }
    machine.set_share(0, weight(300));
    machine.run_until(12 * S);
    let later: Vec<u64> = machine.used().iter().zip(used).map(|(later, used)| later - used).collect();
    assert!(are_shares(&later, &[3, 1, 2]), "{later:?}");
}

#[test]
fn a_new_weight_counts_from_then_on() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    for _ in 0..2 {
        let app = machine.app(weight(100));
        machine.task(app, Habit::HOG);
    }
    let mut before = vec![0, 0];
    for (round, share) in [(1, 100), (2, 1_000), (3, 10), (4, 100)] {
        machine.set_share(0, weight(share));
        machine.run_until(round * 5 * S);
        let used = machine.used();
        let round: Vec<u64> = used.iter().zip(&before).map(|(used, before)| used - before).collect();
        assert!(are_shares(&round, &[share.into(), 100]), "{share}: {round:?}");
        before = used;
    }
}

#[test]
fn who_blocks_and_wakes_has_its_share_at_most() {
    for (run_ns, sleep_ns) in
        [(SLICE_NS - 1, 1), (MS, 10 * US), (100 * US, 1), (10 * US, 50 * US), (SLICE_NS, 3 * MS)]
    {
        let mut machine = Machine::new(1, FairQueue::new(1));
        let sleeper = machine.app(weight(100));
        machine.task(sleeper, Habit::sleeping(run_ns, sleep_ns));
        for _ in 0..3 {
            let app = machine.app(weight(100));
            machine.task(app, Habit::HOG);
        }
        machine.run_until(10 * S);
        let used = machine.used();
        assert!(used[sleeper] <= 10 * S / 4 + SLICE_NS, "{run_ns} ns, then {sleep_ns} ns asleep: {used:?}");
        assert!(jain(&used[1..]) > 0.999);
    }
}

#[test]
fn who_slept_for_long_has_saved_nothing() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let (hog, late) = (machine.app(weight(100)), machine.app(weight(100)));
    machine.task(hog, Habit::HOG);
    machine.task_at(late, Habit::HOG, 100 * S);
    machine.run_until(101 * S);
    let used = machine.used();
    assert!(used[late].abs_diff(S / 2) <= 2 * SLICE_NS, "{used:?}");
}

#[test]
fn turns_too_short_for_the_clock_starve_nobody() {
    let (mut queue, [_, hog]) = woken(1, [1, 1]);
    let hog = hog[0];
    let mut turns_of_hog = 0;
    for _ in 0..10_000 {
        let picked = queue.pick(0).unwrap();
        turns_of_hog += u32::from(picked.task == hog);
        queue.charge(picked.task, if picked.task == hog { MS } else { 0 }, Outcome::Runnable, 0);
    }
    assert!(turns_of_hog >= 9, "{turns_of_hog}");
}

#[test]
fn what_was_used_while_all_was_idle_is_no_debt() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let (first, second) = (machine.app(weight(100)), machine.app(weight(100)));
    // Two seconds in one turn, because it called something that does not yield.
    let long = machine.task(first, Habit { run_ns: 2 * S, sleep_ns: Some(MS), overrun_ns: 2 * S });
    machine.task_at(second, Habit::HOG, 2 * S + MS / 2);
    machine.run_until(2 * S + 20 * MS);
    assert!(machine.tasks[long].turns > 1, "it is not made to wait for two seconds");
}

/// A queue with groups of so many tasks, all woken.
fn woken<const N: usize>(processors: usize, tasks: [usize; N]) -> (FairQueue, [Vec<TaskId>; N]) {
    let mut queue = FairQueue::new(processors);
    let ids = tasks.map(|tasks| {
        let group = queue.add_group(weight(100)).unwrap();
        let ids: Vec<TaskId> = (0..tasks).map(|_| queue.add_task(group).unwrap()).collect();
        assert!(ids.iter().all(|&id| queue.wake(id, 0) == Wake::Queued));
        ids
    });
    (queue, ids)
}

#[test]
fn two_processors_pick_two_groups() {
    let (mut queue, [crowd, single]) = woken(2, [5, 1]);
    assert_eq!(queue.pick(0).map(|picked| picked.task), Some(crowd[0]));
    assert_eq!(queue.pick(0).map(|picked| picked.task), Some(single[0]));
}

#[test]
fn at_equal_tags_a_sleeper_comes_first() {
    let (mut queue, loops) = woken(1, [1, 1]);
    let group = queue.add_group(weight(100)).unwrap();
    let sleeper = queue.add_task(group).unwrap();
    for _ in 0..2 {
        let task = queue.pick(0).unwrap().task;
        queue.charge(task, MS, Outcome::Runnable, 0);
    }
    assert_eq!(queue.pick(0).map(|picked| picked.task), Some(loops[0][0]));
    assert_eq!(queue.wake(sleeper, 0), Wake::Queued);
    assert_eq!(queue.pick(0).map(|picked| picked.task), Some(sleeper));
}

proptest! {
    #![proptest_config(cases(48))]

    /// What two groups had, each divided by its weight, differs by no more than a slice of each a processor.
    #[test]
    fn any_two_groups_are_never_far_apart(
        processors in 1..5_usize,
        apps in prop::collection::vec((1..=10_000_u16, prop::collection::vec(1..4_000_u64, 9..12)), 2..20),
    ) {
        let mut machine = Machine::new(processors, FairQueue::new(processors));
        for (share, tasks) in &apps {
            let app = machine.app(weight(*share));
            for run_us in tasks {
                machine.task(app, Habit::yielding(run_us * US));
            }
        }
        for step in 1..=40 {
            machine.run_until(step * 50 * MS);
            let used = machine.used();
            let normal: Vec<_> = used.iter().zip(&apps).map(|(&used, &(share, _))| (used as f64, f64::from(share))).collect();
            for (a, wa) in &normal {
                for (b, wb) in &normal {
                    let bound = processors as f64 * SLICE_NS as f64 * (1.0 / wa + 1.0 / wb);
                    prop_assert!((a / wa - b / wb).abs() <= bound, "{normal:?}");
                }
            }
        }
    }
}
