//! A connection: two pipes and how they end.

use core::task::Waker;

use qyv_vfs::{Budget, Charge, Error, Result};

use crate::pipe::{PIPE_BYTES_MAX, Pipe};
use crate::wakes::Wakes;

/// What a connection is charged to whoever dials it, besides the bytes on their way: itself and its place in lists.
pub const CONNECTION_BYTES: u64 = 512;

const _: () = assert!(size_of::<Connection>() as u64 <= CONNECTION_BYTES);

/// A connection, as it lies in a [`Link`](crate::Link). It is used through its two [`End`](crate::End)s.
///
/// How it ends, as TCP on Linux does:
///
/// * One side ends sending, or closes: the other receives what is on its way, then the end (0 bytes). What it sends
///   to a closed side is `PIPE`.
/// * One side dies, or closes with bytes that it never received: the other receives what is on its way, so that the
///   last words of an app that died are not lost, then `CONNRESET` where the end would have been; sending is
///   `CONNRESET` at once. A direction that was ended in order before that stays so.
/// * It is revoked: `CONNABORTED` on both sides at once, and what is on its way is lost.
#[derive(Debug)]
pub struct Connection {
    /// What each side sends.
    dialer_sends: Pipe,
    acceptor_sends: Pipe,
    /// The dialler has closed its end: nothing is left to revoke.
    dialer_gone: bool,
    /// It is not known yet whether somebody takes it: the dialler waits.
    pending: bool,
    _itself: Charge,
}

/// The two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Acceptor,
}

/// The ways that bytes go, as one end sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this end.
    Receive,
    /// From this end.
    Send,
    /// Both.
    Both,
}

impl Direction {
    pub(crate) fn receives(self) -> bool {
        self != Self::Send
    }

    pub(crate) fn sends(self) -> bool {
        self != Self::Receive
    }
}

/// Why a connection ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A side died: `CONNRESET`.
    Reset,
    /// The right to dial was taken back: `CONNABORTED`.
    Revoked,
    /// Where a connection was to be carried to, nobody took it: `CONNREFUSED`.
    Refused,
}

impl Failure {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Reset => Error::CONNRESET,
            Self::Revoked => Error::CONNABORTED,
            Self::Refused => Error::CONNREFUSED,
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to receive, or the end.
    Read,
    /// Room to send, or a side that takes no more.
    Write,
}

/// An end or a listener is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes that can be received or sent now; connections that can be accepted. A send may take fewer when the
    /// sender's memory is short.
    pub bytes: u64,
    /// No more will come, or be taken, after these bytes.
    pub hangup: bool,
}

impl Connection {
    /// What the dialler sends is charged to `dialer`, and so is the connection; the rest to `acceptor`. `NOMEM` when
    /// `dialer` has nothing left.
    pub(crate) fn new(dialer: &Budget, acceptor: &Budget) -> Result<Self> {
        Ok(Self {
            dialer_sends: Pipe::new(dialer, PIPE_BYTES_MAX),
            acceptor_sends: Pipe::new(acceptor, PIPE_BYTES_MAX),
            dialer_gone: false,
            pending: false,
            _itself: dialer.charge(CONNECTION_BYTES).ok_or(Error::NOMEM)?,
        })
    }

    pub(crate) fn receive(
        &mut self,
        side: Side,
        into: &mut [u8],
        peek: bool,
        wakes: &mut Wakes,
    ) -> Result<usize> {
        self.established(side)?;
        let (_, incoming) = self.pipes(side);
        incoming.receive(into, peek, wakes)
    }

    pub(crate) fn send(&mut self, side: Side, from: &[u8], wakes: &mut Wakes) -> Result<usize> {
        self.established(side)?;
        let (outgoing, _) = self.pipes(side);
        outgoing.send(from, wakes)
    }

    pub(crate) fn shutdown(&mut self, side: Side, ways: Direction, wakes: &mut Wakes) {
        let (outgoing, incoming) = self.pipes(side);
        if ways.receives() {
            incoming.stop_listening(wakes);
        }
        if ways.sends() {
            outgoing.end(wakes);
        }
    }

    pub(crate) fn ready(
        &mut self,
        side: Side,
        interest: Interest,
        waker: Option<&Waker>,
        wakes: &mut Wakes,
    ) -> Option<Readiness> {
        let pending = self.established(side).is_err();
        let (outgoing, incoming) = self.pipes(side);
        match interest {
            Interest::Read if pending => incoming.wait_to_receive(waker, wakes),
            Interest::Write if pending => outgoing.wait_to_send(waker, wakes),
            Interest::Read => incoming.ready_to_receive(waker, wakes),
            Interest::Write => outgoing.ready_to_send(waker, wakes),
        }
    }

    /// The dialler has to wait until [`establish`](Self::establish) or a failure.
    pub(crate) fn suspend(&mut self) {
        self.pending = true;
    }

    /// Somebody takes the connection.
    pub(crate) fn establish(&mut self, wakes: &mut Wakes) {
        if core::mem::take(&mut self.pending) {
            self.dialer_sends.wake_all(wakes);
            self.acceptor_sends.wake_all(wakes);
        }
    }

    /// Whether somebody took the connection: `AGAIN` while this is not known, or why it failed.
    pub(crate) fn connected(&mut self, side: Side) -> Result<()> {
        self.established(side)?;
        let (outgoing, _) = self.pipes(side);
        outgoing.failure().map_or(Ok(()), |failure| Err(failure.error()))
    }

    /// `AGAIN` for a dialler that has to wait.
    fn established(&self, side: Side) -> Result<()> {
        if self.pending && side == Side::Dialer { Err(Error::AGAIN) } else { Ok(()) }
    }

    /// One side closes its end in order. Whoever does so without having taken the connection refuses it.
    pub(crate) fn close(&mut self, side: Side, wakes: &mut Wakes) {
        if self.pending && side == Side::Acceptor {
            self.fail(side, Failure::Refused, wakes);
        }
        let (_, incoming) = self.pipes(side);
        if incoming.stop_listening(wakes) {
            self.fail(side, Failure::Reset, wakes);
        }
        let (outgoing, _) = self.pipes(side);
        outgoing.end(wakes);
        self.dialer_gone |= side == Side::Dialer;
    }

    /// One side fails.
    pub(crate) fn fail(&mut self, side: Side, failure: Failure, wakes: &mut Wakes) {
        self.pending = false;
        let (outgoing, incoming) = self.pipes(side);
        if failure != Failure::Reset {
            outgoing.cut(failure, wakes);
            incoming.cut(failure, wakes);
            return;
        }
        if !outgoing.has_ended() {
            outgoing.fail(failure, wakes);
        }
        incoming.stop_listening(wakes);
        incoming.fail(failure, wakes);
    }

    /// Whether the dialler has closed its end.
    pub(crate) fn dialer_gone(&self) -> bool {
        self.dialer_gone
    }

    /// What a side sends and what it receives.
    fn pipes(&mut self, side: Side) -> (&mut Pipe, &mut Pipe) {
        match side {
            Side::Dialer => (&mut self.dialer_sends, &mut self.acceptor_sends),
            Side::Acceptor => (&mut self.acceptor_sends, &mut self.dialer_sends),
        }
    }
}
