//! Who waits, and who is to be woken.

use alloc::vec::Vec;
use core::task::Waker;

/// Most tasks that wait for the same event of one end. A guest is one task; the others are for what a host does beside.
const WAITERS_MAX: usize = 4;

/// Wakers on their way out of a lock: dropping it wakes them.
///
/// Make it before taking the lock, so that it is dropped after the lock is given back. A waker may then run whatever it
/// likes.
#[derive(Debug, Default)]
pub struct Wakes(Vec<Waker>);

impl Wakes {
    /// None yet. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// Those who wait for one event. They are added only while it has not happened, under the lock that it happens under.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Waker>);

impl Waiters {
    /// Adds `waker`. When there are too many the first is woken instead of kept: it looks again and loses nothing.
    pub(crate) fn add(&mut self, waker: &Waker, wakes: &mut Wakes) {
        if self.0.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.0.len() >= WAITERS_MAX {
            wakes.0.push(self.0.remove(0));
        }
        // Mostly one waits, and there are many connections.
        self.0.reserve_exact(1);
        self.0.push(waker.clone());
    }

    /// The event happened.
    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        wakes.0.append(&mut self.0);
    }
}
