//! Who waits how long.

use proptest::prelude::*;
use qyv_sched::{FairQueue, Fifo, SLICE_MIN_NS, SLICE_NS, Scheduler};

use crate::cases;
use crate::machine::{Habit, MS, Machine, S, US, weight};

/// The bound of the module `fair`, for one of `tasks` tasks of a group.
fn wait_bound_ns(own: u16, tasks: usize, others: &[u16], processors: usize) -> u64 {
    let turns: f64 = others.iter().map(|&other| f64::from(other) / f64::from(own) + 2.0).sum();
    let turn = SLICE_NS as f64 * (turns / processors as f64 + 1.0);
    (turn * (tasks + tasks.min(processors) - 1) as f64) as u64
}

/// 200 requests a second, each of 200 µs, beside four loops a processor. Returns how long the unluckiest waited, and the
/// hundredth of them.
fn requests_beside_loops(processors: usize, queue: impl Scheduler + 'static) -> (u64, u64) {
    let mut machine = Machine::new(processors, queue);
    for number in 0..4 * processors as u64 {
        let app = machine.app(weight(100));
        // They stop a little late, each in its way, or all would be in step.
        machine.task(app, Habit { overrun_ns: number * 7 * US, ..Habit::HOG });
    }
    let service = machine.app(weight(100));
    // One task each: it comes at its time, whatever became of the one before.
    let requests: Vec<usize> = (1..2_000)
        .map(|n| machine.task_at(service, Habit::sleeping(200 * US, 1_000 * S), n * 5 * MS))
        .collect();
    machine.run_until(11 * S);
    let mut waits: Vec<u64> = requests.iter().map(|&request| machine.tasks[request].worst_wait_ns).collect();
    waits.sort_unstable();
    (waits[waits.len() - 1], waits[waits.len() - 1 - waits.len() / 100])
}

#[test]
fn requests_beside_loops_hardly_wait() {
    for processors in [1, 2] {
        let (worst, p99) = requests_beside_loops(processors, FairQueue::new(processors));
        assert!(
            worst <= 2 * SLICE_NS && p99 <= SLICE_NS,
            "{processors} processors: {worst} ns, p99 {p99} ns"
        );
        let (_, p99) = requests_beside_loops(processors, Fifo::new());
        assert!(p99 > 2 * SLICE_NS, "a FIFO makes them wait, so this test is none: {p99} ns");
    }
}

#[test]
fn a_hundred_loops_have_short_slices() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    for _ in 0..100 {
        let app = machine.app(weight(100));
        machine.task(app, Habit::HOG);
    }
    // The first one had a long slice, being alone, and pays for it.
    machine.warm_up(S);
    machine.run_until(10 * S);
    let worst = machine.tasks.iter().map(|task| task.worst_wait_ns).max().unwrap();
    assert!(worst <= 101 * SLICE_MIN_NS, "{worst} ns");
}

#[test]
fn a_storm_of_wake_ups_disturbs_nobody_for_long() {
    let mut machine = Machine::new(2, FairQueue::new(2));
    let hog = machine.app(weight(100));
    for _ in 0..2 {
        machine.task(hog, Habit::HOG);
    }
    for _ in 0..100 {
        let app = machine.app(weight(100));
        for _ in 0..100 {
            machine.task_at(app, Habit::sleeping(20 * US, 500 * MS), 10 * MS + 1);
        }
    }
    machine.run_until(15 * MS);
    assert!(machine.preemptions <= 4, "10,000 wake-ups ask {} times", machine.preemptions);
    machine.run_until(10 * S);
    let worst = machine.tasks[2..].iter().map(|task| task.worst_wait_ns).max().unwrap();
    // 10,000 times 20 µs on two processors is 100 ms, and the hogs have their part meanwhile.
    assert!(worst <= 105 * MS, "{worst} ns");
    let used = machine.used();
    let sleepers: u64 = used[1..].iter().sum();
    assert_eq!(used[hog] + sleepers, 20 * S, "no processor rests while somebody wants it");
}

#[test]
fn a_hundred_thousand_apps_all_have_their_turn() {
    const APPS: u64 = 100_000;
    let mut machine = Machine::new(2, FairQueue::new(2));
    for number in 0..APPS {
        let app = machine.app(weight(100));
        machine.task(app, if number % 3 == 0 { Habit::sleeping(MS / 2, S) } else { Habit::HOG });
    }
    machine.run_until(2 * APPS * SLICE_MIN_NS / 2);
    // The first two had long slices, being alone, and pay for it.
    let tasks = &machine.tasks[2..];
    let turns = tasks.iter().map(|task| task.turns);
    let (fewest, most) = (turns.clone().min(), turns.max());
    assert!(fewest >= Some(2) && most <= Some(4), "{fewest:?} to {most:?} turns");
    let worst = tasks.iter().map(|task| task.worst_wait_ns).max().unwrap();
    // Each of the others comes up to the tag after a slice, and may have begun one more.
    assert!(worst <= 2 * APPS * SLICE_MIN_NS / 2, "{worst} ns");
}

#[test]
fn one_app_of_a_hundred_thousand_tasks_leaves_room_for_another() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let (crowd, single) = (machine.app(weight(100)), machine.app(weight(100)));
    for _ in 0..100_000 {
        machine.task(crowd, Habit::HOG);
    }
    let task = machine.task(single, Habit::HOG);
    machine.run_until(100_000 * SLICE_MIN_NS);
    assert!(machine.tasks[task].worst_wait_ns <= SLICE_NS);
    let used = machine.used();
    assert!(used[crowd].abs_diff(used[single]) <= SLICE_NS, "{used:?}");
}

#[test]
fn a_task_is_removed_while_it_runs() {
    let mut machine = Machine::new(1, FairQueue::new(1));
    let (app, other) = (machine.app(weight(100)), machine.app(weight(100)));
    let tasks: Vec<usize> = (0..3).map(|_| machine.task(app, Habit::HOG)).collect();
    machine.task(other, Habit::HOG);
    machine.run_until(MS);
    assert!(machine.runs(tasks[0]));
    machine.remove_task(tasks[0]);
    machine.remove_task(tasks[1]);
    machine.remove_app(app);
    machine.run_until(S);
    let used = machine.used();
    // One that waits is left. The removed one is charged for its last turn.
    assert!(used[app].abs_diff(used[other]) <= 2 * SLICE_NS, "{used:?}");
    assert_eq!((machine.tasks[tasks[0]].turns, machine.tasks[tasks[1]].turns, machine.ready()), (1, 0, 1));
}

proptest! {
    #![proptest_config(cases(48))]

    /// Loops, and tasks that yield, sleep and do not stop in time: every one waits for no longer than the stated bound.
    #[test]
    fn no_wait_is_longer_than_the_bound(
        processors in 1..5_usize,
        apps in prop::collection::vec((1..=1_000_u16, prop::collection::vec((1..5_000_u64, 0..8_000_u64), 1..4)), 2..30),
    ) {
        let mut machine = Machine::new(processors, FairQueue::new(processors));
        for (share, tasks) in &apps {
            let app = machine.app(weight(*share));
            for &(run_us, sleep_us) in tasks {
                let sleep_ns = (sleep_us > 2_000).then_some(sleep_us * US);
                machine.task(app, Habit { run_ns: run_us * US, sleep_ns, overrun_ns: 0 });
            }
        }
        machine.run_until(20 * S);
        let mut tasks = machine.tasks.iter();
        for (number, (share, own)) in apps.iter().enumerate() {
            let others: Vec<u16> =
                apps.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, (share, _))| *share).collect();
            let bound = wait_bound_ns(*share, own.len(), &others, processors);
            for task in tasks.by_ref().take(own.len()) {
                prop_assert!(task.worst_wait_ns <= bound, "{} ns, not {bound} ns", task.worst_wait_ns);
                prop_assert!(task.turns > 0 || bound > 20 * S);
            }
        }
    }
}
