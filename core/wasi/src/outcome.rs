//! What a call returns.

use alloc::vec::Vec;
use core::fmt;

use qyv_vfs::Error;

use crate::{Clock, Interest, Source};

/// The error number of preview 1 that a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub u16);

impl Errno {
    /// No error.
    pub const SUCCESS: Self = Self(0);

    /// As the import's result.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0 as i32
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        Self(error as u16)
    }
}

impl From<Result<(), Error>> for Errno {
    fn from(result: Result<(), Error>) -> Self {
        result.map_or_else(Self::from, |()| Self::SUCCESS)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a call that may have to wait returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The call is over.
    Done(Errno),
    /// The call is not over. The host waits for what [`Process::wait`](crate::Process::wait) says, then calls
    /// the same method with the same arguments again.
    Wait(Token),
}

/// Names the wait of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub(crate) u64);

/// What a host waits for: the first of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    pub(crate) deadline: Option<(Clock, u64)>,
    pub(crate) sources: Vec<(Source, Interest)>,
}

impl Wait {
    /// A wait for the first of these, for a host that asks on behalf of something that is no call of preview 1.
    #[must_use]
    pub fn new(deadline: Option<(Clock, u64)>, sources: Vec<(Source, Interest)>) -> Self {
        Self { deadline, sources }
    }

    /// A clock reaches this time in nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<(Clock, u64)> {
        self.deadline
    }

    /// One of these sources is ready.
    #[must_use]
    pub fn sources(&self) -> &[(Source, Interest)] {
        &self.sources
    }
}

/// Why a call stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Error(Error),
    Wait(Token),
}

/// The result of a call that may wait.
pub(crate) type Step<T> = Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Result<(), Stop>> for Outcome {
    fn from(result: Result<(), Stop>) -> Self {
        match result {
            Ok(()) => Self::Done(Errno::SUCCESS),
            Err(Stop::Error(error)) => Self::Done(error.into()),
            Err(Stop::Wait(token)) => Self::Wait(token),
        }
    }
}
