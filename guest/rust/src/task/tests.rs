//! Goal: every task that can go on does, and none is woken for nothing.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Either, Wait, block_on, race, sleep, sleep_until, spawn, timeout};

/// Gives all others a turn.
async fn yield_now() {
    let mut first = true;
    poll_fn(|context| {
        if std::mem::take(&mut first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[test]
fn tasks_take_turns() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let task = |name: &'static str| {
        let order = order.clone();
        spawn(async move {
            for round in 0..3 {
                order.borrow_mut().push((round, name));
                yield_now().await;
            }
        })
    };
    let (a, b) = (task("a"), task("b"));
    block_on(async {
        assert!(!a.is_done());
        while !a.is_done() {
            yield_now().await;
        }
        a.await;
        b.await;
    });
    assert_eq!(*order.borrow(), [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a"), (2, "b")]);
}

#[test]
fn timers_wake_in_order() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    let tasks = [3, 1, 2].map(|time| {
        let order = order.clone();
        spawn(async move {
            sleep_until(start + Duration::from_millis(time)).await;
            order.borrow_mut().push(time);
        })
    });
    block_on(async {
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(*order.borrow(), [1, 2, 3]);
    assert!(start.elapsed() >= Duration::from_millis(3));
    // One that never ends and one that is over do not stand in each other's way.
    assert_eq!(race(sleep(Duration::MAX), sleep(Duration::ZERO)).wait(), Either::Second(()));
}

#[test]
fn the_first_of_two_wins() {
    assert_eq!(race(ready(1), ready(2)).wait(), Either::First(1));
    assert_eq!(race(pending::<()>(), ready(2)).wait(), Either::Second(2));
    assert_eq!(timeout(Duration::from_millis(1), pending::<()>()).wait(), None);
    assert_eq!(timeout(Duration::MAX, ready(1)).wait(), Some(1));
}

#[test]
fn a_task_that_waits_inside_lets_the_others_go_on() {
    let mut inner = Some(spawn(async {
        yield_now().await;
        7
    }));
    let mut result = None;
    let outer = spawn(poll_fn(move |context| {
        if let Some(inner) = inner.take() {
            // Its turn comes while it is being polled: that must not be lost.
            context.waker().wake_by_ref();
            result = Some(inner.wait());
            return Poll::Pending;
        }
        Poll::Ready(result)
    }));
    assert_eq!(outer.wait(), Some(7));
}

#[test]
fn a_task_goes_on_without_its_handle_and_in_the_next_call() {
    let count = Rc::new(Cell::new(0));
    let counter = count.clone();
    drop(spawn(async move {
        loop {
            counter.set(counter.get() + 1);
            sleep(Duration::from_millis(1)).await;
        }
    }));
    while count.get() < 2 {
        sleep(Duration::from_millis(1)).wait();
    }
}
