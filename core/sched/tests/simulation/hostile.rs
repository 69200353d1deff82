//! Callers that get everything wrong: the queue against a model of which task does what.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qyv_sched::{
    FairQueue, Fifo, GroupId, Outcome, PERIOD_NS, Quota, Scheduler, Share, TaskId, Wake, Weight,
};

use crate::cases;

/// One call. Identifiers are chosen among all that were ever given out; from `GARBAGE` on they are made up.
#[derive(Debug, Clone, Copy)]
enum Call {
    AddGroup(u16, u32),
    SetShare(usize, u16, u32),
    RemoveGroup(usize),
    AddTask(usize),
    RemoveTask(usize),
    Wake(usize),
    Pick,
    Charge(usize, u64, u8),
    ChargeRunning(usize, u64, u8),
    Pass(u64),
}

const GARBAGE: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Blocked,
    Waiting,
    Running { woken: bool, removed: bool },
    Gone,
}

fn call() -> impl Strategy<Value = Call> {
    let number = 0..GARBAGE + 4;
    let used = prop_oneof![8 => 0..5_000_000_u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let quota = prop_oneof![2 => Just(0), 1 => 1..3_000_u32, 1 => Just(u32::MAX)];
    let weight = 1..=10_000_u16;
    prop_oneof![
        1 => (weight.clone(), quota.clone()).prop_map(|(weight, quota)| Call::AddGroup(weight, quota)),
        1 => (number.clone(), weight, quota).prop_map(|(group, weight, quota)| Call::SetShare(group, weight, quota)),
        1 => number.clone().prop_map(Call::RemoveGroup),
        4 => number.clone().prop_map(Call::AddTask),
        2 => number.clone().prop_map(Call::RemoveTask),
        8 => number.clone().prop_map(Call::Wake),
        8 => Just(Call::Pick),
        2 => (number.clone(), used.clone(), 0..3_u8).prop_map(|(task, used, outcome)| Call::Charge(task, used, outcome)),
        6 => (number, used, 0..3_u8).prop_map(|(task, used, outcome)| Call::ChargeRunning(task, used, outcome)),
        3 => prop_oneof![8 => 0..2 * PERIOD_NS, 1 => any::<u64>()].prop_map(Call::Pass),
    ]
}

fn share(weight: u16, quota: u32) -> Share {
    Share { weight: Weight::new(weight).unwrap(), quota: Quota::thousandths(quota) }
}

fn outcome(number: u8) -> Outcome {
    [Outcome::Runnable, Outcome::Blocked, Outcome::Ended][usize::from(number)]
}

struct Model {
    queue: Box<dyn Scheduler>,
    /// The queue has quotas, so what waits need not be ready.
    throttles: bool,
    now: u64,
    groups: Vec<GroupId>,
    ids: Vec<TaskId>,
    tasks: BTreeMap<TaskId, State>,
}

impl Model {
    fn group(&self, number: usize) -> GroupId {
        self.groups.get(number).copied().unwrap_or(GroupId::from_bits((number as u64) << 31))
    }

    fn task(&self, number: usize) -> TaskId {
        self.ids.get(number).copied().unwrap_or(TaskId::from_bits((number as u64) << 31 | 1))
    }

    fn state(&self, task: TaskId) -> State {
        self.tasks.get(&task).copied().unwrap_or(State::Gone)
    }

    fn running(&self) -> Vec<TaskId> {
        self.tasks
            .iter()
            .filter(|(_, state)| matches!(state, State::Running { .. }))
            .map(|(&id, _)| id)
            .collect()
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::AddGroup(weight, quota) => self.groups.extend(self.queue.add_group(share(weight, quota))),
            Call::SetShare(group, weight, quota) => {
                self.queue.set_share(self.group(group), share(weight, quota), self.now);
            }
            Call::RemoveGroup(group) => self.queue.remove_group(self.group(group)),
            Call::AddTask(group) => {
                if let Some(id) = self.queue.add_task(self.group(group)) {
                    assert_eq!(self.tasks.insert(id, State::Blocked), None, "an identifier is given once");
                    self.ids.push(id);
                }
            }
            Call::RemoveTask(task) => {
                let task = self.task(task);
                self.queue.remove_task(task, self.now);
                let next = match self.state(task) {
                    State::Running { woken, .. } => State::Running { woken, removed: true },
                    _ => State::Gone,
                };
                self.tasks.entry(task).and_modify(|state| *state = next);
            }
            Call::Wake(task) => self.wake(self.task(task)),
            Call::Pick => self.pick(),
            Call::Charge(task, used_ns, number) => self.charge(self.task(task), used_ns, outcome(number)),
            Call::ChargeRunning(task, used_ns, number) => {
                let running = self.running();
                if let Some(&task) = running.get(task % running.len().max(1)) {
                    self.charge(task, used_ns, outcome(number));
                }
            }
            Call::Pass(ns) => self.now = self.now.wrapping_add(ns),
        }
    }

    fn wake(&mut self, task: TaskId) {
        let answer = self.queue.wake(task, self.now);
        let (next, expected) = match self.state(task) {
            State::Blocked => (State::Waiting, true),
            State::Running { removed: false, .. } => (State::Running { woken: true, removed: false }, false),
            state => (state, false),
        };
        self.tasks.entry(task).and_modify(|state| *state = next);
        assert_eq!(answer != Wake::Nothing, expected);
        if let Wake::Preempt(ahead) = answer {
            assert!(matches!(self.state(ahead), State::Running { .. }), "who is asked to yield runs");
        }
    }

    fn pick(&mut self) {
        if let Some(picked) = self.queue.pick(self.now) {
            assert_eq!(self.state(picked.task), State::Waiting);
            assert!((1..=qyv_sched::SLICE_NS).contains(&picked.slice_ns));
            self.tasks.insert(picked.task, State::Running { woken: false, removed: false });
        }
    }

    fn charge(&mut self, task: TaskId, used_ns: u64, outcome: Outcome) {
        self.queue.charge(task, used_ns, outcome, self.now);
        if let State::Running { woken, removed } = self.state(task) {
            let next = match outcome {
                _ if removed => State::Gone,
                Outcome::Ended => State::Gone,
                Outcome::Blocked if !woken => State::Blocked,
                Outcome::Blocked | Outcome::Runnable => State::Waiting,
            };
            self.tasks.insert(task, next);
        }
    }

    fn waiting(&self) -> usize {
        self.tasks.values().filter(|state| **state == State::Waiting).count()
    }

    fn check(&self) {
        let (ready, waiting) = (self.queue.ready(), self.waiting());
        assert!(ready <= waiting && (self.throttles || ready == waiting), "{ready} ready, {waiting} wait");
        assert!(ready == waiting || self.queue.next_event().is_some(), "what is throttled comes back");
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_sequence_of_calls_confuses_it(
        calls in prop::collection::vec(call(), 1..400), processors in 0..4_usize, fair: bool,
    ) {
        let queue: Box<dyn Scheduler> = if fair { Box::new(FairQueue::new(processors)) } else { Box::new(Fifo::new()) };
        let (groups, ids, tasks) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut model = Model { queue, throttles: fair, now: 0, groups, ids, tasks };
        for call in calls {
            model.call(call);
            model.check();
        }
        // Nobody is forgotten: without quotas, everyone who waits is picked.
        for group in model.groups.clone() {
            model.queue.set_share(group, Share::default(), model.now);
        }
        prop_assert_eq!(model.queue.ready(), model.waiting());
        while model.waiting() > 0 {
            let waiting = model.waiting();
            model.pick();
            prop_assert_eq!(model.waiting(), waiting - 1);
        }
    }
}
