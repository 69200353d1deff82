//! What goes in and what comes out.

use alloc::string::String;
use core::fmt;

use qyv_spec::Name;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// Longest pause between two kills of an instance that does not end; the first is a second, and it doubles.
pub const KILL_AGAIN_MAX_NS: u64 = 60_000_000_000;

/// Most bytes that are kept of why a start failed.
pub const WHY_BYTES_MAX: usize = 256;

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds of a clock that never goes back.
    pub monotonic: u64,
    /// Seconds since 1970 in UTC, by a clock that people may set. For `schedule` only.
    pub wall: u64,
}

/// One run of one slot of an app.
///
/// The lease tells runs apart: every start has a new one, so what is said of an earlier run is never taken for the
/// present one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// The app.
    pub app: Name,
    /// Which of its replicas, from 0.
    pub slot: u32,
    /// Which deploy of the app.
    pub generation: u64,
    /// Which start; unique on this host.
    pub lease: u64,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// By itself, with this code.
    Exited(i32),
    /// By a fault in its code.
    Trap,
    /// By reaching one of its limits.
    Limit,
    /// By being killed, not by the supervisor.
    Killed,
    /// With the process that held it.
    Lost,
    /// It did not start, for this reason of at most [`WHY_BYTES_MAX`] bytes.
    NotStarted(String),
    /// It was stopped because its health checks failed.
    Unhealthy,
    /// It was not ready in time while it replaced an older generation.
    NotReady,
}

impl Cause {
    /// Whether this is a failure: everything but ending with 0.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "{code}"),
            Self::Trap => f.write_str("trap"),
            Self::Limit => f.write_str("limit"),
            Self::Killed => f.write_str("killed"),
            Self::Lost => f.write_str("lost"),
            Self::NotStarted(why) => f.write_str(why),
            Self::Unhealthy => f.write_str("unhealthy"),
            Self::NotReady => f.write_str("not ready in time"),
        }
    }
}

/// What happened to an instance. One that is stale, of an unknown app, or said twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The start that was asked for succeeded: its code runs.
    Started(Instance),
    /// The start that was asked for failed, and nothing of it runs.
    StartFailed(Instance, String),
    /// It listens. With health checks, the first of them decides instead, and is made at once.
    Ready(Instance),
    /// It has ended, and nothing of it runs.
    Exited(Instance, Cause),
    /// The process that held it is gone, and nothing of it runs.
    Lost(Instance),
    /// What a probe found; the number is that of [`Action::Probe`].
    Probed(Instance, u64, bool),
}

/// What the host must do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make [`Supervisor::record`](crate::Supervisor::record) of this app durable, or remove what is stored when there is
    /// none, before the actions that follow.
    Save(Name),
    /// Start it. Answered by `Started` or `StartFailed`.
    Start(Instance),
    /// Ask it to end. Answered by `Exited`, or by `StartFailed` when it was still starting.
    Stop(Instance),
    /// End it. Answered like `Stop`; repeated until it is.
    Kill(Instance),
    /// Look whether it works. Answered by `Probed`; without an answer in time the check has failed.
    Probe {
        /// Whom to look at; what to try is in its manifest.
        instance: Instance,
        /// Goes back in the answer.
        id: u64,
        /// Nanoseconds for the answer.
        timeout_ns: u64,
    },
    /// Tell those who follow the events.
    Announce(Name, Change),
}

/// What is told to those who follow the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A slot of this number and generation has another state.
    State(u32, u64, State),
    /// This generation has replaced the one before in all slots.
    Replaced(u64),
    /// This generation did not become ready; the other one was kept.
    Kept {
        /// The generation that failed.
        failed: u64,
        /// The generation that runs on.
        kept: u64,
        /// How it failed.
        cause: Cause,
    },
    /// The clock said to start a command whose last run had not ended: how many were skipped so far.
    Skipped(u64),
    /// It is gone.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(_, _, state) => write!(f, "{state}"),
            Self::Replaced(generation) => write!(f, "generation {generation} is deployed"),
            Self::Kept { failed, kept, cause } => {
                write!(f, "generation {failed} did not become ready ({cause}): kept generation {kept}")
            }
            Self::Skipped(count) => write!(f, "skipped {count} starts: the last run had not ended"),
            Self::Removed => f.write_str("removed"),
        }
    }
}
