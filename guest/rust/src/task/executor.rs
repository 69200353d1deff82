//! Tasks and who is polled next.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::reactor;

/// Runs a future to its end, and the [spawned](spawn) tasks meanwhile. It waits for sockets and timers by one call of the
/// system, so a program that has nothing to do takes no processor time.
///
/// Tasks that are not done when it returns stay as they are, and go on in the next call.
///
/// # Panics
///
/// When every task waits for another one, so that nothing can ever wake any.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    loop {
        if woken.0.swap(false, Ordering::Relaxed)
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return output;
        }
        // Those alone that are ready now: who wakes itself again comes after what the system has to say.
        for _ in 0..ready() {
            run_next();
        }
        let busy = woken.0.load(Ordering::Relaxed) || ready() > 0;
        reactor::turn(!busy);
    }
}

/// Waiting for a future without `async`: `.wait()` is what `.await` is elsewhere.
///
/// ```
/// use qyv::Wait;
///
/// assert_eq!(async { 1 + 1 }.wait(), 2);
/// ```
pub trait Wait: Future + Sized {
    /// Waits for the result, with [`block_on`].
    fn wait(self) -> Self::Output {
        block_on(self)
    }
}

impl<F: Future> Wait for F {}

/// Starts a task that runs beside the others whenever this thread is in [`block_on`].
///
/// It goes on when the [`Task`] is dropped.
pub fn spawn<F: Future + 'static>(future: F) -> Task<F::Output> {
    let outcome = Rc::new(RefCell::new(Outcome { result: None, waiting: None }));
    let task = Task { outcome: outcome.clone() };
    let running = async move {
        let result = future.await;
        let waiting = {
            let mut outcome = outcome.borrow_mut();
            outcome.result = Some(result);
            outcome.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    };
    TASKS.with_borrow_mut(|tasks| {
        tasks.next += 1;
        let (id, ready) = (tasks.next, tasks.ready.clone());
        let waker = Arc::new(TaskWaker { id, queued: AtomicBool::new(false), ready });
        waker.wake_by_ref();
        tasks.slots.insert(id, Slot { future: Some(Box::pin(running)), waker, again: false });
    });
    task
}

/// A task that was [spawned](spawn). As a future it is the task's result.
pub struct Task<T> {
    outcome: Rc<RefCell<Outcome<T>>>,
}

struct Outcome<T> {
    result: Option<T>,
    waiting: Option<Waker>,
}

impl<T> Task<T> {
    /// Whether its result is there, and was not taken yet.
    pub fn is_done(&self) -> bool {
        self.outcome.borrow().result.is_some()
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut outcome = self.outcome.borrow_mut();
        match outcome.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                outcome.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("done", &self.is_done()).finish()
    }
}

/// The spawned tasks of this thread.
#[derive(Default)]
struct Tasks {
    slots: HashMap<u64, Slot>,
    next: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

/// A task without its result, which goes to its [`Task`].
type Running = Pin<Box<dyn Future<Output = ()>>>;

struct Slot {
    /// `None` while the task is being polled: its code may call [`block_on`] itself, which then polls the others.
    future: Option<Running>,
    waker: Arc<TaskWaker>,
    /// It was its turn while it was being polled.
    again: bool,
}

thread_local! {
    static TASKS: RefCell<Tasks> = RefCell::default();
}

/// How many tasks are to be polled.
fn ready() -> usize {
    TASKS.with_borrow(|tasks| locked(&tasks.ready).len())
}

/// Polls the task that has waited longest for its turn. No borrow is held meanwhile, so that it may spawn others.
fn run_next() {
    let Some((id, mut future, waker)) = TASKS.with_borrow_mut(Tasks::take_next) else { return };
    let done = future.as_mut().poll(&mut Context::from_waker(&waker.into())).is_ready();
    // What a task owns may spawn when it is dropped, so that happens without the borrow as well.
    let _slot = TASKS.with_borrow_mut(|tasks| {
        if done {
            return tasks.slots.remove(&id);
        }
        let slot = tasks.slots.get_mut(&id)?;
        slot.future = Some(future);
        if std::mem::take(&mut slot.again) {
            slot.waker.wake_by_ref();
        }
        None
    });
}

impl Tasks {
    fn take_next(&mut self) -> Option<(u64, Running, Arc<TaskWaker>)> {
        let id = locked(&self.ready).pop_front()?;
        // A waker may outlive its task.
        let slot = self.slots.get_mut(&id)?;
        slot.waker.queued.store(false, Ordering::Relaxed);
        slot.again = slot.future.is_none();
        Some((id, slot.future.take()?, slot.waker.clone()))
    }
}

/// Puts a task into the list of those to be polled, once.
struct TaskWaker {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            locked(&self.ready).push_back(self.id);
        }
    }
}

/// Whether the future of [`block_on`] is to be polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Nothing that runs under this lock can panic.
fn locked(ready: &Mutex<VecDeque<u64>>) -> MutexGuard<'_, VecDeque<u64>> {
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}
