//! One direction of a connection: bytes in, the same bytes out, never more than a bound in between.

use alloc::collections::VecDeque;
use core::task::Waker;

use qyv_vfs::{Budget, Charge, Error, Result};

use crate::connection::{Failure, Readiness};
use crate::wakes::{Waiters, Wakes};

/// Most bytes on their way in one direction of a connection: what a Unix pipe of Linux holds.
pub const PIPE_BYTES_MAX: usize = 64 << 10;

/// The smallest buffer, so that a burst of small messages does not make it grow at each of them.
const BUFFER_BYTES_MIN: usize = 256;

/// A bounded pipe. The buffer is there only while there are bytes in it, and is charged to the sender's budget.
#[derive(Debug)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    charge: Charge,
    limit: usize,
    /// The budget refused to let the buffer grow, and nothing was taken out since.
    squeezed: bool,
    /// The sender sends no more.
    ended: bool,
    /// The receiver takes no more.
    unheard: bool,
    failure: Option<Failure>,
    receivers: Waiters,
    senders: Waiters,
}

impl Pipe {
    /// Bytes on their way, at most `limit`, are charged to `sender`.
    pub(crate) fn new(sender: &Budget, limit: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            charge: sender.hold(),
            limit,
            squeezed: false,
            ended: false,
            unheard: false,
            failure: None,
            receivers: Waiters::default(),
            senders: Waiters::default(),
        }
    }

    /// Takes bytes out, or copies them when it only peeks. `Ok(0)` is the end.
    pub(crate) fn receive(&mut self, into: &mut [u8], peek: bool, wakes: &mut Wakes) -> Result<usize> {
        let count = into.len().min(self.bytes.len());
        if count > 0 {
            let (first, second) = self.bytes.as_slices();
            let (into_first, into_second) = into[..count].split_at_mut(count.min(first.len()));
            into_first.copy_from_slice(&first[..into_first.len()]);
            into_second.copy_from_slice(&second[..into_second.len()]);
            if !peek {
                self.bytes.drain(..count);
                self.drained(wakes);
            }
            return Ok(count);
        }
        match self.failure {
            Some(failure) => Err(failure.error()),
            None if into.is_empty() || self.ended || self.unheard => Ok(0),
            None => Err(Error::AGAIN),
        }
    }

    /// Puts in as many bytes as fit. `NOMEM` when not even one can be charged and none is on its way, as then nothing
    /// that happens here could make room.
    pub(crate) fn send(&mut self, from: &[u8], wakes: &mut Wakes) -> Result<usize> {
        if let Some(failure) = self.failure {
            return Err(failure.error());
        }
        if self.ended || self.unheard {
            return Err(Error::PIPE);
        }
        if from.is_empty() {
            return Ok(0);
        }
        let wanted = from.len().min(self.limit - self.bytes.len());
        let count = wanted.min(self.make_room(wanted)?);
        if count == 0 {
            return Err(Error::AGAIN);
        }
        self.bytes.extend(&from[..count]);
        self.receivers.wake(wakes);
        // The budget may allow again what it refused when others began to wait.
        self.wake_senders(wakes);
        Ok(count)
    }

    /// The sender sends no more: the receiver gets what is on its way, then the end.
    pub(crate) fn end(&mut self, wakes: &mut Wakes) {
        self.ended = true;
        self.wake_all(wakes);
    }

    /// The receiver takes no more: what is on its way is lost. Returns whether something was.
    pub(crate) fn stop_listening(&mut self, wakes: &mut Wakes) -> bool {
        let lost = !self.bytes.is_empty();
        self.unheard = true;
        self.discard();
        self.wake_all(wakes);
        lost
    }

    /// Fails the pipe, if it has not yet: what is on its way is received first, then the failure.
    pub(crate) fn fail(&mut self, failure: Failure, wakes: &mut Wakes) {
        self.failure.get_or_insert(failure);
        self.wake_all(wakes);
    }

    /// Fails the pipe whatever happened to it before: what is on its way is lost.
    pub(crate) fn cut(&mut self, failure: Failure, wakes: &mut Wakes) {
        self.failure = Some(failure);
        self.discard();
        self.wake_all(wakes);
    }

    /// Why it failed.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Whether the sender has ended it.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether [`receive`](Self::receive) would not answer `AGAIN`; if it would, `waker` is woken when that changes.
    pub(crate) fn ready_to_receive(&mut self, waker: Option<&Waker>, wakes: &mut Wakes) -> Option<Readiness> {
        let hangup = self.ended || self.unheard || self.failure.is_some();
        if hangup || !self.bytes.is_empty() {
            return Some(Readiness { bytes: self.bytes.len() as u64, hangup });
        }
        self.wait_to_receive(waker, wakes)
    }

    /// Not ready to receive: `waker` is woken when something happens.
    pub(crate) fn wait_to_receive(&mut self, waker: Option<&Waker>, wakes: &mut Wakes) -> Option<Readiness> {
        waker.inspect(|waker| self.receivers.add(waker, wakes));
        None
    }

    /// Whether there is room to send, or no use in waiting for it; if not, `waker` is woken when there is.
    pub(crate) fn ready_to_send(&mut self, waker: Option<&Waker>, wakes: &mut Wakes) -> Option<Readiness> {
        if self.ended || self.unheard || self.failure.is_some() {
            return Some(Readiness { bytes: 0, hangup: true });
        }
        if self.has_room() {
            return Some(Readiness { bytes: self.room() as u64, hangup: false });
        }
        self.wait_to_send(waker, wakes)
    }

    /// Not ready to send: `waker` is woken when something happens.
    pub(crate) fn wait_to_send(&mut self, waker: Option<&Waker>, wakes: &mut Wakes) -> Option<Readiness> {
        waker.inspect(|waker| self.senders.add(waker, wakes));
        None
    }

    /// Bytes that can probably be sent.
    fn room(&self) -> usize {
        let limit = if self.squeezed { self.bytes.capacity().min(self.limit) } else { self.limit };
        limit.saturating_sub(self.bytes.len())
    }

    /// A sender is woken when a quarter is free, not at each byte: a stream then changes sides every 16 KiB.
    fn has_room(&self) -> bool {
        self.room() > 0 && self.room() >= (self.room() + self.bytes.len()) / 4
    }

    /// Makes room for `wanted` more bytes, charged first. Returns for how many there is room: fewer when the budget
    /// does not allow more.
    fn make_room(&mut self, wanted: usize) -> Result<usize> {
        let (held, capacity) = (self.bytes.len(), self.bytes.capacity());
        let needed = held + wanted;
        if needed <= capacity {
            return Ok(wanted);
        }
        let roomy = needed.next_power_of_two().clamp(BUFFER_BYTES_MIN, self.limit.max(needed));
        let grown = [roomy, needed].into_iter().any(|bytes| self.grow(bytes));
        if !grown && capacity == 0 {
            let left = usize::try_from(self.charge.grow_up_to(wanted as u64)).unwrap_or(wanted);
            if left == 0 || self.bytes.try_reserve_exact(left).is_err() {
                self.discard();
                return Err(Error::NOMEM);
            }
        }
        self.squeezed = !grown;
        Ok(self.bytes.capacity() - held)
    }

    /// Makes the buffer `bytes` large, or changes nothing and returns `false`.
    fn grow(&mut self, bytes: usize) -> bool {
        let before = self.charge.amount();
        if !self.charge.try_resize(bytes as u64) {
            return false;
        }
        let grown = self.bytes.try_reserve_exact(bytes - self.bytes.len()).is_ok();
        if !grown {
            self.charge.shrink(bytes as u64 - before);
        }
        grown
    }

    fn drained(&mut self, wakes: &mut Wakes) {
        self.squeezed = false;
        if self.bytes.is_empty() {
            self.discard();
        }
        self.wake_senders(wakes);
    }

    fn wake_senders(&mut self, wakes: &mut Wakes) {
        if self.has_room() {
            self.senders.wake(wakes);
        }
    }

    /// Frees the buffer and what was charged for it.
    fn discard(&mut self) {
        self.bytes = VecDeque::new();
        self.charge.shrink(self.charge.amount());
        self.squeezed = false;
    }

    /// Lets all who wait look again.
    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        self.receivers.wake(wakes);
        self.senders.wake(wakes);
    }
}
