//! How many connections an instance has room for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Room for so many connections at once.
pub(crate) struct Room {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    occupied: usize,
    /// Woken when there is room again.
    waiting: Vec<Waker>,
}

/// The room of one connection. Dropping it gives it back.
pub(crate) struct Occupied(Arc<Room>);

impl Room {
    /// Empty, for `most` connections.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// How many connections there are.
    pub(crate) fn occupied(&self) -> usize {
        self.state().occupied
    }

    /// Whether there is room for one more. When there is not, `waker` is woken once there is.
    pub(super) fn is_free_or_wake(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        if state.occupied < self.most {
            return true;
        }
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        false
    }

    /// Takes the room of one, even if there is none.
    pub(super) fn occupy(self: &Arc<Self>) -> Occupied {
        self.state().occupied += 1;
        Occupied(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state();
            state.occupied -= 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}
