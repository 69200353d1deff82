//! The queue without fairness.

use crate::slab::Slab;
use crate::tasks::{Line, Next, State, Tasks};
use crate::{GroupId, Outcome, Picked, SLICE_NS, Scheduler, Share, TaskId, Wake};

/// First come, first served, in slices of [`SLICE_NS`]: it looks neither at shares nor at what was used. It is there to be
/// put in the place of a [`crate::FairQueue`], by tests that must then fail.
#[derive(Debug)]
pub struct Fifo {
    groups: Slab<Group>,
    tasks: Tasks,
    line: Line,
}

#[derive(Debug, Default)]
struct Group {
    tasks: usize,
    closed: bool,
}

impl Default for Fifo {
    fn default() -> Self {
        Self::new()
    }
}

impl Fifo {
    /// Makes an empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { groups: Slab::new(), tasks: Tasks::new(), line: Line::new() }
    }

    fn forget_group_without_tasks(&mut self, group: u32) {
        if self.groups[group].closed && self.groups[group].tasks == 0 {
            self.groups.remove(group);
        }
    }
}

impl Scheduler for Fifo {
    fn add_group(&mut self, _: Share) -> Option<GroupId> {
        self.groups.insert(Group::default()).map(GroupId)
    }

    fn set_share(&mut self, group: GroupId, _: Share, _: u64) -> bool {
        self.groups.find(group.0).is_some()
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

    fn remove_task(&mut self, task: TaskId, _: u64) {
        let Some(index) = self.tasks.find(task) else { return };
        let group = self.tasks.group(index);
        match self.tasks.state(index) {
            State::Running(_) => return self.tasks.remove_later(index),
            State::Waiting => self.tasks.leave(&mut self.line, index),
            State::Blocked => {}
        }
        self.tasks.remove(index);
        self.groups[group].tasks -= 1;
        self.forget_group_without_tasks(group);
    }

    fn wake(&mut self, task: TaskId, _: u64) -> Wake {
        let Some(index) = self.tasks.wake(task) else { return Wake::Nothing };
        self.tasks.join(&mut self.line, index);
        Wake::Queued
    }

    fn pick(&mut self, _: u64) -> Option<Picked> {
        let index = self.tasks.take_first(&mut self.line)?;
        self.tasks.set_running(index, 0);
        Some(Picked { task: self.tasks.id(index), slice_ns: SLICE_NS })
    }

    fn charge(&mut self, task: TaskId, _: u64, outcome: Outcome, _: u64) {
        let Some((index, _)) = self.tasks.find_running(task) else { return };
        let group = self.tasks.group(index);
        match self.tasks.stop(index, outcome) {
            Next::Wait => self.tasks.join(&mut self.line, index),
            Next::Rest => {}
            Next::Gone => {
                self.groups[group].tasks -= 1;
                self.forget_group_without_tasks(group);
            }
        }
    }

    fn ready(&self) -> usize {
        self.line.len()
    }

    fn next_event(&self) -> Option<u64> {
        None
    }
}
