//! The end of a slice, and looks after it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A deadline that is not set.
const NONE: u64 = u64::MAX;

/// How long the ticker waits for the next slice after the last one before it sleeps for good: while guests take short
/// turns one after the other, arming is then one store.
const LINGER: Duration = Duration::from_millis(4);

/// Makes running tasks give up their threads when their slices end. It sleeps while none runs.
pub(super) struct Ticker {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What follows from the end of a thread's slice.
pub(super) struct Expired {
    /// The running tasks are to give up their threads.
    pub(super) yield_all: bool,
    /// The thread is to be looked at again, after so long.
    pub(super) again: Option<Duration>,
}

struct Inner {
    start: Instant,
    /// When each thread's slice ends, in nanoseconds after `start`.
    deadlines: Vec<AtomicU64>,
    /// When the ticker looks next; [`NONE`] while it sleeps for good.
    looks_at: AtomicU64,
    lock: Mutex<()>,
    changed: Condvar,
    stopping: AtomicBool,
    yield_all: Box<dyn Fn() + Send + Sync>,
}

impl Ticker {
    pub(super) fn new(threads: usize, yield_all: impl Fn() + Send + Sync + 'static) -> Self {
        let inner = Arc::new(Inner {
            start: Instant::now(),
            deadlines: (0..threads).map(|_| AtomicU64::new(NONE)).collect(),
            looks_at: AtomicU64::new(NONE),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            yield_all: Box::new(yield_all),
        });
        Self { inner, thread: Mutex::default() }
    }

    /// Starts to tick. `expired` is asked about each thread whose slice is over.
    pub(super) fn start(&self, expired: impl Fn(usize) -> Expired + Send + 'static) -> std::io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let thread = std::thread::Builder::new().name("ticker".into()).spawn(move || inner.run(&expired))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// The slice of this thread's task ends after `slice`.
    pub(super) fn arm(&self, thread: usize, slice: Duration) {
        let at = self.inner.now().saturating_add(u64::try_from(slice.as_nanos()).unwrap_or(NONE));
        let Some(deadline) = self.inner.deadlines.get(thread) else { return };
        // Sequentially consistent with the ticker's own pair of store and look: one of the two sees the other.
        deadline.store(at, Ordering::SeqCst);
        if self.inner.looks_at.load(Ordering::SeqCst) > at {
            self.inner.nudge();
        }
    }

    /// This thread's task is off the thread.
    pub(super) fn disarm(&self, thread: usize) {
        if let Some(deadline) = self.inner.deadlines.get(thread) {
            deadline.store(NONE, Ordering::Relaxed);
        }
    }

    /// Makes every running task give up its thread now.
    pub(super) fn yield_now(&self) {
        (self.inner.yield_all)();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.inner.nudge();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last one to hold the executor may be the ticker itself, while it asks about a thread.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(NONE - 1)
    }

    fn nudge(&self) {
        // Taken so that the nudge does not fall between the ticker's look and its sleep.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn soonest(&self) -> u64 {
        self.deadlines.iter().map(|deadline| deadline.load(Ordering::SeqCst)).min().unwrap_or(NONE)
    }

    fn run(&self, expired: &impl Fn(usize) -> Expired) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lingered = false;
        while !self.stopping.load(Ordering::SeqCst) {
            let now = self.now();
            let mut soonest = self.soonest();
            if soonest <= now {
                let mut yields = false;
                for (thread, deadline) in self.deadlines.iter().enumerate() {
                    let at = deadline.load(Ordering::SeqCst);
                    if at > now {
                        continue;
                    }
                    let found = expired(thread);
                    yields |= found.yield_all;
                    let again = found.again.map_or(NONE, |again| {
                        now.saturating_add(u64::try_from(again.as_nanos()).unwrap_or(NONE))
                    });
                    // Unless the thread has begun or ended a turn meanwhile.
                    let _ = deadline.compare_exchange(at, again, Ordering::SeqCst, Ordering::SeqCst);
                }
                if yields {
                    (self.yield_all)();
                }
                lingered = false;
                continue;
            }
            if soonest == NONE && !lingered {
                lingered = true;
                soonest = now.saturating_add(u64::try_from(LINGER.as_nanos()).unwrap_or(0));
            } else {
                lingered = false;
            }
            self.looks_at.store(soonest, Ordering::SeqCst);
            // Armed between the look and this store: whoever armed saw the old value and did not nudge.
            if self.soonest() < soonest {
                continue;
            }
            guard = if soonest == NONE {
                self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
            } else {
                let left = Duration::from_nanos(soonest.saturating_sub(now));
                self.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}
