//! What a host gives to its guest besides files.

use qyv_vfs::Result;

/// The clocks of preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// Nanoseconds since 1970-01-01T00:00:00Z. May jump.
    Realtime,
    /// Nanoseconds since some moment; never goes back.
    Monotonic,
    /// CPU time of the guest.
    ProcessCpu,
    /// CPU time of the guest's only thread.
    ThreadCpu,
}

/// The standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Descriptor 0 at start.
    Stdin,
    /// Descriptor 1 at start.
    Stdout,
    /// Descriptor 2 at start.
    Stderr,
}

/// What stands behind a stream; decides the file type that the guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A terminal: `isatty` is true.
    Terminal,
    /// A file of the host; still not seekable for the guest.
    File,
    /// A pipe, a socket, or a buffer of the host.
    Pipe,
    /// Nothing: reads end at once, writes vanish.
    Null,
}

/// What is waited for on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Space to write into, or a reader that left.
    Write,
}

/// A stream is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes that can be read or written without waiting; at least 1 unless the other side left or the number is
    /// not known.
    pub bytes: u64,
    /// The other side left.
    pub hangup: bool,
}

/// The clocks, the random numbers and the streams of one guest. All calls return at once.
pub trait Host {
    /// The time in nanoseconds. `INVAL` for a clock that this host lacks.
    fn clock_now(&mut self, clock: Clock) -> Result<u64>;

    /// The clock's resolution in nanoseconds, at least 1. `INVAL` for a clock that this host lacks.
    fn clock_resolution(&mut self, clock: Clock) -> Result<u64>;

    /// Fills `into` with random bytes fit for keys.
    fn random(&mut self, into: &mut [u8]) -> Result<()>;

    /// Reads at most `into.len()` bytes, which is never 0. `Ok(0)` is the end; `AGAIN` when there is nothing yet.
    fn stream_read(&mut self, stream: Stream, into: &mut [u8]) -> Result<usize>;

    /// Writes at most `from.len()` bytes, which is never 0, and returns how many it took, never 0. `AGAIN` when it
    /// can take none yet; `PIPE` when nobody reads any more.
    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize>;

    /// What stands behind the stream.
    fn stream_kind(&self, stream: Stream) -> StreamKind;

    /// Whether the stream is ready, and how much; `None` when it is not.
    fn stream_ready(&mut self, stream: Stream, interest: Interest) -> Option<Readiness>;

    /// The guest offers its turn to others (`sched_yield`). May do nothing.
    fn yield_now(&mut self);
}
