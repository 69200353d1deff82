//! What tasks wait for: descriptors and points in time, and the one call of the system that waits for all of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::sys;

/// Most descriptors that are waited for at once: `poll_oneoff` takes 4096 subscriptions, one of which is the time.
const WAITS_MAX: usize = 4095;

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

#[derive(Default)]
struct Reactor {
    next: u64,
    waits: BTreeMap<u64, Wait>,
    timers: BTreeMap<(Instant, u64), Waker>,
}

struct Wait {
    fd: RawFd,
    interest: Interest,
    waker: Waker,
}

thread_local! {
    static REACTOR: RefCell<Reactor> = RefCell::default();
}

/// Wakes those for whom something has happened, after waiting for that when it `may_wait`.
pub(super) fn turn(may_wait: bool) {
    let (entries, deadline) = REACTOR.with_borrow(|reactor| {
        let entries: Vec<_> =
            reactor.waits.iter().map(|(key, wait)| (*key, wait.fd, wait.interest)).collect();
        (entries, reactor.timers.first_key_value().map(|((at, _), _)| *at))
    });
    let limit = match deadline {
        _ if !may_wait => Some(Duration::ZERO),
        Some(at) => Some(at.saturating_duration_since(Instant::now())),
        None => None,
    };
    let mut happened = Vec::new();
    if !entries.is_empty() {
        let asked: Vec<_> = entries.iter().map(|(_, fd, interest)| (*fd, *interest)).collect();
        happened = sys::wait(&asked, limit);
    } else if let Some(limit) = limit {
        if !limit.is_zero() {
            std::thread::sleep(limit);
        }
    } else {
        panic!("every task waits for another one, and nothing can wake any");
    }
    let mut wakers = Vec::new();
    REACTOR.with_borrow_mut(|reactor| {
        for index in happened {
            wakers.extend(
                entries.get(index).and_then(|(key, ..)| reactor.waits.remove(key)).map(|wait| wait.waker),
            );
        }
        if let Some(first) = deadline {
            let now = Instant::now();
            while first <= now
                && let Some(timer) = reactor.timers.first_entry().filter(|timer| timer.key().0 <= now)
            {
                wakers.push(timer.remove());
            }
        }
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// Waits until a descriptor, which must stay open meanwhile, can be read or written without waiting, or has failed.
///
/// # Errors
///
/// When too many are waited for already.
pub(crate) fn ready(fd: RawFd, interest: Interest) -> impl Future<Output = io::Result<()>> {
    Readiness { fd, interest, key: None }
}

struct Readiness {
    fd: RawFd,
    interest: Interest,
    key: Option<u64>,
}

impl Future for Readiness {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        REACTOR.with_borrow_mut(|reactor| {
            let Some(key) = self.key else {
                if reactor.waits.len() >= WAITS_MAX {
                    let text = format!("more than {WAITS_MAX} tasks wait for sockets");
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, text)));
                }
                let wait = Wait { fd: self.fd, interest: self.interest, waker: context.waker().clone() };
                self.key = Some(reactor.key());
                reactor.waits.insert(reactor.next, wait);
                return Poll::Pending;
            };
            match reactor.waits.get_mut(&key) {
                Some(wait) => {
                    wait.waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(Ok(())),
            }
        })
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // At the end of a thread the reactor may be gone before its tasks are.
            let _ = REACTOR.try_with(|reactor| reactor.borrow_mut().waits.remove(&key));
        }
    }
}

/// Waits this long.
pub fn sleep(time: Duration) -> Sleep {
    Sleep { until: Instant::now().checked_add(time), key: None }
}

/// Waits until this point in time. One in the past is over at once.
pub fn sleep_until(until: Instant) -> Sleep {
    Sleep { until: Some(until), key: None }
}

/// What [`sleep`] and [`sleep_until`] return.
#[derive(Debug)]
pub struct Sleep {
    /// `None` is further away than a clock can say.
    until: Option<Instant>,
    key: Option<(Instant, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if until <= Instant::now() {
            return Poll::Ready(());
        }
        REACTOR.with_borrow_mut(|reactor| {
            let key = *self.key.get_or_insert_with(|| (until, reactor.key()));
            reactor.timers.insert(key, context.waker().clone());
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let _ = REACTOR.try_with(|reactor| reactor.borrow_mut().timers.remove(&key));
        }
    }
}

impl Reactor {
    fn key(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
