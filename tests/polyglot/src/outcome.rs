//! What became of a run, on whatever host.

use std::fmt;
use std::time::Duration;

/// How a run ended and what it wrote.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, with what the host says there.
    pub stderr: Vec<u8>,
    /// Both in order, where they led to one pipe; the other two are empty then.
    pub both: Option<Vec<u8>>,
    /// The `cause` of the status file, or `deadline` when the harness ended it.
    pub cause: String,
    /// The app's exit code, when `cause` is `exit`.
    pub code: Option<u32>,
    /// From before the start to after the end.
    pub elapsed: Duration,
    /// The most memory that it was charged for, in bytes, where the host says it.
    pub memory_peak: Option<u64>,
    /// What the other side of `serve` received.
    pub answers: Option<Vec<u8>>,
}

/// The kinds of bad ends, as `languages.toml` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Class {
    /// The app ended itself with a code that is not 0.
    #[serde(rename = "guest error")]
    GuestError,
    /// It did what WebAssembly forbids.
    #[serde(rename = "trap")]
    Trap,
    /// A limit ended it.
    #[serde(rename = "limit")]
    Limit,
}

impl Outcome {
    /// The kind of bad end; `None` for a good one and for what is none of the app's doing.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match (self.cause.as_str(), self.code) {
            ("exit", Some(1..)) => Some(Class::GuestError),
            ("trap", _) => Some(Class::Trap),
            ("memory" | "cpu_time" | "timeout", _) => Some(Class::Limit),
            _ => None,
        }
    }

    /// The end in words.
    #[must_use]
    pub fn end(&self) -> String {
        match self.code {
            Some(code) => format!("{} {code}", self.cause),
            None => self.cause.clone(),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GuestError => "guest error",
            Self::Trap => "trap",
            Self::Limit => "limit",
        })
    }
}
