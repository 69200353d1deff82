//! The words for what an app is doing, for people and for machines.

use alloc::vec::Vec;
use core::fmt;

use qyv_spec::Name;
use serde::{Deserialize, Serialize};

use crate::cron::Minute;
use crate::event::Cause;
use crate::record::Desired;

/// How the last run of a slot ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// By itself, with 0.
    Done,
    /// Otherwise.
    Failed(Cause),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done (0)"),
            Self::Failed(cause) => write!(f, "failed ({cause})"),
        }
    }
}

/// What a slot, or an app, is doing. `Display` is for people, [`State::word`] for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The host was asked to start it.
    Starting,
    /// Its code runs; it is not ready yet, or a command.
    Running,
    /// It runs and answers.
    Ready,
    /// It runs, its health checks fail, and its manifest says never to restart it.
    Unhealthy,
    /// It starts when this app is ready.
    Waiting(Name),
    /// It failed and is started again.
    BackingOff {
        /// Milliseconds until then.
        wait_ms: u64,
    },
    /// It failed again and again, and is started again.
    CrashLooping {
        /// Restarts since it was deployed or started.
        restarts: u64,
        /// Milliseconds until the next.
        wait_ms: u64,
    },
    /// It was asked to stop.
    Stopping,
    /// It was killed more than once and is still there.
    Stuck {
        /// How often it was killed.
        kills: u32,
    },
    /// Somebody stopped it.
    Stopped,
    /// It is started by the clock.
    Scheduled {
        /// Minutes since 1970 of the next start; `None` when the schedule names no day that exists.
        minute: Option<u64>,
    },
    /// Its last run is over.
    Ended(Outcome),
}

impl State {
    /// One word that stays the same, for JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Waiting(_) => "waiting",
            Self::BackingOff { .. } => "backing-off",
            Self::CrashLooping { .. } => "crash-looping",
            Self::Stopping => "stopping",
            Self::Stuck { .. } => "stuck",
            Self::Stopped => "stopped",
            Self::Scheduled { .. } => "scheduled",
            Self::Ended(Outcome::Done) => "done",
            Self::Ended(Outcome::Failed(_)) => "failed",
        }
    }

    /// How much a person must know of it: the state of an app is that of its slot with the lowest number.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::CrashLooping { .. } => 0,
            Self::Ended(Outcome::Failed(_)) => 1,
            Self::Stuck { .. } => 2,
            Self::Unhealthy => 3,
            Self::BackingOff { .. } => 4,
            Self::Waiting(_) => 5,
            Self::Stopping => 6,
            Self::Starting => 7,
            Self::Running => 8,
            Self::Ready => 9,
            Self::Scheduled { .. } => 10,
            Self::Ended(Outcome::Done) => 11,
            Self::Stopped => 12,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(name) => write!(f, "waiting for `{name}`"),
            Self::BackingOff { wait_ms } => write!(f, "backing off {}", Seconds(*wait_ms)),
            Self::CrashLooping { restarts, wait_ms } => {
                write!(f, "crash-looping ({restarts} restarts, next in {})", Seconds(*wait_ms))
            }
            Self::Stuck { kills } => write!(f, "stopping (killed {kills} times, still there)"),
            Self::Scheduled { minute: Some(minute) } => write!(f, "scheduled ({})", Minute(*minute)),
            Self::Scheduled { minute: None } => f.write_str("scheduled (never)"),
            Self::Ended(outcome) => write!(f, "{outcome}"),
            plain => f.write_str(plain.word()),
        }
    }
}

/// Milliseconds as `1.2s`.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.div_ceil(100);
        write!(f, "{}.{}s", tenths / 10, tenths % 10)
    }
}

/// An app, as `ps` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state of the slot that a person must know most of.
    pub state: State,
    /// What was asked for.
    pub desired: Desired,
    /// The generation that every slot has or shall have.
    pub generation: u64,
    /// The generation that is kept should this one not become ready; there while one replaces the other.
    pub replaces: Option<u64>,
    /// Whether those that wait for it may start.
    pub ready: bool,
    /// Starts that the clock asked for while the last run had not ended.
    pub skipped: u64,
    /// Each slot, in order.
    pub slots: Vec<SlotStatus>,
}

/// One slot of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// Its number, from 0.
    pub slot: u32,
    /// The generation that runs, or the next to run.
    pub generation: u64,
    /// What it is doing.
    pub state: State,
    /// Restarts since it was deployed or started.
    pub restarts: u64,
    /// How its last run ended, since it was deployed or started.
    pub last: Option<Outcome>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn states_are_said_in_these_words() {
        let failed = |cause| State::Ended(Outcome::Failed(cause));
        for (state, text, word) in [
            (State::Waiting("db".parse().unwrap()), "waiting for `db`", "waiting"),
            (State::BackingOff { wait_ms: 1150 }, "backing off 1.2s", "backing-off"),
            (
                State::CrashLooping { restarts: 7, wait_ms: 60_000 },
                "crash-looping (7 restarts, next in 60.0s)",
                "crash-looping",
            ),
            (State::Stuck { kills: 2 }, "stopping (killed 2 times, still there)", "stuck"),
            (State::Scheduled { minute: Some(29_000_000) }, "scheduled (2025-02-19 21:20 UTC)", "scheduled"),
            (State::Ended(Outcome::Done), "done (0)", "done"),
            (failed(Cause::Exited(3)), "failed (3)", "failed"),
            (failed(Cause::NotStarted("no file".into())), "failed (no file)", "failed"),
            (State::Ready, "ready", "ready"),
        ] {
            assert_eq!((state.to_string().as_str(), state.word()), (text, word));
        }
    }
}
