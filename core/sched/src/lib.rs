//! The run queue: which task runs next, for how long, and what each has used against its weight.
//!
//! A **task** is something that can be polled until it blocks, ends or has used its slice: a request, a replica, a
//! guest's main program. Tasks belong to a **group**, which is an app: the group has the [`Share`], its tasks take turns
//! within it. So an app gets no more by starting more tasks.
//!
//! # How a host uses it
//!
//! Threads share one queue behind a mutex; a kernel with one processor uses it as it is. Several tasks may be running at a
//! time. Each thread loops:
//!
//! 1. [`Scheduler::pick`]. Is [`Scheduler::ready`] not 0 afterwards and another thread asleep, it wakes that one.
//! 2. Nothing picked: it sleeps until [`Scheduler::next_event`], or until a task is woken.
//! 3. It lets the task run for at most [`Picked::slice_ns`], or until it is asked to yield, with the mutex released.
//! 4. [`Scheduler::charge`] with the processor time that it took. **Every pick is followed by one charge**, also when the
//!    task was removed meanwhile.
//!
//! Who makes a task runnable calls [`Scheduler::wake`], and does what [`Wake`] says.
//!
//! # What it does not know
//!
//! Clocks: times come in as nanoseconds, `now` from any clock that does not go back (one that does is read as standing
//! still), used time from the thread's processor clock. Threads, WebAssembly, manifests. It predicts nothing yet.
//!
//! No call panics or runs without bound, whatever the identifiers and times are: an identifier that is stale, or was never
//! given out, is ignored.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod fair;
mod fifo;
mod group;
mod quota;
mod share;
mod slab;
mod tasks;

pub use fair::FairQueue;
pub use fifo::Fifo;
pub use share::{Quota, Share, Weight};

/// Nanoseconds that a task may run before the next one has its turn: long enough that the change of tasks (some
/// microseconds) is lost in it, short enough that a few of them are not felt.
pub const SLICE_NS: u64 = 3_000_000;

/// The shortest slice, in nanoseconds. Below it the changes of tasks would begin to count.
pub const SLICE_MIN_NS: u64 = 750_000;

/// Nanoseconds in which every waiting task of a processor should have its turn. Slices become shorter for it, from eight
/// waiting tasks a processor on, down to [`SLICE_MIN_NS`] at 32. Without that, 100 runaway loops would make each other wait
/// 300 ms instead of 75 ms.
pub const LATENCY_TARGET_NS: u64 = 24_000_000;

/// The least time that is charged for a turn, in nanoseconds. It stands for the change of tasks, and a task whose turns
/// are too short for the clock still comes behind the others some time.
pub const CHARGE_MIN_NS: u64 = 1_000;

/// The period of quotas, in nanoseconds.
pub const PERIOD_NS: u64 = 100_000_000;

/// The name of a task. It stays harmless after its task is gone: it then names nothing, and no later task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) slab::Key);

/// The name of a group. Like [`TaskId`], it names nothing once the group is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub(crate) slab::Key);

macro_rules! bits {
    ($($name:ident)*) => {$(
        impl $name {
            /// Returns the identifier as a number, to keep it where only numbers fit.
            #[must_use]
            pub const fn to_bits(self) -> u64 {
                self.0.to_bits()
            }

            /// Makes the identifier from [`Self::to_bits`]. Any other number names nothing, or something else.
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self(slab::Key::from_bits(bits))
            }
        }
    )*};
}
bits!(TaskId GroupId);

/// A task that is to run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked {
    /// The task, until it is charged.
    pub task: TaskId,
    /// How long it may run, in nanoseconds of processor time: 1 to [`SLICE_NS`]. What it uses beyond that is charged too.
    pub slice_ns: u64,
}

/// Why a task stopped running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its slice was over, or it yielded: it waits for its next turn.
    Runnable,
    /// It waits for something; [`Scheduler::wake`] makes it runnable. If that was called while it ran, it is runnable now.
    Blocked,
    /// It is over, and so is its identifier.
    Ended,
}

/// What a caller of [`Scheduler::wake`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// Nothing: the task was runnable already, runs, or does not exist.
    Nothing,
    /// The task waits. A thread that sleeps must look again, at the queue or at [`Scheduler::next_event`].
    Queued,
    /// The task waits, no processor is free, and this running task is ahead of it: ask that one to yield. A task is
    /// named once a turn at most.
    Preempt(TaskId),
}

/// A run queue.
pub trait Scheduler {
    /// Adds a group. `None` at 2^32 - 1 groups.
    fn add_group(&mut self, share: Share) -> Option<GroupId>;

    /// Changes what a group may have, from now on. Returns whether the group exists.
    fn set_share(&mut self, group: GroupId, share: Share, now: u64) -> bool;

    /// Lets a group take no more tasks, and go with its last one.
    fn remove_group(&mut self, group: GroupId);

    /// Adds a task, blocked: [`Self::wake`] gives it its first turn. `None` if the group does not exist or was removed, and
    /// at 2^32 - 1 tasks.
    fn add_task(&mut self, group: GroupId) -> Option<TaskId>;

    /// Removes a task. One that runs is removed when it is charged, and is not asked to yield.
    fn remove_task(&mut self, task: TaskId, now: u64);

    /// Makes a blocked task runnable. A running one will not block when it is charged the next time, so that no wake-up is
    /// lost between the two.
    fn wake(&mut self, task: TaskId, now: u64) -> Wake;

    /// Takes the task whose turn it is.
    fn pick(&mut self, now: u64) -> Option<Picked>;

    /// Gives back a task that was picked, after it used `used_ns` of processor time. Ignored for one that does not run.
    fn charge(&mut self, task: TaskId, used_ns: u64, outcome: Outcome, now: u64);

    /// Returns how many tasks could run now, besides those that do.
    fn ready(&self) -> usize;

    /// Returns when to pick next although no task was woken, because a quota is renewed then. It may be past already: then
    /// at once.
    fn next_event(&self) -> Option<u64>;
}
