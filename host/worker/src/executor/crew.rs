//! The threads: as many as there are processors hold a place and run guests, the others wait in calls for guests, or for
//! something to do.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::seat::{Seat, sit};
use super::{Inner, Work, discard};

/// Threads that wait in calls at most, besides those that hold a place. Beyond that, a call that waits holds its place.
pub(super) const OUTSIDE_MAX: usize = 128;

/// Threads without anything to do that are kept.
const IDLE_MAX: usize = 4;

/// How long such a thread waits for something to do; then one of them suffices.
const IDLE: Duration = Duration::from_secs(10);

/// What a thread that has no place is to do.
pub(super) enum Errand {
    /// Take a place, and run guests.
    Run,
    /// Drop what is left of a guest, which may close files that hang.
    Discard(Work, Arc<Lane>),
}

/// Something done around the life of each thread.
pub(super) type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

pub(super) struct Crew {
    state: Mutex<State>,
    changed: Condvar,
    seats: Vec<Arc<Seat>>,
    around: Around,
}

struct State {
    /// Seats without a thread.
    free: Vec<usize>,
    alive: usize,
    /// Threads that wait for an errand; there are never more errands than that.
    idle: usize,
    errands: VecDeque<Errand>,
    /// Threads that have no place and do not wait for an errand.
    outside: usize,
    /// What is to be discarded once there is a thread for it.
    late: VecDeque<(Work, Arc<Lane>)>,
    stopping: bool,
}

impl Crew {
    pub(super) fn new(places: usize, start: Instant, around: Around) -> Self {
        let seats = places + OUTSIDE_MAX + IDLE_MAX;
        Self {
            state: Mutex::new(State {
                free: (0..seats).rev().collect(),
                alive: 0,
                idle: 0,
                errands: VecDeque::new(),
                outside: 0,
                late: VecDeque::new(),
                stopping: false,
            }),
            changed: Condvar::new(),
            seats: (0..seats).map(|_| Arc::new(Seat::new(start))).collect(),
            around,
        }
    }

    pub(super) const fn seats(&self) -> &Vec<Arc<Seat>> {
        &self.seats
    }

    /// Gives a place to a thread that has none.
    ///
    /// # Errors
    ///
    /// When the process has no thread left.
    pub(super) fn add_place(&self, inner: &Weak<Inner>) -> std::io::Result<()> {
        let mut state = self.lock();
        self.ensure_idle(&mut state, inner)?;
        state.errands.push_back(Errand::Run);
        self.changed.notify_one();
        Ok(())
    }

    /// Moves the place of a turn to another thread, when `take` says that the turn still holds it. Its thread is then one
    /// of those outside, until [`Self::back`]. Returns whether that was done.
    pub(super) fn move_place(&self, inner: &Weak<Inner>, lane: &Lane, take: impl FnOnce() -> bool) -> bool {
        let mut state = self.lock();
        let allowed = !state.stopping && state.outside < OUTSIDE_MAX && lane.has_room();
        if !allowed || self.ensure_idle(&mut state, inner).is_err() || !take() {
            return false;
        }
        state.outside += 1;
        lane.hold();
        state.errands.push_back(Errand::Run);
        self.changed.notify_one();
        true
    }

    /// Has what is left of a guest dropped by another thread, at once or later.
    pub(super) fn discard(&self, inner: &Weak<Inner>, work: Work, lane: Arc<Lane>) {
        let mut state = self.lock();
        let allowed = state.outside < OUTSIDE_MAX && lane.has_room();
        if !allowed || self.ensure_idle(&mut state, inner).is_err() {
            state.late.push_back((work, lane));
            return;
        }
        state.outside += 1;
        lane.hold();
        state.errands.push_back(Errand::Discard(work, lane));
        self.changed.notify_one();
    }

    /// A thread that was outside has done what it did for an app.
    pub(super) fn back(&self, inner: &Arc<Inner>, lane: &Lane) {
        let woken = {
            let mut state = self.lock();
            state.outside -= 1;
            lane.release()
        };
        for task in woken {
            inner.wake(task);
        }
    }

    /// Ends the threads that hold places or wait, and returns when they have ended. Those that hang in calls end when these
    /// return.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        self.changed.notify_all();
        while state.alive > state.outside {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sees to it that a thread waits that no errand is meant for.
    fn ensure_idle(&self, state: &mut State, inner: &Weak<Inner>) -> std::io::Result<()> {
        if state.idle > state.errands.len() {
            return Ok(());
        }
        let seat = state.free.pop().ok_or(std::io::ErrorKind::WouldBlock)?;
        let (inner, around) = (Weak::clone(inner), Arc::clone(&self.around));
        let body = move || {
            around(&mut || {
                if let Some(inner) = inner.upgrade() {
                    sit(Arc::clone(&inner.crew.seats[seat]));
                    inner.crew.live(&inner, seat);
                }
            });
        };
        match std::thread::Builder::new().name(format!("guests-{seat}")).spawn(body) {
            Ok(_) => {
                state.alive += 1;
                state.idle += 1;
                Ok(())
            }
            Err(error) => {
                state.free.push(seat);
                Err(error)
            }
        }
    }

    /// The life of a thread.
    fn live(&self, inner: &Arc<Inner>, seat: usize) {
        // Who made the thread has counted it among those that wait.
        let mut counted = true;
        while let Some(errand) = self.errand(seat, counted) {
            counted = false;
            match errand {
                Errand::Run => inner.run(seat),
                Errand::Discard(work, lane) => {
                    discard(work);
                    self.back(inner, &lane);
                }
            }
        }
    }

    /// Waits for something to do. `None` when the thread is to end; its seat is free then.
    fn errand(&self, seat: usize, counted: bool) -> Option<Errand> {
        let mut state = self.lock();
        state.idle += usize::from(!counted);
        let mut long = false;
        loop {
            match state.errands.pop_front() {
                Some(Errand::Run) if state.stopping => continue,
                Some(errand) => {
                    state.idle -= 1;
                    return Some(errand);
                }
                None => {}
            }
            if let Some(errand) = state.late_errand() {
                state.idle -= 1;
                return Some(errand);
            }
            if state.stopping || state.idle > IDLE_MAX || (long && state.idle > 1) {
                state.idle -= 1;
                state.alive -= 1;
                state.free.push(seat);
                self.changed.notify_all();
                return None;
            }
            let (woken, timeout) =
                self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            (state, long) = (woken, timeout.timed_out());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What was to be discarded and now may be.
    fn late_errand(&mut self) -> Option<Errand> {
        if self.outside >= OUTSIDE_MAX {
            return None;
        }
        let at = self.late.iter().position(|(_, lane)| lane.has_room())?;
        let (work, lane) = self.late.remove(at)?;
        self.outside += 1;
        lane.hold();
        Some(Errand::Discard(work, lane))
    }
}
