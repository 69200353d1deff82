//! `poll_oneoff`.

use crate::Clock;

/// When a `poll_oneoff` that waits was first called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The clock and its time then.
    pub(crate) at: (Clock, u64),
}
