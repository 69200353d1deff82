//! What every guest gets from this host's kernel: the time, and random numbers.

use qyv_wasi::{Clock, Error, Result};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

/// The time in nanoseconds; processor time is that of the calling process or thread.
///
/// # Errors
///
/// `OVERFLOW` for a time before 1970 or after 2554.
pub fn clock_now(clock: Clock) -> Result<u64> {
    nanoseconds(clock_gettime(clock_id(clock)))
}

/// The clock's resolution in nanoseconds, at least 1.
///
/// # Errors
///
/// As [`clock_now`].
pub fn clock_resolution(clock: Clock) -> Result<u64> {
    nanoseconds(clock_getres(clock_id(clock))).map(|resolution| resolution.max(1))
}

/// Fills `into` with random bytes fit for keys.
///
/// # Errors
///
/// `IO` when the kernel has none.
pub fn random(mut into: &mut [u8]) -> Result<()> {
    while !into.is_empty() {
        match getrandom(&mut *into, GetRandomFlags::empty()) {
            Ok(count) => into = &mut into[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Error::IO),
        }
    }
    Ok(())
}

fn nanoseconds(time: Timespec) -> Result<u64> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Error::OVERFLOW)?;
    let nanoseconds = u64::try_from(time.tv_nsec).map_err(|_| Error::OVERFLOW)?;
    seconds.checked_mul(1_000_000_000).and_then(|sum| sum.checked_add(nanoseconds)).ok_or(Error::OVERFLOW)
}

fn clock_id(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
        Clock::ProcessCpu => ClockId::ProcessCPUTime,
        Clock::ThreadCpu => ClockId::ThreadCPUTime,
    }
}
