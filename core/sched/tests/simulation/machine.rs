//! A machine with some processors, in simulated time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use qyv_sched::{GroupId, Outcome, Quota, Scheduler, Share, TaskId, Wake, Weight};

pub(crate) const US: u64 = 1_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000_000_000;

/// What a task does, over and over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    /// It runs for that long, longer than a slice or not.
    pub(crate) run_ns: u64,
    /// Then it sleeps; without this it yields.
    pub(crate) sleep_ns: Option<u64>,
    /// How much later than asked it stops.
    pub(crate) overrun_ns: u64,
}

impl Habit {
    /// A loop that never ends.
    pub(crate) const HOG: Self = Self { run_ns: u64::MAX, sleep_ns: None, overrun_ns: 0 };

    /// Runs, then yields.
    pub(crate) const fn yielding(run_ns: u64) -> Self {
        Self { run_ns, ..Self::HOG }
    }

    /// Runs, then sleeps.
    pub(crate) const fn sleeping(run_ns: u64, sleep_ns: u64) -> Self {
        Self { run_ns, sleep_ns: Some(sleep_ns), overrun_ns: 0 }
    }
}

/// A share of that weight, without quota.
pub(crate) fn weight(weight: u16) -> Share {
    Share { weight: Weight::new(weight).unwrap(), quota: None }
}

/// A share of the usual weight, with a quota in thousandths of a processor.
pub(crate) fn quota(thousandths: u32) -> Share {
    Share { quota: Quota::thousandths(thousandths), ..Share::default() }
}

pub(crate) struct Machine {
    queue: Box<dyn Scheduler>,
    processors: Vec<Option<Running>>,
    idle: Vec<usize>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    events_so_far: u64,
    pub(crate) now: u64,
    pub(crate) apps: Vec<App>,
    pub(crate) tasks: Vec<Task>,
    by_id: HashMap<TaskId, usize>,
    /// How often a running task was asked to yield.
    pub(crate) preemptions: u64,
}

pub(crate) struct App {
    pub(crate) group: GroupId,
    pub(crate) used_ns: u64,
}

pub(crate) struct Task {
    pub(crate) id: TaskId,
    app: usize,
    habit: Habit,
    /// What is left of its run.
    left_ns: u64,
    /// Since when it waits.
    since: u64,
    removed: bool,
    pub(crate) turns: u64,
    /// The longest time that it waited for a turn.
    pub(crate) worst_wait_ns: u64,
}

struct Running {
    task: usize,
    begin: u64,
    /// Tells its end from that of an earlier turn.
    turn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Stop { processor: usize, turn: u64 },
    Wake { task: usize },
    Look,
}

impl Machine {
    pub(crate) fn new(processors: usize, queue: impl Scheduler + 'static) -> Self {
        Self {
            queue: Box::new(queue),
            processors: (0..processors).map(|_| None).collect(),
            idle: (0..processors).rev().collect(),
            events: BinaryHeap::new(),
            events_so_far: 0,
            now: 0,
            apps: Vec::new(),
            tasks: Vec::new(),
            by_id: HashMap::new(),
            preemptions: 0,
        }
    }

    /// Adds an app. Returns its number.
    pub(crate) fn app(&mut self, share: Share) -> usize {
        let group = self.queue.add_group(share).unwrap();
        self.apps.push(App { group, used_ns: 0 });
        self.apps.len() - 1
    }

    /// Adds a task that begins now. Returns its number.
    pub(crate) fn task(&mut self, app: usize, habit: Habit) -> usize {
        self.task_at(app, habit, self.now)
    }

    /// Adds a task that begins then. Returns its number.
    pub(crate) fn task_at(&mut self, app: usize, habit: Habit, begin: u64) -> usize {
        let id = self.queue.add_task(self.apps[app].group).unwrap();
        let number = self.tasks.len();
        let (left_ns, since, removed) = (habit.run_ns, begin, false);
        self.tasks.push(Task { id, app, habit, left_ns, since, removed, turns: 0, worst_wait_ns: 0 });
        self.by_id.insert(id, number);
        self.event(begin, Event::Wake { task: number });
        number
    }

    pub(crate) fn set_share(&mut self, app: usize, share: Share) {
        assert!(self.queue.set_share(self.apps[app].group, share, self.now));
    }

    pub(crate) fn remove_task(&mut self, task: usize) {
        self.queue.remove_task(self.tasks[task].id, self.now);
        self.tasks[task].removed = true;
    }

    pub(crate) fn remove_app(&mut self, app: usize) {
        self.queue.remove_group(self.apps[app].group);
    }

    pub(crate) fn ready(&self) -> usize {
        self.queue.ready()
    }

    pub(crate) fn runs(&self, task: usize) -> bool {
        self.processors.iter().flatten().any(|running| running.task == task)
    }

    /// Runs until then. What runs at that time goes on in the next call.
    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(&Reverse((time, _, event))) =
            self.events.peek().filter(|Reverse((time, ..))| *time <= end)
        {
            self.events.pop();
            self.now = time;
            match event {
                Event::Stop { processor, turn } => self.stop(processor, turn),
                Event::Wake { task } => self.wake(task),
                Event::Look => {}
            }
            self.dispatch();
        }
        self.now = end;
    }

    /// Runs until then, and forgets how long tasks had to wait so far.
    pub(crate) fn warm_up(&mut self, end: u64) {
        self.run_until(end);
        self.tasks.iter_mut().for_each(|task| task.worst_wait_ns = 0);
    }

    /// What each app has used since the start, with what is running now.
    pub(crate) fn used(&self) -> Vec<u64> {
        let mut used: Vec<u64> = self.apps.iter().map(|app| app.used_ns).collect();
        for running in self.processors.iter().flatten() {
            used[self.tasks[running.task].app] += self.now - running.begin;
        }
        used
    }

    fn event(&mut self, time: u64, event: Event) {
        self.events_so_far += 1;
        self.events.push(Reverse((time, self.events_so_far, event)));
    }

    fn dispatch(&mut self) {
        while let Some(&processor) = self.idle.last() {
            let Some(picked) = self.queue.pick(self.now) else {
                if let Some(time) = self.queue.next_event() {
                    self.event(time.max(self.now + 1), Event::Look);
                }
                return;
            };
            self.idle.pop();
            let number = self.by_id[&picked.task];
            let task = &mut self.tasks[number];
            assert!(!task.removed, "a removed task was picked");
            task.turns += 1;
            task.worst_wait_ns = task.worst_wait_ns.max(self.now - task.since);
            let late = if task.left_ns > picked.slice_ns { task.habit.overrun_ns } else { 0 };
            let end = self.now + task.left_ns.min(picked.slice_ns + late);
            let turn = self.events_so_far;
            self.processors[processor] = Some(Running { task: number, begin: self.now, turn });
            self.event(end, Event::Stop { processor, turn });
        }
    }

    fn stop(&mut self, processor: usize, turn: u64) {
        let Some(running) = self.processors[processor].take_if(|running| running.turn == turn) else {
            return;
        };
        self.idle.push(processor);
        let (number, used_ns) = (running.task, self.now - running.begin);
        let task = &mut self.tasks[number];
        self.apps[task.app].used_ns += used_ns;
        task.left_ns -= used_ns;
        task.since = self.now;
        let mut outcome = Outcome::Runnable;
        if task.left_ns == 0 {
            task.left_ns = task.habit.run_ns;
            if let Some(sleep_ns) = task.habit.sleep_ns {
                outcome = Outcome::Blocked;
                self.event(self.now + sleep_ns, Event::Wake { task: number });
            }
        }
        self.queue.charge(self.tasks[number].id, used_ns, outcome, self.now);
    }

    fn wake(&mut self, number: usize) {
        let task = &mut self.tasks[number];
        task.since = self.now;
        if let Wake::Preempt(ahead) = self.queue.wake(task.id, self.now) {
            self.preemptions += 1;
            let ahead = self.by_id[&ahead];
            let place =
                |running: &Option<Running>| running.as_ref().is_some_and(|running| running.task == ahead);
            let processor = self.processors.iter().position(place).expect("who is asked to yield runs");
            let turn = self.processors[processor].as_ref().unwrap().turn;
            self.event(self.now, Event::Stop { processor, turn });
        }
    }
}
