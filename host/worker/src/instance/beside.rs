//! Programs that run beside an instance: for a client, for a check of its health. They share its files, grants and limits,
//! and die with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};

use qyv_vfs::Budget;
use qyv_wasi::Denial;
use qyvol_engine::shared::{SharedEnd, SharedProgram, SharedStart};
use qyvol_protocol::worker::Packaged;
use tokio::sync::oneshot;

use super::setup::Wanted;
use super::{End, Given, Instance, Over, Why, lock};
use crate::executor::{Meter, Task};
use crate::guest::GuestHost;
use crate::stdio::Stdio;
use crate::worker::Worker;

/// The most programs that clients run beside one instance at once.
const EXECS_MAX: usize = 16;

/// The most programs that clients run beside all instances of a worker at once.
pub(crate) const WORKER_EXECS_MAX: usize = 256;

/// The most children that the programs of one instance may have at once, and theirs with them.
const CHILDREN_MAX: usize = 16;

/// The most children of all instances of a worker at once.
pub(crate) const WORKER_CHILDREN_MAX: usize = 1024;

/// What a program beside an instance costs the host besides what the guest counts: its pipes' leavings, its task.
const BESIDE_BYTES: u64 = 64 << 10;

/// What a program runs beside an instance for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client: bounded by [`EXECS_MAX`].
    Exec,
    /// A check: one at a time, and never kept from running by clients.
    Probe,
    /// A program that one of the instance's own has started: bounded by [`CHILDREN_MAX`].
    Child,
}

/// The programs that run beside one instance.
#[derive(Default)]
pub(super) struct Besides(Mutex<List>);

#[derive(Default)]
struct List {
    /// The instance is over: nothing is added any more.
    closed: bool,
    next: u64,
    running: BTreeMap<u64, Entry>,
}

struct Entry {
    purpose: Purpose,
    /// `None` until it is on its way.
    task: Option<Task>,
}

impl List {
    fn has_room(&self, purpose: Purpose) -> Result<(), String> {
        let count = self.running.values().filter(|entry| entry.purpose == purpose).count();
        match purpose {
            Purpose::Exec if count >= EXECS_MAX => Err(format!("{EXECS_MAX} programs run beside it already")),
            Purpose::Child if count >= CHILDREN_MAX => {
                Err(format!("the programs of the app have {CHILDREN_MAX} children already"))
            }
            Purpose::Exec | Purpose::Probe | Purpose::Child => Ok(()),
        }
    }
}

impl Besides {
    /// Makes room for one more.
    fn reserve(&self, purpose: Purpose) -> Result<u64, String> {
        let mut list = lock(&self.0);
        if list.closed {
            return Err("it has ended".into());
        }
        list.has_room(purpose)?;
        list.next += 1;
        let number = list.next;
        list.running.insert(number, Entry { purpose, task: None });
        Ok(number)
    }

    /// Remembers the task of one, unless it is over already.
    fn set(&self, number: u64, task: &Task) {
        let mut list = lock(&self.0);
        if let Some(entry) = list.running.get_mut(&number) {
            entry.task = Some(task.clone());
        }
        let closed = list.closed;
        drop(list);
        if closed {
            task.kill();
        }
    }

    fn remove(&self, number: u64) {
        lock(&self.0).running.remove(&number);
    }

    /// Ends all of them, and takes no more.
    pub(super) fn end(&self) {
        let tasks: Vec<Task> = {
            let mut list = lock(&self.0);
            list.closed = true;
            list.running.values_mut().filter_map(|entry| entry.task.take()).collect()
        };
        tasks.iter().for_each(Task::kill);
    }
}

/// A program beside an instance. Dropped, it is ended.
pub(crate) struct Beside {
    task: Task,
    why: Arc<AtomicU8>,
    end: oneshot::Receiver<End>,
}

impl Beside {
    /// Ends it, for this reason.
    pub(crate) fn kill(&self, why: Why) {
        let _ = self.why.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.task.kill();
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> Option<End> {
        (&mut self.end).await.ok()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.kill(Why::Killed);
    }
}

impl Instance {
    /// Runs a program of its app beside it: its own when `program` is `None`.
    pub(crate) fn beside(
        &self,
        worker: &Arc<Worker>,
        purpose: Purpose,
        program: Option<&Packaged>,
        (args, env): (&[String], &[(String, String)]),
        stdio: Stdio,
    ) -> Result<Beside, String> {
        let handler = "its program answers requests, and has no start but by them";
        let given = self.given.as_ref().ok_or(handler)?;
        let (name, program) = match program {
            None => (given.app.as_str(), Arc::clone(&given.program)),
            Some(packaged) => {
                let loaded = worker.program(packaged.module.0)?;
                let missing = "its native code is not in the cache any more; try again";
                (packaged.path.as_str(), loaded.ok_or(missing)?)
            }
        };
        self.run_beside(worker, (purpose, None), given, (name, program), (args, env), stdio)
    }

    /// Runs a program that one of its programs starts. `given` is what it gets.
    pub(crate) fn child(
        &self,
        worker: &Arc<Worker>,
        given: &Arc<Given>,
        program: (&str, Arc<SharedProgram<GuestHost>>),
        words: (&[String], &[(String, String)]),
        stdio: Stdio,
    ) -> Result<Beside, String> {
        let descriptors = Some(given.descriptors.clone());
        self.run_beside(worker, (Purpose::Child, descriptors), given, program, words, stdio)
    }

    /// Whether one of its programs may start another, as things stand.
    pub(crate) fn may_have_children(&self) -> Result<(), String> {
        lock(&self.besides.0).has_room(Purpose::Child)
    }

    fn run_beside(
        &self,
        worker: &Arc<Worker>,
        (purpose, descriptors): (Purpose, Option<Budget>),
        given: &Arc<Given>,
        (name, program): (&str, Arc<SharedProgram<GuestHost>>),
        (args, env): (&[String], &[(String, String)]),
        stdio: Stdio,
    ) -> Result<Beside, String> {
        let over = Weak::upgrade(&lock(&self.over)).ok_or("it has ended")?;
        let held = worker.hold_exec(purpose)?;
        let charge = given.memory.charge(BESIDE_BYTES).ok_or("the memory of the app is used up")?;
        let meter = Arc::new(Meter::within(&given.meter));
        let wanted = Wanted { name, args, env, stdio, meter: &meter, descriptors };
        let start = given.program(worker, wanted, Vec::new())?;
        let (told, end) = oneshot::channel();
        let why = Arc::new(AtomicU8::new(0));
        let number = self.besides.reserve(purpose)?;
        let run = Run {
            over,
            given: Arc::clone(given),
            number,
            denials: start.host.denials(),
            why: Arc::clone(&why),
            ended: None,
            told: Some(told),
            _held: (held, charge),
        };
        let task = worker.executor.spawn(given.group, meter, run.go(program, start)).ok_or("it has ended")?;
        self.besides.set(number, &task);
        Ok(Beside { task, why, end })
    }
}

/// A program under way. Dropping it tells its end.
struct Run {
    over: Arc<Over>,
    given: Arc<Given>,
    number: u64,
    denials: Arc<Mutex<Vec<Denial>>>,
    /// [`Why`] it is ended from outside.
    why: Arc<AtomicU8>,
    ended: Option<qyvol_engine::Result<SharedEnd>>,
    told: Option<oneshot::Sender<End>>,
    _held: (Option<tokio::sync::OwnedSemaphorePermit>, qyv_vfs::Charge),
}

impl Run {
    async fn go(mut self, program: Arc<SharedProgram<GuestHost>>, start: SharedStart<GuestHost>) {
        self.ended = self.given.within_time(program.run(start)).await;
        if self.ended.is_none() {
            self.why.store(Why::CpuTime as u8, Ordering::Release);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.over.instance.besides.remove(self.number);
        let end = End::of(self.ended.as_ref(), self.why.load(Ordering::Acquire), &lock(&self.denials));
        if let Some(told) = self.told.take() {
            // Nobody waits for one that was ended from outside.
            let _ = told.send(end);
        }
    }
}
