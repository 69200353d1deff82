//! Who runs next, on which thread, and for how long.
//!
//! A few threads share one run queue ([`qyv_sched`]). Each takes the task whose turn it is, polls it, and charges it for
//! the processor time that the poll took. A task is a future that knows how to give up its thread: the guests of
//! `qyvol_engine::shared` do it when the engine's epoch moves, which the ticker does at the end of a
//! slice. Nothing ticks while nothing runs.
//!
//! Tasks are not tokio's: its reactor runs beside, on threads of its own, and wakes them.
//!
//! # Calls that wait
//!
//! The files of a guest may lie on a disk that is busy, or a server that does not answer. Such a call cannot be a future:
//! the kernel tells nobody when a file is ready, only whether its pages are in memory now. So the call is made where the
//! guest runs, in [`may_wait`], and a thread that is still in it when its slice is over loses its *place*: another thread
//! goes on with the other guests ([`crew`]), and the one that was held up ends its turn, whenever that is, and becomes a
//! spare. A task whose turns are mostly such calls gives up its place before each of them, so that it costs the others
//! nothing at all. What an app holds that way is bounded by its [`lane`].

mod crew;
mod lane;
mod look;
mod meter;
mod seat;
mod ticker;

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use qyv_sched::{GroupId, Outcome, Scheduler, Share, TaskId, Wake as Woken};

use crew::Crew;
use lane::Lane;
pub(crate) use look::{Look, look_for};
pub use meter::Meter;
pub(crate) use seat::may_wait;
use seat::{Found, Seat};
use ticker::{Expired, Ticker};

/// How long a thread without work looks for some before it sleeps: about what waking it again would cost. A message that
/// is answered at once then costs no change of threads.
const SPIN: Duration = Duration::from_micros(20);

/// The same when it knows where to look. What comes from another process would otherwise wake the reactor first, and that
/// the thread.
const NEAR: Duration = Duration::from_micros(60);

/// How long a call may last, at the end of its slice, before its thread loses its place.
const WAITS: Duration = Duration::from_millis(1);

/// When to look again at a call that could not be given a thread of its own.
const CROWDED: Duration = Duration::from_millis(10);

/// The shortest turn that says something about how much of its time a task waits in calls, in nanoseconds.
const TELLING_NS: u64 = 200_000;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads, and what they run.
pub struct Executor {
    inner: Arc<Inner>,
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
    crew: Crew,
    start: Instant,
    me: Weak<Inner>,
}

struct Queue {
    scheduler: Box<dyn Scheduler + Send>,
    tasks: HashMap<TaskId, Arc<Shared>>,
    /// By the app's name; kept while a group of it is there.
    lanes: HashMap<String, Weak<Lane>>,
    groups: HashMap<GroupId, Arc<Lane>>,
    sleeping: usize,
    stopping: bool,
}

struct Shared {
    executor: Weak<Inner>,
    id: OnceLock<TaskId>,
    /// Empty once the task is over.
    work: Mutex<Option<Work>>,
    meter: Arc<Meter>,
    lane: Arc<Lane>,
    /// Its turns are mostly calls that wait: it has them without a place.
    waits: AtomicBool,
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
        enter: impl Fn() -> E + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let start = Instant::now();
        let around = Arc::new(move |life: &mut dyn FnMut()| {
            let entered = enter();
            life();
            drop(entered);
        });
        let crew = Crew::new(threads, start, around);
        let inner = Arc::new_cyclic(|me| Inner {
            queue: Mutex::new(Queue {
                scheduler,
                tasks: HashMap::new(),
                lanes: HashMap::new(),
                groups: HashMap::new(),
                sleeping: 0,
                stopping: false,
            }),
            idle: Condvar::new(),
            spinning: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
            ticker: Ticker::new(crew.seats().len(), yield_all),
            crew,
            start,
            me: Weak::clone(me),
        });
        let asked = Weak::clone(&inner.me);
        inner.ticker.start(move |seat| match asked.upgrade() {
            Some(inner) => inner.expired(seat),
            None => Expired { yield_all: false, again: None },
        })?;
        let executor = Self { inner };
        for _ in 0..threads {
            executor.inner.crew.add_place(&executor.inner.me)?;
        }
        Ok(executor)
    }

    /// Adds an instance of `app` with its share; its tasks take turns within it. `None` when there are too many.
    #[must_use]
    pub fn add_group(&self, app: &str, share: Share) -> Option<GroupId> {
        let mut queue = self.inner.lock();
        let group = queue.scheduler.add_group(share)?;
        let lane = queue.lane(app);
        queue.groups.insert(group, lane);
        Some(group)
    }

    /// Changes an app's share.
    pub fn set_share(&self, group: GroupId, share: Share) {
        let now = self.inner.now();
        self.inner.lock().scheduler.set_share(group, share, now);
        // A larger quota may end a wait.
        self.inner.idle.notify_one();
    }

    /// Lets an instance go with its last task.
    pub fn remove_group(&self, group: GroupId) {
        let mut queue = self.inner.lock();
        queue.scheduler.remove_group(group);
        queue.groups.remove(&group);
    }

    /// Starts a task of an instance, whose processor time `meter` counts. `None` when the instance is gone.
    #[must_use]
    pub fn spawn(
        &self,
        group: GroupId,
        meter: Arc<Meter>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task> {
        let mut queue = self.inner.lock();
        let shared = Arc::new(Shared {
            executor: Arc::downgrade(&self.inner),
            id: OnceLock::new(),
            work: Mutex::new(Some(Box::pin(work))),
            meter,
            lane: Arc::clone(queue.groups.get(&group)?),
            waits: AtomicBool::new(false),
            killed: AtomicBool::new(false),
        });
        let id = queue.scheduler.add_task(group)?;
        let _ = shared.id.set(id);
        queue.tasks.insert(id, Arc::clone(&shared));
        drop(queue);
        self.inner.wake(id);
        Some(Task(shared))
    }
}

impl Drop for Executor {
    /// Waits until no thread polls any more, but for those that hang in calls; tasks that are not over are dropped, and what
    /// hangs with its call.
    fn drop(&mut self) {
        let tasks = {
            let mut queue = self.inner.lock();
            queue.stopping = true;
            std::mem::take(&mut queue.tasks)
        };
        self.inner.arrivals.fetch_add(1, Ordering::Release);
        self.inner.idle.notify_all();
        self.inner.ticker.yield_now();
        self.inner.crew.stop();
        for task in tasks.into_values() {
            task.finish();
        }
    }
}

impl Task {
    /// Ends the task: its future is dropped by a thread of the executor, at once when it does not run, whether or not it
    /// would have had a turn soon; otherwise when it gives up its thread, which it is made to do. Does not wait for that.
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
            let mut queue = inner.lock();
            queue.scheduler.remove_task(*id, inner.now());
            queue.tasks.remove(id);
            drop(queue);
            // Not here: its files may be slow to close.
            inner.crew.discard(&inner.me, work, Arc::clone(&self.0.lane));
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
            Woken::Preempt(_) if !sleeping => self.ticker.yield_now(),
            // Those that wait in calls run for the scheduler, so it may take all processors for busy.
            Woken::Queued | Woken::Preempt(_) => {
                self.arrivals.fetch_add(1, Ordering::Release);
                if sleeping && self.spinning.load(Ordering::Acquire) == 0 {
                    self.idle.notify_one();
                }
            }
        }
    }

    /// Runs guests on this thread, which has a place, until it has none any more or the executor stops.
    fn run(self: &Arc<Self>, index: usize) {
        let seat = &self.crew.seats()[index];
        seat.take_waited();
        while let Some((task, slice_ns)) = self.next() {
            let Some(&id) = task.id.get() else { continue };
            let apart =
                task.waits.load(Ordering::Relaxed) && self.crew.move_place(&self.me, &task.lane, || true);
            let turn = (!apart).then(|| seat.begin(id.to_bits()));
            let began = self.now();
            self.ticker.arm(index, Duration::from_nanos(slice_ns));
            let (used, outcome) = task.poll();
            self.ticker.disarm(index);
            let has_place = turn.is_some_and(|turn| seat.end(turn));
            let now = self.now();
            task.judge(seat, now.saturating_sub(began), used);
            let mut queue = self.lock();
            queue.scheduler.charge(id, used, outcome, now);
            if outcome == Outcome::Ended {
                queue.tasks.remove(&id);
            }
            drop(queue);
            if !has_place {
                self.crew.back(self, &task.lane);
                return;
            }
        }
    }

    /// What is to be done about a thread whose slice is over.
    fn expired(&self, index: usize) -> Expired {
        match self.crew.seats()[index].look() {
            Found::Nothing => Expired { yield_all: true, again: None },
            Found::Computes { first } => Expired { yield_all: first, again: Some(WAITS) },
            Found::Waits { turn, task, since, first } => {
                let left = WAITS.saturating_sub(Duration::from_nanos(since));
                let again = if !left.is_zero() {
                    Some(left)
                } else if self.take_place(index, turn, TaskId::from_bits(task)) {
                    None
                } else {
                    Some(CROWDED)
                };
                Expired { yield_all: first, again }
            }
        }
    }

    /// Gives the place of a turn to another thread.
    fn take_place(&self, index: usize, turn: u64, task: TaskId) -> bool {
        let Some(task) = self.lock().tasks.get(&task).map(Arc::clone) else { return false };
        self.crew.move_place(&self.me, &task.lane, || self.crew.seats()[index].end(turn))
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
                if task.lane.wait(picked.task) {
                    queue.scheduler.charge(picked.task, 0, Outcome::Blocked, self.now());
                    continue;
                }
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
        let near = look::take();
        let until = Instant::now() + if near.is_some() { NEAR } else { SPIN };
        while self.arrivals.load(Ordering::Acquire) == seen && Instant::now() < until {
            if !near.as_ref().is_some_and(|near| near.look()) {
                std::hint::spin_loop();
            }
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

    /// Whether its next turn is to be one without a place, after one of `wall` nanoseconds of which it used the processor
    /// for `used`.
    fn judge(&self, seat: &Seat, wall: u64, used: u64) {
        let waited = seat.take_waited();
        let waits = self.waits.load(Ordering::Relaxed);
        if !waits && (waited == 0 || wall < TELLING_NS) {
            return;
        }
        // Calls that the processor was busy with are no waits.
        self.waits.store(waited > wall / 2 && used < wall / 2, Ordering::Relaxed);
    }

    /// Drops what is left, or has it dropped by who runs it.
    fn finish(&self) {
        self.killed.store(true, Ordering::Release);
        let work = match self.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(work) = work {
            discard(work);
        }
    }
}

impl Queue {
    /// What the tasks of an app have in common.
    fn lane(&mut self, app: &str) -> Arc<Lane> {
        if let Some(lane) = self.lanes.get(app).and_then(Weak::upgrade) {
            return lane;
        }
        self.lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Lane::default());
        self.lanes.insert(app.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

/// Drops a task's future, which closes its files; a mistake in that stays with the task.
fn discard(work: Work) {
    let _ = may_wait(|| catch_unwind(AssertUnwindSafe(|| drop(work))));
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
