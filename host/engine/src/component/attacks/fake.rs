//! A host whose services a test lays out, and whose other ends it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use qyv_wasi::{
    Clock, Denial, Direction, Error, Host, Interest, Listener, Readiness, Result, Socket, Source, Stream,
    StreamKind, Wait,
};

use crate::shared::SharedHost;

/// One connection.
#[derive(Default)]
pub(super) struct Line {
    pub(super) incoming: VecDeque<u8>,
    pub(super) sent: Vec<u8>,
    /// How much is said to fit.
    pub(super) room: usize,
    /// How much does.
    pub(super) takes: usize,
    /// The other side sends no more.
    pub(super) ended: bool,
    /// `AGAIN` while it is being made.
    pub(super) failure: Option<Error>,
    pub(super) shut: Vec<Direction>,
    pub(super) closed: bool,
}

#[derive(Default)]
pub(super) struct State {
    /// What may be dialled, and whether it is there.
    pub(super) services: Vec<(&'static str, Result<()>)>,
    pub(super) dials: Vec<(String, Option<u16>)>,
    pub(super) lines: Vec<Line>,
    /// Dials take time.
    pub(super) slow: bool,
    pub(super) backlog: u32,
    pub(super) closed: Vec<Listener>,
    pub(super) waker: Option<Waker>,
    /// Every wait is said to be over.
    pub(super) restless: bool,
    pub(super) ended: bool,
}

impl State {
    /// A connection that the guest has not closed, of a guest that lives.
    fn line(&mut self, socket: Socket) -> &mut Line {
        assert!(!self.ended, "called after the end");
        let line = &mut self.lines[socket.0 as usize];
        assert!(!line.closed, "used after it was closed");
        line
    }

    fn connect(&mut self) -> Socket {
        let failure = self.slow.then_some(Error::AGAIN);
        self.lines.push(Line { room: 1 << 20, takes: usize::MAX, failure, ..Line::default() });
        Socket(self.lines.len() as u32 - 1)
    }
}

#[derive(Clone, Default)]
pub(super) struct FakeHost(Arc<Mutex<State>>);

impl FakeHost {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many connections the guest holds.
    pub(super) fn held(&self) -> usize {
        self.state().lines.iter().filter(|line| !line.closed).count()
    }

    /// The same, and how many wait to be accepted.
    pub(super) fn counts(&self) -> (usize, u32) {
        (self.held(), self.state().backlog)
    }
}

impl Host for FakeHost {
    fn clock_now(&mut self, _: Clock) -> Result<u64> {
        Ok(0)
    }

    fn clock_resolution(&mut self, _: Clock) -> Result<u64> {
        Ok(1)
    }

    fn random(&mut self, _: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn stream_read(&mut self, _: Stream, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn stream_write(&mut self, _: Stream, from: &[u8]) -> Result<usize> {
        Ok(from.len())
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Null
    }

    fn yield_now(&mut self) {}

    fn service(&mut self, name: &str, port: Option<u16>) -> Result<()> {
        let state = self.state();
        let (_, there) = state.services.iter().find(|(known, _)| *known == name).ok_or(Error::ACCES)?;
        if port.is_some_and(|port| port == 1) { Err(Error::NOENT) } else { *there }
    }

    fn dial(&mut self, name: &str, port: Option<u16>, direction: Direction) -> Result<Socket> {
        assert_eq!(direction, Direction::Both);
        self.service(name, port)?;
        let mut state = self.state();
        state.dials.push((name.to_owned(), port));
        if port == Some(111) {
            return Err(Error::CONNREFUSED);
        }
        Ok(state.connect())
    }

    fn connected(&mut self, socket: Socket) -> Result<()> {
        self.state().line(socket).failure.map_or(Ok(()), Err)
    }

    fn accept(&mut self, listener: Listener) -> Result<Socket> {
        let mut state = self.state();
        assert!(!state.closed.contains(&listener));
        state.backlog = state.backlog.checked_sub(1).ok_or(Error::AGAIN)?;
        Ok(state.connect())
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        assert!(!into.is_empty() && !peek);
        let mut state = self.state();
        let line = state.line(socket);
        if line.incoming.is_empty() {
            let over = line.ended || line.shut.iter().any(|way| *way != Direction::Send);
            return line.failure.map_or(if over { Ok(0) } else { Err(Error::AGAIN) }, Err);
        }
        let count = line.incoming.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(line.incoming.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        assert!(!from.is_empty());
        let mut state = self.state();
        let line = state.line(socket);
        line.failure.map_or(Ok(()), Err)?;
        if line.shut.iter().any(|way| *way != Direction::Receive) {
            return Err(Error::PIPE);
        }
        let count = line.takes.min(line.room).min(from.len());
        line.takes -= count;
        line.room -= count;
        line.sent.extend_from_slice(&from[..count]);
        if count == 0 { Err(Error::AGAIN) } else { Ok(count) }
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        self.state().line(socket).shut.push(direction);
        Ok(())
    }

    fn close(&mut self, source: Source) {
        let mut state = self.state();
        match source {
            Source::Socket(socket) => state.line(socket).closed = true,
            Source::Listener(listener) => {
                assert!(!state.closed.contains(&listener) && !state.ended);
                state.closed.push(listener);
            }
            Source::Stream(stream) => panic!("{stream:?} is the host's"),
        }
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        let mut state = self.state();
        let waiting = u64::from(state.backlog);
        let Source::Socket(socket) = source else {
            return (waiting > 0).then_some(Readiness { bytes: waiting, hangup: false });
        };
        let line = state.line(socket);
        let failed = line.failure.is_some_and(|failure| failure != Error::AGAIN);
        let (bytes, over) = match interest {
            Interest::Read => (line.incoming.len(), line.ended),
            Interest::Write => (line.room, false),
        };
        let pending = line.failure == Some(Error::AGAIN);
        (!pending && (bytes > 0 || over || failed))
            .then_some(Readiness { bytes: bytes as u64, hangup: over || failed })
    }
}

impl SharedHost for FakeHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        assert!(wait.deadline().is_none() && wait.sources().len() == 1);
        let restless = self.state().restless;
        let (source, interest) = wait.sources()[0];
        if restless || self.ready(source, interest).is_some() {
            return Poll::Ready(());
        }
        self.state().waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn ended(&mut self, _: &[Denial]) {
        self.state().ended = true;
    }
}
