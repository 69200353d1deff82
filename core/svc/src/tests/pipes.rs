//! Goal: a pipe delivers what was sent, in order, within its bound and its budget, and loses no wake-up.
//! Method: random operations on a pipe and on a `VecDeque` with the same rules; then two tasks that sleep when they
//! are told to wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::vec;
use std::vec::Vec;

use proptest::collection::vec as vector;
use proptest::prelude::*;
use qyv_vfs::{Budget, Error, Result};

use super::{Bell, bell};
use crate::Failure;
use crate::pipe::Pipe;
use crate::wakes::Wakes;

const LIMIT: usize = 1000;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Receive(usize),
    Peek(usize),
    End,
    StopListening,
    Fail(Failure),
    Cut(Failure),
    /// Another of the sender's pipes takes or frees memory.
    Squeeze(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let failure = || prop_oneof![Just(Failure::Reset), Just(Failure::Revoked)];
    prop_oneof![
        20 => (0..2 * LIMIT).prop_map(Step::Send),
        20 => (0..2 * LIMIT).prop_map(Step::Receive),
        3 => (0..2 * LIMIT).prop_map(Step::Peek),
        5 => (0..3 * LIMIT as u64).prop_map(Step::Squeeze),
        1 => Just(Step::End),
        1 => Just(Step::StopListening),
        1 => failure().prop_map(Step::Fail),
        1 => failure().prop_map(Step::Cut),
    ]
}

/// What a pipe means, without buffers, budgets and wakers.
#[derive(Default)]
struct Model {
    bytes: VecDeque<u8>,
    ended: bool,
    unheard: bool,
    failure: Option<Failure>,
}

impl Model {
    fn receive(&mut self, most: usize, peek: bool) -> Result<Vec<u8>> {
        let count = most.min(self.bytes.len());
        let taken: Vec<u8> = self.bytes.iter().copied().take(count).collect();
        if !peek {
            self.bytes.drain(..count);
        }
        match self.failure {
            _ if count > 0 => Ok(taken),
            Some(failure) => Err(failure.error()),
            None if self.ended || self.unheard || most == 0 => Ok(taken),
            None => Err(Error::AGAIN),
        }
    }

    fn refuses(&self) -> Option<Error> {
        let closed = self.ended || self.unheard;
        self.failure.map(Failure::error).or(closed.then_some(Error::PIPE))
    }
}

/// A sleeper that was told to wait, and how often its bell had rung by then.
struct Sleeper {
    bell: Arc<Bell>,
    waker: Waker,
    asleep: Option<usize>,
}

impl Sleeper {
    fn new() -> Self {
        let (bell, waker) = bell();
        Self { bell, waker, asleep: None }
    }

    /// Whoever sleeps was woken exactly if there is something to wake for.
    fn check(&mut self, ready: bool) {
        if let Some(rung) = self.asleep {
            assert_eq!(self.bell.rung() - rung, usize::from(ready), "lost or needless wake-up");
        }
        self.asleep = (!ready).then(|| self.bell.rung());
    }
}

fn run(budget: &Budget, steps: &[Step]) {
    let mut pipe = Pipe::new(budget, LIMIT);
    let mut model = Model::default();
    let mut elsewhere = budget.hold();
    let mut next = 0_u8;
    let (mut sender, mut receiver) = (Sleeper::new(), Sleeper::new());
    for step in steps {
        let mut wakes = Wakes::new();
        match *step {
            Step::Send(count) => {
                let bytes: Vec<u8> = (0..count).map(|index| next.wrapping_add(index as u8)).collect();
                let sent = pipe.send(&bytes, &mut wakes);
                match (sent, model.refuses()) {
                    (sent, Some(error)) => assert_eq!(sent, Err(error)),
                    (Ok(sent), None) => {
                        assert!((sent > 0 || count == 0) && sent <= count);
                        let room = LIMIT - model.bytes.len();
                        assert!(sent == count.min(room) || budget.refused() > 0 && sent < room);
                        model.bytes.extend(&bytes[..sent]);
                        next = next.wrapping_add(sent as u8);
                    }
                    (Err(Error::AGAIN), None) => {
                        assert!(!model.bytes.is_empty(), "who waits on an empty pipe waits for ever");
                        assert!(model.bytes.len() == LIMIT || budget.refused() > 0);
                        drop(wakes);
                        wakes = Wakes::new();
                        assert_eq!(
                            pipe.ready_to_send(None, &mut wakes),
                            None,
                            "ready, yet `AGAIN`: a busy loop"
                        );
                    }
                    (Err(error), None) => {
                        assert_eq!((error, model.bytes.len(), budget.available()), (Error::NOMEM, 0, 0));
                    }
                }
            }
            Step::Receive(most) | Step::Peek(most) => {
                let mut into = vec![0; most];
                let peek = matches!(step, Step::Peek(_));
                let received = pipe.receive(&mut into, peek, &mut wakes).map(|count| into[..count].to_vec());
                assert_eq!(received, model.receive(most, peek));
            }
            Step::End => {
                pipe.end(&mut wakes);
                model.ended = true;
            }
            Step::StopListening => {
                assert_eq!(pipe.stop_listening(&mut wakes), !model.bytes.is_empty());
                model.bytes.clear();
                model.unheard = true;
            }
            Step::Fail(failure) => {
                pipe.fail(failure, &mut wakes);
                model.failure.get_or_insert(failure);
            }
            Step::Cut(failure) => {
                pipe.cut(failure, &mut wakes);
                model.bytes.clear();
                model.failure = Some(failure);
            }
            Step::Squeeze(bytes) => {
                let _ = elsewhere.try_resize(bytes);
            }
        }
        drop(wakes);

        let over = model.refuses().is_some();
        let mut wakes = Wakes::new();
        let readable = pipe.ready_to_receive(None, &mut wakes);
        assert_eq!(readable.is_some(), over || !model.bytes.is_empty());
        assert_eq!(readable.is_some_and(|ready| ready.hangup), over);
        assert_eq!(readable.map_or(0, |ready| ready.bytes), model.bytes.len() as u64);
        let writable = pipe.ready_to_send(None, &mut wakes);
        assert_eq!(writable.is_some_and(|ready| ready.hangup), over);
        receiver.check(readable.is_some());
        sender.check(writable.is_some());
        let _ = pipe.ready_to_receive(Some(&receiver.waker), &mut wakes);
        let _ = pipe.ready_to_send(Some(&sender.waker), &mut wakes);

        let charged = budget.used() - elsewhere.amount();
        assert!(charged >= model.bytes.len() as u64 && charged <= LIMIT as u64, "{charged}");
        assert!(!model.bytes.is_empty() || charged == 0, "an empty pipe holds nothing");
    }
    drop(pipe);
    assert_eq!(budget.used(), elsewhere.amount());
}

proptest! {
    #[test]
    fn a_pipe_is_a_queue(steps in vector(step(), 0..60)) {
        run(&Budget::unlimited(), &steps);
    }

    #[test]
    fn a_pipe_is_a_queue_when_memory_is_short(limit in 0..2 * LIMIT as u64, steps in vector(step(), 0..60)) {
        run(&Budget::new(limit), &steps);
    }

    /// Two tasks that sleep when told to wait, in any order of turns: all bytes arrive, so neither slept for ever.
    #[test]
    fn nobody_sleeps_for_ever(
        turns in vector(any::<bool>(), 1..50),
        writes in vector(1..3 * LIMIT, 1..10),
        reads in vector(1..2 * LIMIT, 1..10),
        budget in prop_oneof![Just(u64::MAX), 1..2 * LIMIT as u64],
    ) {
        let budget = Budget::new(budget);
        let mut pipe = Pipe::new(&budget, LIMIT);
        let (mut sender, mut receiver) = (Sleeper::new(), Sleeper::new());
        let total: usize = writes.iter().sum();
        let (mut writes, mut reads) = (writes.into_iter(), reads.into_iter().cycle());
        let (mut left, mut received) = (0, 0);
        let mut turns = [true, false].into_iter().chain(turns).collect::<Vec<_>>().into_iter().cycle();
        let mut idle = 0;
        while received < total {
            let sends = turns.next().unwrap();
            let task = if sends { &mut sender } else { &mut receiver };
            if task.asleep == Some(task.bell.rung()) {
                idle += 1;
                prop_assert!(idle < 200, "both sleep with {} of {total} bytes received", received);
                continue;
            }
            idle = 0;
            let mut wakes = Wakes::new();
            if sends {
                if left == 0 {
                    left = writes.next().unwrap_or(0);
                }
                match pipe.send(&vec![0; left], &mut wakes) {
                    Ok(count) => left -= count,
                    Err(error) => {
                        prop_assert_eq!(error, Error::AGAIN);
                        task.asleep = pipe.ready_to_send(Some(&task.waker), &mut wakes).is_none().then(|| task.bell.rung());
                    }
                }
            } else {
                match pipe.receive(&mut vec![0; reads.next().unwrap()], false, &mut wakes) {
                    Ok(count) => received += count,
                    Err(error) => {
                        prop_assert_eq!(error, Error::AGAIN);
                        task.asleep = pipe.ready_to_receive(Some(&task.waker), &mut wakes).is_none().then(|| task.bell.rung());
                    }
                }
            }
        }
    }
}

#[test]
fn a_stream_wakes_its_sender_by_quarters() {
    let mut pipe = Pipe::new(&Budget::unlimited(), LIMIT);
    let (bell, waker) = bell();
    let mut wakes = Wakes::new();
    assert_eq!(pipe.send(&[0; 2 * LIMIT], &mut wakes), Ok(LIMIT));
    assert_eq!(pipe.ready_to_send(Some(&waker), &mut wakes), None);
    for received in 1..=LIMIT {
        let mut wakes = Wakes::new();
        assert_eq!(pipe.receive(&mut [0], false, &mut wakes), Ok(1));
        drop(wakes);
        assert_eq!(bell.rung(), usize::from(received >= LIMIT / 4), "{received}");
    }
}

#[test]
fn many_who_wait_cost_little_and_none_is_lost() {
    let mut pipe = Pipe::new(&Budget::unlimited(), LIMIT);
    let bells: Vec<_> = (0..100).map(|_| bell()).collect();
    let mut wakes = Wakes::new();
    for (_, waker) in &bells {
        assert_eq!(pipe.ready_to_receive(Some(waker), &mut wakes), None);
        assert_eq!(pipe.ready_to_receive(Some(waker), &mut wakes), None);
    }
    drop(wakes);
    assert_eq!(bells.iter().filter(|(bell, _)| bell.rung() == 0).count(), 4);
    assert_eq!(pipe.send(&[1], &mut Wakes::new()), Ok(1));
    assert!(bells.iter().all(|(bell, _)| bell.rung() == 1));
}
