//! The fair queue.
//!
//! # The algorithm
//!
//! Start-time fair queueing, of the family of weighted fair queueing and stride scheduling: P. Goyal, H. Vin and H. Cheng,
//! "Start-time Fair Queueing", SIGCOMM 1996; for processors P. Goyal, X. Guo and H. Vin, "A Hierarchical CPU Scheduler for
//! Multimedia Operating Systems", OSDI 1996. Each group has a *start tag*: the service that it has had, divided by its
//! weight. The group with the least tag is next; the *virtual clock* is the greatest tag that was ever picked; a group that
//! wakes up starts at the clock, or at its own tag if it has had more.
//!
//! EEVDF (I. Stoica and H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995) was the other choice. It orders by
//! deadlines, which need the length of a turn before it begins, and a clock that runs with the sum of all weights, which
//! has to be mended at each coming and going and for each weight that is more than one processor can give. What this buys
//! is a different latency for each task, by slices of different lengths; all slices are equal here. The start tag needs
//! neither length nor sum, suits any number of processors whose speed changes, and one ordered set is all of it.
//!
//! # On several processors
//!
//! A group may run on several at once, so a picked task's slice is promised to it: it counts in the tag until the task is
//! charged for what it really used. Otherwise all processors would pick the same group. The clock does not count promises:
//! many are not used up. A group that cannot use its weight,
//! having fewer tasks than its weight is worth processors, falls behind the clock; what it is owed is forgotten beyond one
//! slice. The others then share by their weights what it leaves.
//!
//! # What is bounded
//!
//! With slices of at most `s`, equal processors `p`, and a group of weight `w` among groups of the weights `w_j`:
//!
//! * **Unfairness.** In any interval in which two groups want to run, and can use their share, what they had differs, each
//!   divided by its weight, by at most one slice of the one and one of the other a processor.
//! * **Waiting.** A group with one task waits, after its turn, for at most the sum of `s * (w_j / w + 2)` over the others,
//!   divided by `p`, plus `s`: they come up to its tag, and each may have begun one slice more and be owed one. A task of a
//!   group in which `k` tasks want to run waits for at most `k + min(k, p) - 1` times that: the `k - 1` before it, and what
//!   the group had at once on several processors.
//! * **Sleeping.** A group that wakes up is owed nothing, and what it has used too much is kept until the clock has passed
//!   it or all is idle. So one that blocks and wakes has its share at most, and one that needs less than its share is
//!   served next, or at once by [`Wake::Preempt`].
//! * **Work.** Each call takes O(log n) steps, and O(p) for the choice of whom to preempt.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::group::{Group, Place, Turn, Virtual, virtual_time};
use crate::slab::Slab;
use crate::tasks::{Next, State, Tasks};
use crate::{
    GroupId, LATENCY_TARGET_NS, Outcome, Picked, SLICE_MIN_NS, SLICE_NS, Scheduler, Share, TaskId, Wake,
};

/// How far ahead, in nanoseconds of its own service, a running task must be of one that wakes to be asked to yield. Half a
/// millisecond keeps a storm of wake-ups from changing tasks all the time.
const PREEMPT_NS: u64 = 500_000;

/// How many groups whose quota was renewed come back in one call, so that no call is long. The next call takes the rest.
const RELEASES_PER_CALL: usize = 64;

/// The weighted fair queue.
#[derive(Debug)]
pub struct FairQueue {
    processors: usize,
    /// The greatest time that was given.
    now: u64,
    clock: Virtual,
    /// The greatest virtual time up to which a group was served.
    served: Virtual,
    /// Counts how often groups became ready.
    turns: u64,
    groups: Slab<Group>,
    tasks: Tasks,
    /// Groups that can run: tag, turn, slot.
    ready: BTreeSet<(Virtual, Turn, u32)>,
    ready_tasks: usize,
    /// Groups that have used their quota: until when, slot.
    throttled: BTreeSet<(u64, u32)>,
    running: Vec<Run>,
}

/// A task that was picked and not yet charged.
#[derive(Debug)]
struct Run {
    task: u32,
    slice_ns: u64,
    begin: u64,
    asked_to_yield: bool,
}

impl FairQueue {
    /// Makes an empty queue for that many processors, which are threads that pick. With more of them than that,
    /// [`Wake::Preempt`] comes too early, with fewer too late; all else is right with any number.
    #[must_use]
    pub const fn new(processors: usize) -> Self {
        Self {
            processors,
            now: 0,
            clock: 0,
            served: 0,
            turns: 0,
            groups: Slab::new(),
            tasks: Tasks::new(),
            ready: BTreeSet::new(),
            ready_tasks: 0,
            throttled: BTreeSet::new(),
            running: Vec::new(),
        }
    }

    /// Moves the time on, and brings back groups whose quota was renewed.
    fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        if self.running.is_empty() && self.ready.is_empty() {
            // Nobody waited, so nobody owes anything.
            self.clock = self.clock.max(self.served);
        }
        for _ in 0..RELEASES_PER_CALL {
            match self.throttled.first() {
                Some(&(until, group)) if until <= self.now => {
                    self.replace(group, self.groups[group].competes());
                }
                _ => break,
            }
        }
    }

    /// Puts a group where it belongs after a change. `competed` is what [`Group::competes`] said before the change.
    fn replace(&mut self, index: u32, competed: bool) {
        let group = &mut self.groups[index];
        let mut next = group.next_place(competed, self.clock, self.now);
        match (&mut next, group.place) {
            // It keeps its turn as long as its tag is the same.
            (Place::Ready { tag: new, turn, .. }, Place::Ready { tag, turn: old, .. }) if *new == tag => {
                *turn = old;
            }
            (Place::Ready { turn, .. }, _) => {
                self.turns += 1;
                *turn = Turn { competed, number: self.turns };
            }
            _ => {}
        }
        let last = core::mem::replace(&mut group.place, next);
        if last == next {
            return;
        }
        match last {
            Place::Idle => {}
            Place::Ready { tag, turn, tasks } => {
                self.ready.remove(&(tag, turn, index));
                self.ready_tasks -= tasks;
            }
            Place::Throttled { until } => {
                self.throttled.remove(&(until, index));
            }
        }
        match next {
            Place::Idle => {}
            Place::Ready { tag, turn, tasks } => {
                self.ready.insert((tag, turn, index));
                self.ready_tasks += tasks;
            }
            Place::Throttled { until } => {
                self.throttled.insert((until, index));
            }
        }
    }

    /// Returns the length of a slice, with `waiting` tasks to choose from.
    fn slice_ns(&self, waiting: usize) -> u64 {
        let target = LATENCY_TARGET_NS.saturating_mul(self.processors as u64);
        (target / (waiting as u64).max(1)).clamp(SLICE_MIN_NS, SLICE_NS)
    }

    /// Chooses the running task that is furthest ahead of a group, and remembers that it is asked to yield.
    fn preempt(&mut self, group: u32) -> Option<TaskId> {
        if self.running.len() < self.processors {
            return None;
        }
        let group = &self.groups[group];
        let position = |run: &Run| {
            let elapsed_ns = self.now.saturating_sub(run.begin).min(run.slice_ns);
            let group = &self.groups[self.tasks.group(run.task)];
            group.position(elapsed_ns).saturating_sub(virtual_time(PREEMPT_NS, group.weight))
        };
        let candidates = self.running.iter().enumerate().filter(|(_, run)| !run.asked_to_yield);
        let (ahead, place) = candidates.map(|(place, run)| (position(run), place)).max()?;
        if ahead <= group.tag() {
            return None;
        }
        let run = &mut self.running[place];
        run.asked_to_yield = true;
        Some(self.tasks.id(run.task))
    }

    fn task_is_gone(&mut self, group: u32) {
        self.groups[group].tasks -= 1;
        self.forget_group_without_tasks(group);
    }

    fn forget_group_without_tasks(&mut self, group: u32) {
        if self.groups[group].closed && self.groups[group].tasks == 0 {
            self.groups.remove(group);
        }
    }
}

impl Scheduler for FairQueue {
    fn add_group(&mut self, share: Share) -> Option<GroupId> {
        self.groups.insert(Group::new(share, self.now)).map(GroupId)
    }

    fn set_share(&mut self, group: GroupId, share: Share, now: u64) -> bool {
        self.advance(now);
        let Some(index) = self.groups.find(group.0) else { return false };
        let competed = self.groups[index].competes();
        self.groups[index].set_share(share, self.clock);
        self.replace(index, competed);
        true
    }

    fn remove_group(&mut self, group: GroupId) {
        if let Some(group) = self.groups.find(group.0) {
            self.groups[group].closed = true;
            self.forget_group_without_tasks(group);
        }
    }

    fn add_task(&mut self, group: GroupId) -> Option<TaskId> {
        let index = self.groups.find(group.0).filter(|&group| !self.groups[group].closed)?;
        let task = self.tasks.add(index)?;
        self.groups[index].tasks += 1;
        Some(task)
    }

    fn remove_task(&mut self, task: TaskId, now: u64) {
        self.advance(now);
        let Some(index) = self.tasks.find(task) else { return };
        let group = self.tasks.group(index);
        match self.tasks.state(index) {
            State::Running(_) => return self.tasks.remove_later(index),
            State::Waiting => {
                let competed = self.groups[group].competes();
                self.tasks.leave(&mut self.groups[group].line, index);
                self.replace(group, competed);
            }
            State::Blocked => {}
        }
        self.tasks.remove(index);
        self.task_is_gone(group);
    }

    fn wake(&mut self, task: TaskId, now: u64) -> Wake {
        self.advance(now);
        let Some(index) = self.tasks.wake(task) else { return Wake::Nothing };
        let group = self.tasks.group(index);
        let competed = self.groups[group].competes();
        self.tasks.join(&mut self.groups[group].line, index);
        self.replace(group, competed);
        match self.groups[group].place {
            Place::Ready { .. } => self.preempt(group).map_or(Wake::Queued, Wake::Preempt),
            Place::Idle | Place::Throttled { .. } => Wake::Queued,
        }
    }

    fn pick(&mut self, now: u64) -> Option<Picked> {
        self.advance(now);
        let &(_, _, index) = self.ready.first()?;
        let slice_ns = self.slice_ns(self.ready_tasks);
        let group = &mut self.groups[index];
        self.clock = self.clock.max(group.service());
        let task = self.tasks.take_first(&mut group.line)?;
        let slice_ns = group.grant(slice_ns, self.now);
        self.tasks.set_running(task, self.running.len());
        self.running.push(Run { task, slice_ns, begin: self.now, asked_to_yield: false });
        self.replace(index, true);
        Some(Picked { task: self.tasks.id(task), slice_ns })
    }

    fn charge(&mut self, task: TaskId, used_ns: u64, outcome: Outcome, now: u64) {
        self.advance(now);
        let Some((index, place)) = self.tasks.find_running(task) else { return };
        let run = self.running.swap_remove(place);
        if let Some(moved) = self.running.get(place) {
            self.tasks.set_running(moved.task, place);
        }
        let group = self.tasks.group(index);
        let served = self.groups[group].settle(run.slice_ns, used_ns);
        self.served = self.served.max(served);
        let next = self.tasks.stop(index, outcome);
        if next == Next::Wait {
            self.tasks.join(&mut self.groups[group].line, index);
        }
        self.replace(group, true);
        if next == Next::Gone {
            self.task_is_gone(group);
        }
    }

    fn ready(&self) -> usize {
        self.ready_tasks
    }

    fn next_event(&self) -> Option<u64> {
        self.throttled.first().map(|&(until, _)| until)
    }
}
