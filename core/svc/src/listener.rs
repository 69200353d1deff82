//! Connections that wait to be accepted.

use alloc::collections::VecDeque;
use core::task::Waker;

use qyv_vfs::{Budget, Error, Result};

use crate::connection::{Direction, Failure, Readiness};
use crate::end::{End, Link};
use crate::wakes::{Waiters, Wakes};

/// Most connections that wait to be accepted by one listener; the next is refused.
pub const BACKLOG_MAX: usize = 128;

/// Names a listener of one [`Network`](crate::Network). No number is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(crate) u64);

/// Where one instance waits for connections to one of its services.
#[derive(Debug)]
pub(crate) struct Listener<L: Link> {
    /// What the instance sends is charged here.
    budget: Budget,
    queue: VecDeque<End<L>>,
    waiters: Waiters,
    /// How many connections were ever queued, and how many of them were accepted.
    queued: u64,
    accepted: u64,
}

impl<L: Link> Listener<L> {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, queue: VecDeque::new(), waiters: Waiters::default(), queued: 0, accepted: 0 }
    }

    /// Whether another connection may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < BACKLOG_MAX
    }

    /// Queues a new connection, with these ways open for its dialler, and returns the dialler's end. The caller has seen
    /// that there is room. `NOMEM` when `dialer` has nothing left.
    pub(crate) fn connect(&mut self, dialer: &Budget, ways: Direction, wakes: &mut Wakes) -> Result<End<L>> {
        let (end, accepted) = End::pair(dialer, &self.budget)?;
        end.keep(ways);
        self.queue.push_back(accepted);
        self.queued += 1;
        self.waiters.wake(wakes);
        Ok(end)
    }

    /// The one that waits longest; `AGAIN` when none does.
    pub(crate) fn accept(&mut self) -> Result<End<L>> {
        let end = self.queue.pop_front().ok_or(Error::AGAIN)?;
        self.accepted += 1;
        Ok(end)
    }

    /// How many connections were ever queued, and how many of them were accepted, in the same order.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.queued, self.accepted)
    }

    pub(crate) fn ready(&mut self, waker: Option<&Waker>, wakes: &mut Wakes) -> Option<Readiness> {
        if self.queue.is_empty() {
            waker.inspect(|waker| self.waiters.add(waker, wakes));
            return None;
        }
        Some(Readiness { bytes: self.queue.len() as u64, hangup: false })
    }

    /// Resets whatever waits.
    pub(crate) fn close(mut self, wakes: &mut Wakes) {
        for end in self.queue.drain(..) {
            end.fail_into(Failure::Reset, wakes);
        }
        self.waiters.wake(wakes);
    }
}
