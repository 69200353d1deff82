//! The core's view of JavaScript.

use qyv_wasi::{Clock, Error, Host, Interest, Memory, Readiness, Result, Source, Stream, StreamKind};

use crate::imports;

/// The guest's memory, by copying.
pub(crate) struct GuestMemory;

impl GuestMemory {
    /// The check that the imports rely on.
    fn check(at: u32, length: usize) -> Result<()> {
        let end = u64::from(at).checked_add(length as u64).ok_or(Error::FAULT)?;
        if end <= imports::memory_size() { Ok(()) } else { Err(Error::FAULT) }
    }
}

impl Memory for GuestMemory {
    fn size(&self) -> u64 {
        imports::memory_size()
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<()> {
        Self::check(at, into.len())?;
        // SAFETY: the address and length are those of a live slice, which the import fills.
        unsafe { imports::memory_read(at, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<()> {
        Self::check(at, from.len())?;
        // SAFETY: the address and length are those of a live slice, which the import reads.
        unsafe { imports::memory_write(at, from.as_ptr(), from.len()) };
        Ok(())
    }

    fn bytes(&mut self) -> Option<&mut [u8]> {
        None
    }
}

/// Clocks, random numbers and streams.
pub(crate) struct NodeHost;

const fn clock_number(clock: Clock) -> u32 {
    match clock {
        Clock::Realtime => 0,
        Clock::Monotonic => 1,
        Clock::ProcessCpu => 2,
        Clock::ThreadCpu => 3,
    }
}

const fn stream_number(stream: Stream) -> u32 {
    match stream {
        Stream::Stdin => 0,
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}

fn nanoseconds(answer: i64) -> Result<u64> {
    u64::try_from(answer).map_err(|_| Error::INVAL)
}

/// A count, or the error that a negative number stands for.
fn count(answer: i32) -> Result<usize> {
    usize::try_from(answer).map_err(|_| match -answer {
        6 => Error::AGAIN,
        64 => Error::PIPE,
        _ => Error::IO,
    })
}

impl Host for NodeHost {
    fn clock_now(&mut self, clock: Clock) -> Result<u64> {
        nanoseconds(imports::clock_now(clock_number(clock)))
    }

    fn clock_resolution(&mut self, clock: Clock) -> Result<u64> {
        nanoseconds(imports::clock_resolution(clock_number(clock)))
    }

    fn random(&mut self, into: &mut [u8]) -> Result<()> {
        // SAFETY: the address and length are those of a live slice, which the import fills.
        unsafe { imports::random(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn stream_read(&mut self, stream: Stream, into: &mut [u8]) -> Result<usize> {
        // SAFETY: the address and length are those of a live slice, which the import fills.
        count(unsafe { imports::stream_read(stream_number(stream), into.as_mut_ptr(), into.len()) })
    }

    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize> {
        // SAFETY: the address and length are those of a live slice, which the import reads.
        count(unsafe { imports::stream_write(stream_number(stream), from.as_ptr(), from.len()) })
    }

    fn stream_kind(&self, stream: Stream) -> StreamKind {
        match imports::stream_kind(stream_number(stream)) {
            0 => StreamKind::Terminal,
            1 => StreamKind::File,
            2 => StreamKind::Pipe,
            _ => StreamKind::Null,
        }
    }

    fn ready(&mut self, _: Source, _: Interest) -> Option<Readiness> {
        // Node's synchronous calls block until they can go on, so a stream never keeps a guest waiting here.
        Some(Readiness { bytes: 1, hangup: false })
    }

    fn yield_now(&mut self) {}
}
