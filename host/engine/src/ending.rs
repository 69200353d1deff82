//! How a guest's run ended.

use std::fmt;

/// How a run ended, and the exit code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest returned or called `proc_exit` with this code.
    Exited(u32),
    /// The guest did something that wasm forbids.
    Trapped,
    /// A limit of the manifest ended the run.
    Limit(Limit),
    /// The wall-clock time given by `--timeout` or `limits.wall` is over.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// A limit that ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `limits.memory`: a growth was refused and the guest then trapped, or it could not start.
    Memory,
    /// `limits.cpu_time`.
    CpuTime,
}

/// The highest exit code that reaches the shell unchanged.
const EXIT_CODE_MAX: u32 = 255;

impl Ending {
    /// The exit code of `qyvol run` (see `docs/exit-codes.md`).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // An exit status has eight bits; a larger code must not turn into success by losing its upper ones.
            Self::Exited(code) => u8::try_from(*code).unwrap_or(1),
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Trapped => 134,
            Self::Limit(_) => 137,
            Self::Terminated => 143,
        }
    }

    /// One word for `--json` and `--status-file`.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Exited(_) => "exit",
            Self::TimedOut => "timeout",
            Self::Interrupted => "interrupt",
            Self::Trapped => "trap",
            Self::Limit(Limit::Memory) => "memory",
            Self::Limit(Limit::CpuTime) => "cpu_time",
            Self::Terminated => "terminate",
        }
    }

    /// Whether the exit code is too large for the shell and became 1.
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        matches!(self, Self::Exited(code) if *code > EXIT_CODE_MAX)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "the app exited with code {code}"),
            Self::Trapped => f.write_str("the app trapped"),
            Self::Limit(Limit::Memory) => {
                f.write_str("the app needed more memory than `limits.memory` allows")
            }
            Self::Limit(Limit::CpuTime) => {
                f.write_str("the app used up the processor time of `limits.cpu_time`")
            }
            Self::TimedOut => f.write_str("the app ran longer than its time limit"),
            Self::Interrupted => f.write_str("the app was interrupted"),
            Self::Terminated => f.write_str("the app was terminated"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_codes_pass_and_larger_ones_never_look_like_success() {
        for code in [0, 1, 42, 255] {
            assert_eq!(u32::from(Ending::Exited(code).exit_code()), code);
        }
        for code in [256, 512, u32::MAX] {
            assert_eq!(Ending::Exited(code).exit_code(), 1);
            assert!(Ending::Exited(code).is_clipped());
        }
    }
}
