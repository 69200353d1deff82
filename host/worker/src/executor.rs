//! Who runs next, on which thread, and for how long.
//!
//! A few threads share one run queue ([`qyv_sched`]). Each takes the task whose turn it is, polls it, and charges it for
//! the processor time that the poll took. A task is a future that knows how to give up its thread: the guests of
//! `qyvol_engine::shared` do it when the engine's epoch moves, which the ticker does at the end of a
//! slice. Nothing ticks while nothing runs.
//!
//! Tasks are not tokio's: its reactor runs beside, on threads of its own, and wakes them.

mod meter;
mod ticker;

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qyv_sched::{GroupId, Outcome, Scheduler, Share, TaskId, Wake as Woken};

pub use meter::Meter;
use ticker::Ticker;

/// How long a thread without work looks for some before it sleeps: about what waking it again would cost. A message that
/// is answered at once then costs no change of threads.
const SPIN: Duration = Duration::from_micros(20);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads, and what they run.
pub struct Executor {
    inner: Arc<Inner>,
    threads: Vec<JoinHandle<()>>,
}

/// A task from outside. Dropping it changes nothing.
#[derive(Clone)]
pub struct Task(Arc<Shared>);

struct Inner {
    queue: Mutex<Queue>,
    /// Threads that found nothing sleep here.
    idle: Condvar,
    /// How many look for work without sleeping.
    spinning: AtomicUsize,
    /// Grows whenever a task became ready, for those who spin.
    arrivals: AtomicU64,
    ticker: Ticker,
    start: Instant,
}

struct Queue {
    scheduler: Box<dyn Scheduler + Send>,
    tasks: HashMap<TaskId, Arc<Shared>>,
    sleeping: usize,
    stopping: bool,
}

struct Shared {
    executor: Weak<Inner>,
    id: OnceLock<TaskId>,
    /// Empty once the task is over.
    work: Mutex<Option<Work>>,
    meter: Arc<Meter>,
    killed: AtomicBool,
}

impl Executor {
    /// Starts `threads` threads over a run queue. `yield_all` makes every running task give up its thread soon; it is
    /// called from threads of the executor. `enter` is called once on each thread, and what it returns is dropped at its
    /// end.
    ///
    /// # Errors
    ///
    /// When the process has no thread left.
    pub fn start<E>(
        scheduler: Box<dyn Scheduler + Send>,
        threads: usize,
        yield_all: impl Fn() + Send + Sync + 'static,
        enter: impl Fn() -> E + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            queue: Mutex::new(Queue { scheduler, tasks: HashMap::new(), sleeping: 0, stopping: false }),
            idle: Condvar::new(),
            spinning: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
            ticker: Ticker::start(threads, yield_all)?,
            start: Instant::now(),
        });
        let mut executor = Self { inner, threads: Vec::new() };
        for index in 0..threads {
            let (inner, enter) = (Arc::clone(&executor.inner), enter.clone());
            let thread = std::thread::Builder::new().name(format!("guests-{index}")).spawn(move || {
                let entered = enter();
                inner.run(index);
                drop(entered);
            })?;
            executor.threads.push(thread);
        }
        Ok(executor)
    }

    /// Adds an app with its share; its tasks take turns within it. `None` when there are too many.
    #[must_use]
    pub fn add_group(&self, share: Share) -> Option<GroupId> {
        self.inner.lock().scheduler.add_group(share)
    }

    /// Changes an app's share.
    pub fn set_share(&self, group: GroupId, share: Share) {
        let now = self.inner.now();
        self.inner.lock().scheduler.set_share(group, share, now);
        // A larger quota may end a wait.
        self.inner.idle.notify_one();
    }

    /// Lets an app go with its last task.
    pub fn remove_group(&self, group: GroupId) {
        self.inner.lock().scheduler.remove_group(group);
    }

    /// Starts a task of an app, whose processor time `meter` counts. `None` when the app is gone.
    #[must_use]
    pub fn spawn(
        &self,
        group: GroupId,
        meter: Arc<Meter>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task> {
        let shared = Arc::new(Shared {
            executor: Arc::downgrade(&self.inner),
            id: OnceLock::new(),
            work: Mutex::new(Some(Box::pin(work))),
            meter,
            killed: AtomicBool::new(false),
        });
        let mut queue = self.inner.lock();
        let id = queue.scheduler.add_task(group)?;
        let _ = shared.id.set(id);
        queue.tasks.insert(id, Arc::clone(&shared));
        drop(queue);
        self.inner.wake(id);
        Some(Task(shared))
    }
}

impl Drop for Executor {
    /// Waits until no thread polls any more; tasks that are not over are dropped.
    fn drop(&mut self) {
        let tasks = {
            let mut queue = self.inner.lock();
            queue.stopping = true;
            std::mem::take(&mut queue.tasks)
        };
        self.inner.arrivals.fetch_add(1, Ordering::Release);
        self.inner.idle.notify_all();
        self.inner.ticker.yield_now();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for task in tasks.into_values() {
            task.finish();
        }
    }
}

impl Task {
    /// Ends the task: its future is dropped, at once when it does not run, whether or not it would have had a turn soon;
    /// otherwise when it gives up its thread, which it is made to do.
    pub fn kill(&self) {
        self.0.killed.store(true, Ordering::Release);
        let (Some(inner), Some(id)) = (self.0.executor.upgrade(), self.0.id.get()) else { return };
        // Who runs it holds the lock.
        let waiting = match self.0.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => {
                inner.wake(*id);
                inner.ticker.yield_now();
                return;
            }
        };
        if let Some(work) = waiting {
            discard(work);
            let mut queue = inner.lock();
            queue.scheduler.remove_task(*id, inner.now());
            queue.tasks.remove(id);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Makes a task runnable, and sees to it that somebody runs it.
    fn wake(&self, id: TaskId) {
        let mut queue = self.lock();
        let woken = queue.scheduler.wake(id, self.now());
        let sleeping = queue.sleeping > 0;
        drop(queue);
        match woken {
            Woken::Nothing => {}
            Woken::Queued => {
                self.arrivals.fetch_add(1, Ordering::Release);
                if sleeping && self.spinning.load(Ordering::Acquire) == 0 {
                    self.idle.notify_one();
                }
            }
            Woken::Preempt(_) => self.ticker.yield_now(),
        }
    }

    fn run(&self, thread: usize) {
        while let Some((task, slice_ns)) = self.next() {
            self.ticker.arm(thread, Duration::from_nanos(slice_ns));
            let (used, outcome) = task.poll();
            self.ticker.disarm(thread);
            let Some(&id) = task.id.get() else { continue };
            let mut queue = self.lock();
            queue.scheduler.charge(id, used, outcome, self.now());
            if outcome == Outcome::Ended {
                queue.tasks.remove(&id);
            }
        }
    }

    /// Waits for the task whose turn it is. `None` when the executor stops.
    fn next(&self) -> Option<(Arc<Shared>, u64)> {
        let mut spun = false;
        let mut queue = self.lock();
        loop {
            if queue.stopping {
                return None;
            }
            if let Some(picked) = queue.scheduler.pick(self.now()) {
                let Some(task) = queue.tasks.get(&picked.task).map(Arc::clone) else {
                    // Not one of ours any more: every pick is charged.
                    queue.scheduler.charge(picked.task, 0, Outcome::Ended, self.now());
                    continue;
                };
                let others = queue.scheduler.ready() > 0 && queue.sleeping > 0;
                drop(queue);
                if others && self.spinning.load(Ordering::Acquire) == 0 {
                    self.idle.notify_one();
                }
                return Some((task, picked.slice_ns));
            }
            if !std::mem::replace(&mut spun, true) {
                drop(queue);
                self.spin();
                queue = self.lock();
                continue;
            }
            spun = false;
            let until = queue.scheduler.next_event();
            queue.sleeping += 1;
            queue = match until {
                Some(at) => {
                    let left = Duration::from_nanos(at.saturating_sub(self.now()));
                    self.idle.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.idle.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
            queue.sleeping -= 1;
        }
    }

    /// Looks for a task that becomes ready, for a moment.
    fn spin(&self) {
        let seen = self.arrivals.load(Ordering::Acquire);
        self.spinning.fetch_add(1, Ordering::AcqRel);
        let until = Instant::now() + SPIN;
        while self.arrivals.load(Ordering::Acquire) == seen && Instant::now() < until {
            std::hint::spin_loop();
        }
        self.spinning.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// Polls the task once. Returns the nanoseconds of processor time that it took, and why it stopped.
    fn poll(self: &Arc<Self>) -> (u64, Outcome) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let running = self.meter.run();
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let over = match work.as_mut() {
            Some(future) if !self.killed.load(Ordering::Acquire) => {
                // A mistake of the host in one guest's call must not take the others with it.
                let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
                // Killed meanwhile: its next turn may be far away.
                !matches!(polled, Ok(Poll::Pending)) || self.killed.load(Ordering::Acquire)
            }
            _ => true,
        };
        let ended = if over { work.take() } else { None };
        drop(work);
        if let Some(ended) = ended {
            discard(ended);
        }
        (running.stop(), if over { Outcome::Ended } else { Outcome::Blocked })
    }

    /// Drops what is left.
    fn finish(&self) {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            discard(work);
        }
    }
}

/// Drops a task's future; a mistake in that stays with the task.
fn discard(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let (Some(inner), Some(id)) = (self.executor.upgrade(), self.id.get()) {
            inner.wake(*id);
        }
    }
}

#[cfg(test)]
mod tests;
