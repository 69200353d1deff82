//! One end of a connection.

use core::task::Waker;

use qyv_vfs::{Budget, Result};

use crate::connection::{Connection, Direction, Failure, Interest, Readiness, Side};
use crate::wakes::Wakes;

/// A connection behind the host's lock: `Arc<Mutex<Connection>>` where there are threads, `Rc<RefCell<Connection>>`
/// where there are none. Cloning gives another hand on the same connection.
pub trait Link: Clone {
    /// Puts a connection behind a lock.
    fn new(connection: Connection) -> Self;

    /// Does `work` under the lock. It is short, does not wait and calls nothing of the host.
    fn with<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R;
}

/// One end of a connection. Dropping it closes it in order; see [`Connection`] for what the other end then sees.
///
/// All calls return at once and answer `AGAIN` where they would have to wait: [`ready`](Self::ready) tells when to try
/// again. Wakers run after the lock is given back.
#[derive(Debug)]
pub struct End<L: Link> {
    link: L,
    side: Side,
}

impl<L: Link> End<L> {
    /// The two ends of a new connection, charged to their budgets, the connection itself to the first. `NOMEM` when
    /// that has nothing left.
    pub fn pair(dialer: &Budget, acceptor: &Budget) -> Result<(Self, Self)> {
        let link = L::new(Connection::new(dialer, acceptor)?);
        Ok((Self { link: link.clone(), side: Side::Dialer }, Self { link, side: Side::Acceptor }))
    }

    /// Whether somebody took the connection. Only a dial to another process takes time.
    ///
    /// # Errors
    ///
    /// `AGAIN` while it is not known; then receiving and sending are `AGAIN` too, and the end becomes ready for both
    /// interests when it is. `CONNREFUSED`, or how else it failed.
    pub fn connected(&self) -> Result<()> {
        self.with(|connection, _| connection.connected(self.side))
    }

    /// Receives at most `into.len()` bytes and returns how many; with `peek` they stay. 0 is the end.
    ///
    /// # Errors
    ///
    /// `AGAIN` when there are none yet, `CONNRESET`, `CONNABORTED` or `CONNREFUSED` when it failed.
    pub fn receive(&self, into: &mut [u8], peek: bool) -> Result<usize> {
        self.with(|connection, wakes| connection.receive(self.side, into, peek, wakes))
    }

    /// Sends as many of the bytes as fit and returns how many, at least 1 unless `from` is empty.
    ///
    /// # Errors
    ///
    /// `AGAIN` when none fits yet, `NOMEM` when none fits and waiting would not help, `PIPE` when the other end takes
    /// no more or this one has ended sending, `CONNRESET`, `CONNABORTED` or `CONNREFUSED` when it failed.
    pub fn send(&self, from: &[u8]) -> Result<usize> {
        self.with(|connection, wakes| connection.send(self.side, from, wakes))
    }

    /// Ends these ways for good. Bytes to this end that it has not received are lost.
    pub fn shutdown(&self, ways: Direction) {
        self.with(|connection, wakes| connection.shutdown(self.side, ways, wakes));
    }

    /// Whether it is ready. When it is not, `waker` is woken once it is; never before, except that one of more than
    /// four tasks that wait for the same may be woken early.
    ///
    /// It is ready to send when a quarter of the pipe is free, so that a stream does not wake its sender at each byte.
    pub fn ready(&self, interest: Interest, waker: Option<&Waker>) -> Option<Readiness> {
        self.with(|connection, wakes| connection.ready(self.side, interest, waker, wakes))
    }

    /// Ends the connection because of a failure on this side: [`Failure::Reset`] when the app that held this end died.
    /// The end is then good for nothing but to be dropped.
    pub fn fail(&self, failure: Failure) {
        self.with(|connection, wakes| connection.fail(self.side, failure, wakes));
    }

    /// The same under a lock of the caller, who wakes later.
    pub(crate) fn fail_into(self, failure: Failure, wakes: &mut Wakes) {
        self.link.with(|connection| connection.fail(self.side, failure, wakes));
    }

    /// The dialler has to wait until the connection is established or fails.
    pub(crate) fn suspend(&self) {
        self.with(|connection, _| connection.suspend());
    }

    /// Lets the dialler go on.
    pub(crate) fn establish(&self) {
        self.with(Connection::establish);
    }

    /// Ends the ways that are not among these.
    pub(crate) fn keep(&self, ways: Direction) {
        match ways {
            Direction::Receive => self.shutdown(Direction::Send),
            Direction::Send => self.shutdown(Direction::Receive),
            Direction::Both => {}
        }
    }

    /// Another hand on the connection.
    pub(crate) fn link(&self) -> L {
        self.link.clone()
    }

    fn with<R>(&self, work: impl FnOnce(&mut Connection, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::new();
        self.link.with(|connection| work(connection, &mut wakes))
    }
}

impl<L: Link> Drop for End<L> {
    fn drop(&mut self) {
        self.with(|connection, wakes| connection.close(self.side, wakes));
    }
}
