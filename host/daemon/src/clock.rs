//! The two clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use qyv_supervise::Now;

/// Tells the time since it was made, and that of people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Now {
        let monotonic = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { monotonic, wall: wall_ms() / 1000 }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
