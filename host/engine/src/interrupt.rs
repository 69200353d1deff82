//! The request that a guest stop, and the wait that such a request ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use wasmtime::EngineWeak;

use crate::{Ending, Limit};

/// Why a guest is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Its wall-clock time is over.
    Timeout = 1,
    /// Its processor time is used up.
    CpuTime = 2,
    /// Ctrl-C.
    Interrupt = 3,
    /// SIGTERM.
    Terminate = 4,
}

impl Reason {
    const ALL: [Self; 4] = [Self::Timeout, Self::CpuTime, Self::Interrupt, Self::Terminate];

    /// How a run ends that is stopped for this reason.
    #[must_use]
    pub fn ending(self) -> Ending {
        match self {
            Self::Timeout => Ending::TimedOut,
            Self::CpuTime => Ending::Limit(Limit::CpuTime),
            Self::Interrupt => Ending::Interrupted,
            Self::Terminate => Ending::Terminated,
        }
    }
}

/// A request to stop that can be raised from any thread; clones share it. Once raised it stays raised, and the first
/// reason counts.
#[derive(Clone)]
pub struct Interrupt {
    inner: Arc<Inner>,
}

struct Inner {
    reason: AtomicU8,
    /// Readable once a reason is set, so that every blocked wait ends.
    wake: OwnedFd,
    engine: OnceLock<EngineWeak>,
}

impl Interrupt {
    /// A request that is not raised yet.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { inner: Arc::new(Inner { reason: AtomicU8::new(0), wake, engine: OnceLock::new() }) })
    }

    /// Tells which engine's guests to reach. The first call counts.
    pub(crate) fn attach(&self, engine: &wasmtime::Engine) {
        let _ = self.inner.engine.set(engine.weak());
        self.bump();
    }

    /// Asks the guest to stop: running code notices at its next loop or call, a blocked call at once.
    pub fn raise(&self, reason: Reason) {
        let raised =
            self.inner.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if raised {
            // An eventfd that is written once cannot be full.
            let _ = rustix::io::write(&self.inner.wake, &1u64.to_ne_bytes());
        }
        self.bump();
    }

    /// Makes running code look at the request (or at its processor share).
    pub(crate) fn bump(&self) {
        if let Some(engine) = self.inner.engine.get().and_then(EngineWeak::upgrade) {
            engine.increment_epoch();
        }
    }

    /// Why the guest is to stop, when it is.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let raised = self.inner.reason.load(Ordering::Acquire);
        Reason::ALL.into_iter().find(|reason| *reason as u8 == raised)
    }

    /// Waits until one of the descriptors is ready, the deadline has come, or a stop was asked for.
    ///
    /// # Errors
    ///
    /// The reason of the stop.
    pub fn wait(
        &self,
        interests: &[(BorrowedFd<'_>, PollFlags)],
        deadline: Option<Instant>,
    ) -> Result<(), Reason> {
        let mut descriptors = vec![PollFd::new(&self.inner.wake, PollFlags::IN)];
        descriptors.extend(interests.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)));
        loop {
            if let Some(reason) = self.reason() {
                return Err(reason);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            // A wait too long for the kernel's type is cut; the loop goes on with the rest.
            let timeout = left.map(|left| left.min(Duration::from_secs(1 << 30)));
            let timeout = timeout.and_then(|timeout| rustix::time::Timespec::try_from(timeout).ok());
            match poll(&mut descriptors, timeout.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) if descriptors[1..].iter().any(|fd| !fd.revents().is_empty()) => return Ok(()),
                Ok(_) => {}
                // Nothing can be learnt of the descriptors: the caller's own call will tell the error.
                Err(_) => return Ok(()),
            }
        }
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").field("reason", &self.reason()).finish_non_exhaustive()
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_its_deadline_or_when_raised_and_the_first_reason_counts() {
        let interrupt = Interrupt::new().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(interrupt.wait(&[], Some(soon)), Ok(()));
        assert!(Instant::now() >= soon);
        let other = interrupt.clone();
        let thread = std::thread::spawn(move || other.raise(Reason::Timeout));
        assert_eq!(interrupt.wait(&[], None), Err(Reason::Timeout));
        thread.join().unwrap();
        interrupt.raise(Reason::Interrupt);
        assert_eq!(interrupt.reason(), Some(Reason::Timeout));
    }
}
