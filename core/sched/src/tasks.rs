//! The tasks: the state of each, and the lines in which they wait.

use crate::slab::{NONE, Slab};
use crate::{Outcome, TaskId};

#[derive(Debug)]
struct Task {
    /// The slot of its group.
    group: u32,
    state: State,
    /// It was woken while it ran.
    woken: bool,
    /// It was removed while it ran.
    removed: bool,
    /// Its neighbours in the line.
    previous: u32,
    next: u32,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Blocked,
    /// It stands in a line.
    Waiting,
    /// It was picked, and this is its place in the queue's list of running tasks.
    Running(usize),
}

/// A line of waiting tasks, first come, first served. Joining, leaving from anywhere and taking the first take constant time,
/// and no memory beyond that of the tasks.
#[derive(Debug)]
pub(crate) struct Line {
    first: u32,
    last: u32,
    length: usize,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { first: NONE, last: NONE, length: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }
}

/// What becomes of a task that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for its turn again.
    Wait,
    /// It is blocked.
    Rest,
    /// It is gone.
    Gone,
}

/// All tasks of a queue.
#[derive(Debug)]
pub(crate) struct Tasks(Slab<Task>);

impl Tasks {
    pub(crate) const fn new() -> Self {
        Self(Slab::new())
    }

    /// Adds a blocked task to a group.
    pub(crate) fn add(&mut self, group: u32) -> Option<TaskId> {
        let (previous, next) = (NONE, NONE);
        let task = Task { group, state: State::Blocked, woken: false, removed: false, previous, next };
        self.0.insert(task).map(TaskId)
    }

    /// Returns the slot of a task that exists and was not removed.
    pub(crate) fn find(&self, id: TaskId) -> Option<u32> {
        self.0.find(id.0).filter(|&index| !self.0[index].removed)
    }

    /// Returns the slot of a task that runs, removed or not, and its place in the list of running tasks.
    pub(crate) fn find_running(&self, id: TaskId) -> Option<(u32, usize)> {
        let index = self.0.find(id.0)?;
        match self.0[index].state {
            State::Running(place) => Some((index, place)),
            State::Blocked | State::Waiting => None,
        }
    }

    pub(crate) fn id(&self, index: u32) -> TaskId {
        TaskId(self.0.key(index))
    }

    pub(crate) fn group(&self, index: u32) -> u32 {
        self.0[index].group
    }

    pub(crate) fn state(&self, index: u32) -> State {
        self.0[index].state
    }

    pub(crate) fn set_running(&mut self, index: u32, place: usize) {
        self.0[index].state = State::Running(place);
    }

    /// Finds the task that is woken, if it has to join a line. One that runs is marked.
    pub(crate) fn wake(&mut self, id: TaskId) -> Option<u32> {
        let index = self.find(id)?;
        let task = &mut self.0[index];
        task.woken = matches!(task.state, State::Running(_));
        (task.state == State::Blocked).then_some(index)
    }

    /// Marks a running task: it goes when it is charged.
    pub(crate) fn remove_later(&mut self, index: u32) {
        self.0[index].removed = true;
    }

    /// Forgets a task that is in no line.
    pub(crate) fn remove(&mut self, index: u32) {
        self.0.remove(index);
    }

    /// Takes a task from the running ones and decides what becomes of it. For [`Next::Gone`] it is forgotten, for
    /// [`Next::Wait`] it has to join a line.
    pub(crate) fn stop(&mut self, index: u32, outcome: Outcome) -> Next {
        let task = &mut self.0[index];
        task.state = State::Blocked;
        if task.removed || outcome == Outcome::Ended {
            self.0.remove(index);
            return Next::Gone;
        }
        let woken = core::mem::take(&mut task.woken);
        if woken || outcome == Outcome::Runnable { Next::Wait } else { Next::Rest }
    }

    /// Puts a task at the end of a line.
    pub(crate) fn join(&mut self, line: &mut Line, index: u32) {
        let task = &mut self.0[index];
        (task.state, task.previous, task.next) = (State::Waiting, line.last, NONE);
        match line.last {
            NONE => line.first = index,
            last => self.0[last].next = index,
        }
        line.last = index;
        line.length += 1;
    }

    /// Takes a task out of the line that it is in.
    pub(crate) fn leave(&mut self, line: &mut Line, index: u32) {
        let task = &mut self.0[index];
        let (previous, next) = (task.previous, task.next);
        task.state = State::Blocked;
        match previous {
            NONE => line.first = next,
            previous => self.0[previous].next = next,
        }
        match next {
            NONE => line.last = previous,
            next => self.0[next].previous = previous,
        }
        line.length -= 1;
    }

    /// Takes the first task out of a line.
    pub(crate) fn take_first(&mut self, line: &mut Line) -> Option<u32> {
        let first = line.first;
        (first != NONE).then(|| self.leave(line, first))?;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_left_from_anywhere() {
        for gone in 0..4 {
            let (mut tasks, mut line) = (Tasks::new(), Line::new());
            for _ in 0..4 {
                let id = tasks.add(0).unwrap();
                let index = tasks.wake(id).unwrap();
                tasks.join(&mut line, index);
            }
            tasks.leave(&mut line, gone);
            for expected in (0..4).filter(|&index| index != gone) {
                assert_eq!(tasks.take_first(&mut line), Some(expected));
            }
            assert_eq!((tasks.take_first(&mut line), line.len()), (None, 0));
        }
    }
}
