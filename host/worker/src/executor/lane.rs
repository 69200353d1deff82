//! How many threads one app may hold while it waits in calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

use qyv_sched::TaskId;

/// Threads that the tasks of one app hold at most while they wait in calls, besides those that guests share. Further
/// turns of that app wait, so that an app whose files hang holds up itself.
pub(super) const LANE_THREADS_MAX: usize = 8;

/// What the tasks of one app have in common.
#[derive(Debug, Default)]
pub(crate) struct Lane(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: usize,
    waiting: Vec<TaskId>,
}

impl Lane {
    /// Whether one more thread may be held.
    pub(super) fn has_room(&self) -> bool {
        self.lock().held < LANE_THREADS_MAX
    }

    /// Holds one more thread.
    pub(super) fn hold(&self) {
        self.lock().held += 1;
    }

    /// Holds one thread less. Returns the tasks that waited for that.
    pub(super) fn release(&self) -> Vec<TaskId> {
        let mut state = self.lock();
        state.held = state.held.saturating_sub(1);
        std::mem::take(&mut state.waiting)
    }

    /// Makes a task wait for a thread. `false` when there is one: then it need not.
    pub(super) fn wait(&self, task: TaskId) -> bool {
        let mut state = self.lock();
        if state.held < LANE_THREADS_MAX {
            return false;
        }
        if !state.waiting.contains(&task) {
            state.waiting.push(task);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
