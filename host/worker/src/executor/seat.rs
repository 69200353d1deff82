//! What others may know of a thread while it runs a guest.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One thread of the executor, as the ticker sees it.
pub(super) struct Seat {
    /// Odd while the thread runs a turn and holds one of the processors' places for it. Who makes it even ends that: the
    /// thread when the turn is over, or the ticker, which gives the place to another thread.
    turn: AtomicU64,
    /// The turn that was asked to yield; the ticker's own note.
    asked: AtomicU64,
    /// The task of the turn.
    task: AtomicU64,
    /// When the thread entered a call that may wait, in nanoseconds after `start`; 0 outside of one.
    entered: AtomicU64,
    /// Nanoseconds that the thread spent in such calls since [`Self::take_waited`].
    waited: AtomicU64,
    start: Instant,
}

/// What the ticker finds when a slice is over, or a while after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The thread runs no turn that it holds a place for.
    Nothing,
    /// The guest computes. `first` when it was not asked to yield before.
    Computes {
        /// Whether this is the first look at this turn.
        first: bool,
    },
    /// The turn's thread is in a call that may wait, for so many nanoseconds.
    Waits {
        /// The turn.
        turn: u64,
        /// The task.
        task: u64,
        /// Nanoseconds.
        since: u64,
        /// Whether this is the first look at this turn.
        first: bool,
    },
}

impl Seat {
    pub(super) fn new(start: Instant) -> Self {
        let zero = || AtomicU64::new(0);
        Self { turn: zero(), asked: zero(), task: zero(), entered: zero(), waited: zero(), start }
    }

    /// The thread begins a turn with a place. Returns the turn's number.
    pub(super) fn begin(&self, task: u64) -> u64 {
        self.task.store(task, Ordering::Relaxed);
        let turn = self.turn.load(Ordering::Relaxed) + 1;
        self.turn.store(turn, Ordering::SeqCst);
        turn
    }

    /// Ends a turn's hold of its place, once: `false` when it was ended already.
    pub(super) fn end(&self, turn: u64) -> bool {
        self.turn.compare_exchange(turn, turn + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    pub(super) fn look(&self) -> Found {
        let turn = self.turn.load(Ordering::SeqCst);
        if turn.is_multiple_of(2) {
            return Found::Nothing;
        }
        let first = self.asked.swap(turn, Ordering::Relaxed) != turn;
        let (entered, task) = (self.entered.load(Ordering::SeqCst), self.task.load(Ordering::Relaxed));
        if entered == 0 {
            return Found::Computes { first };
        }
        Found::Waits { turn, task, since: self.now().saturating_sub(entered), first }
    }

    /// Nanoseconds that were spent in calls that may wait since this was asked the last time.
    pub(super) fn take_waited(&self) -> u64 {
        self.waited.swap(0, Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

thread_local! {
    static SEAT: OnceCell<Arc<Seat>> = const { OnceCell::new() };
}

/// Makes `seat` that of this thread, for ever.
pub(super) fn sit(seat: Arc<Seat>) {
    SEAT.with(|own| {
        let _ = own.set(seat);
    });
}

/// Does something that may wait for a disk or a server. While it does, the place of a guest's thread can go to another,
/// so that the other guests go on. On any other thread it is just done.
pub(crate) fn may_wait<R>(call: impl FnOnce() -> R) -> R {
    struct Leave<'a>(&'a Seat, u64);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.entered.store(0, Ordering::SeqCst);
            let waited = self.0.now().saturating_sub(self.1);
            self.0.waited.fetch_add(waited, Ordering::Relaxed);
        }
    }
    SEAT.with(|own| {
        // A call within a call counts as one.
        let seat = own.get().filter(|seat| seat.entered.load(Ordering::Relaxed) == 0);
        let _leave = seat.map(|seat| {
            let now = seat.now();
            seat.entered.store(now, Ordering::SeqCst);
            Leave(seat, now)
        });
        call()
    })
}
