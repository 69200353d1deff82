//! Processor time of what shares threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Counts the processor time of one task, in nanoseconds, and of those that are counted within it.
#[derive(Debug, Default)]
pub struct Meter {
    /// Counts this one's too.
    within: Option<Arc<Meter>>,
    used: AtomicU64,
    /// What the thread that runs it had used when its turn began; 0 while it does not run.
    turn_began: AtomicU64,
}

/// A turn that is being counted.
pub(super) struct Turn<'a> {
    meter: &'a Meter,
    began: u64,
}

impl Meter {
    /// A counter whose time `whole` counts too, at the end of each turn.
    #[must_use]
    pub fn within(whole: &Arc<Self>) -> Self {
        Self { within: Some(Arc::clone(whole)), ..Self::default() }
    }

    /// The processor time up to now. Called by the guest itself, it counts its turn too; from elsewhere, what it had used
    /// when its turn began.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The processor time up to now, for the one that runs.
    #[must_use]
    pub fn used_in_turn(&self) -> u64 {
        let began = self.turn_began.load(Ordering::Relaxed);
        self.used().saturating_add(if began == 0 { 0 } else { thread_time().saturating_sub(began) })
    }

    pub(super) fn run(&self) -> Turn<'_> {
        let began = thread_time();
        self.turn_began.store(began, Ordering::Relaxed);
        Turn { meter: self, began }
    }
}

impl Turn<'_> {
    /// Ends the turn, and returns how long it was.
    pub(super) fn stop(self) -> u64 {
        let used = thread_time().saturating_sub(self.began);
        self.meter.turn_began.store(0, Ordering::Relaxed);
        let mut counting = Some(self.meter);
        while let Some(meter) = counting {
            meter.used.fetch_add(used, Ordering::Relaxed);
            counting = meter.within.as_deref();
        }
        used
    }
}

/// The processor time of this thread, at least 1.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0)).max(1)
}
