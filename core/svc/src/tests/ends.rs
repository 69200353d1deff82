//! How connections end, and that an end can be used from another thread.

use std::thread;
use std::vec;
use std::vec::Vec;

use qyv_vfs::{Budget, Error, Result};

use super::{Locked, bell};
use crate::{CONNECTION_BYTES, Direction, End, Failure, Interest, PIPE_BYTES_MAX, Readiness};

type Ends = (End<Locked>, End<Locked>);

fn pair() -> Ends {
    End::pair(&Budget::unlimited(), &Budget::unlimited()).unwrap()
}

#[track_caller]
fn receives(end: &End<Locked>, expected: Result<&[u8]>) {
    let mut into = [0; 64];
    let received = end.receive(&mut into, false).map(|count| &into[..count]);
    assert_eq!(received, expected);
}

#[test]
fn bytes_go_both_ways() {
    let (a, b) = pair();
    assert_eq!((a.send(b"ping"), b.send(b"pong")), (Ok(4), Ok(4)));
    let mut peeked = [0; 2];
    assert_eq!((b.receive(&mut peeked, true), &peeked), (Ok(2), b"pi"));
    receives(&b, Ok(b"ping"));
    receives(&a, Ok(b"pong"));
    receives(&a, Err(Error::AGAIN));
}

#[test]
fn an_end_in_order_is_seen_after_the_bytes() {
    let (a, b) = pair();
    a.send(b"last").unwrap();
    a.shutdown(Direction::Send);
    assert_eq!(a.send(b"x"), Err(Error::PIPE));
    assert_eq!(b.ready(Interest::Read, None), Some(Readiness { bytes: 4, hangup: true }));
    receives(&b, Ok(b"last"));
    receives(&b, Ok(b""));
    b.send(b"answer").unwrap();
    receives(&a, Ok(b"answer"));
    drop(b);
    receives(&a, Ok(b""));
}

#[test]
fn one_that_receives_no_more_is_a_broken_pipe() {
    let (a, b) = pair();
    b.send(b"lost").unwrap();
    a.shutdown(Direction::Receive);
    receives(&a, Ok(b""));
    assert_eq!(b.send(b"x"), Err(Error::PIPE));
    a.send(b"still").unwrap();
    receives(&b, Ok(b"still"));
    let (a, b) = pair();
    drop(a);
    receives(&b, Ok(b""));
    assert_eq!(b.send(b"x"), Err(Error::PIPE));
}

#[test]
fn the_last_words_of_the_dead_are_heard() {
    let (a, b) = pair();
    a.send(b"panicked").unwrap();
    a.fail(Failure::Reset);
    assert_eq!(b.send(b"x"), Err(Error::CONNRESET));
    receives(&b, Ok(b"panicked"));
    receives(&b, Err(Error::CONNRESET));
    receives(&b, Err(Error::CONNRESET));
    // An answer that was complete stays so.
    let (a, b) = pair();
    a.send(b"done").unwrap();
    a.shutdown(Direction::Send);
    a.fail(Failure::Reset);
    receives(&b, Ok(b"done"));
    receives(&b, Ok(b""));
    assert_eq!(b.send(b"x"), Err(Error::CONNRESET));
}

#[test]
fn closing_on_bytes_that_were_not_received_is_a_reset() {
    let (a, b) = pair();
    b.send(b"unread").unwrap();
    a.send(b"bye").unwrap();
    drop(a);
    assert_eq!(b.send(b"x"), Err(Error::CONNRESET));
    receives(&b, Ok(b"bye"));
    receives(&b, Err(Error::CONNRESET));
}

#[test]
fn what_is_taken_back_or_refused_ends_at_once() {
    for (failure, error) in [(Failure::Revoked, Error::CONNABORTED), (Failure::Refused, Error::CONNREFUSED)] {
        let (a, b) = pair();
        b.send(b"secret").unwrap();
        a.shutdown(Direction::Send);
        b.fail(failure);
        receives(&a, Err(error));
        assert_eq!(a.send(b"x"), Err(error));
        for interest in [Interest::Read, Interest::Write] {
            assert_eq!(a.ready(interest, None), Some(Readiness { bytes: 0, hangup: true }));
        }
    }
}

#[test]
fn every_ending_wakes_both_interests() {
    let endings: [fn(End<Locked>); 5] = [
        drop,
        |end| end.fail(Failure::Reset),
        |end| end.fail(Failure::Revoked),
        |end| {
            end.shutdown(Direction::Both);
            drop(end);
        },
        |end| {
            end.receive(&mut vec![0; PIPE_BYTES_MAX], false).unwrap();
            drop(end);
        },
    ];
    for ending in endings {
        let (a, b) = pair();
        a.send(&vec![0; 2 * PIPE_BYTES_MAX]).unwrap();
        let (read, write) = (bell(), bell());
        assert_eq!(a.ready(Interest::Read, Some(&read.1)), None);
        assert_eq!(a.ready(Interest::Write, Some(&write.1)), None);
        ending(b);
        assert_eq!((read.0.rung(), write.0.rung()), (1, 1));
    }
}

#[test]
fn a_flood_harms_the_flooder() {
    let (flooder, victim) = (Budget::new(100_000), Budget::new(1000));
    let mut ends: Vec<Ends> = Vec::new();
    let refused = loop {
        match End::pair(&flooder, &victim) {
            Ok(pair) => ends.push(pair),
            Err(error) => break error,
        }
        if let Err(error) = ends[ends.len() - 1].0.send(&[0; 10_000]) {
            break error;
        }
    };
    assert_eq!((refused, victim.used(), flooder.available()), (Error::NOMEM, 0, 0));
    // The flooded one can still answer, and what it takes is given back to the flooder.
    assert_eq!(ends[0].1.send(&[0; 500]), Ok(500));
    assert_eq!(ends[0].1.receive(&mut [0; 10_000], false), Ok(10_000));
    assert!(flooder.available() >= 10_000);
    ends.clear();
    assert_eq!((flooder.used(), victim.used()), (0, 0));
}

#[test]
fn ten_thousand_idle_connections_hold_no_buffers() {
    let budget = Budget::unlimited();
    let ends: Vec<Ends> = (0..10_000).map(|_| End::pair(&budget, &budget).unwrap()).collect();
    for (a, b) in &ends {
        a.send(&[7; 3000]).unwrap();
        assert_eq!(b.receive(&mut [0; 4000], false), Ok(3000));
    }
    assert_eq!(budget.used(), 10_000 * CONNECTION_BYTES);
}

/// Blocks the thread until the end is ready.
fn wait(end: &End<Locked>, interest: Interest) {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    while end.ready(interest, Some(&waker)).is_none() {
        thread::park();
    }
}

#[test]
fn two_threads_stream_and_sleep() {
    const TOTAL: usize = 5 << 20;
    let (a, b) = pair();
    let sender = thread::spawn(move || {
        let bytes: Vec<u8> = (0..100_003).map(|index| (index % 251) as u8).collect();
        let mut sent = 0;
        while sent < TOTAL {
            let from = sent % 251;
            let most = (TOTAL - sent).min(100_003 - 251);
            match a.send(&bytes[from..from + most]) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error, Error::AGAIN);
                    wait(&a, Interest::Write);
                }
            }
        }
    });
    let mut into = vec![0; 7777];
    let mut received = 0;
    loop {
        match b.receive(&mut into, false) {
            Ok(0) => break,
            Ok(count) => {
                assert!((received..).zip(&into[..count]).all(|(at, byte)| at % 251 == usize::from(*byte)));
                received += count;
            }
            Err(error) => {
                assert_eq!(error, Error::AGAIN);
                wait(&b, Interest::Read);
            }
        }
    }
    sender.join().unwrap();
    assert_eq!(received, TOTAL);
}
