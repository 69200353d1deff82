//! Clocks, random bytes, streams and connections of a guest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use qyv_wasi::{
    Clock, Denial, Direction, Host, Interest, Listener, Readiness, Result, Socket, Source, Stream,
    StreamKind, Wait,
};
use qyvol_engine::shared::SharedHost;
use qyvol_engine::system;

use super::connections::Connections;
use crate::case::Case;
use crate::check::Check;
use crate::mutants::Wrong;
use crate::outcome::Outcome;
use crate::sums::SplitMix64;

/// The longest that a wait keeps its thread: the guest's time is looked at in between.
const LOOK: Duration = Duration::from_millis(5);
/// How far a wrong clock goes back, now and then.
const BACK: u64 = 1_000_000_000;
/// How often: a number that no pattern of calls hides.
const BACK_EVERY: u64 = 97;
const HOUR: u64 = 3600 * 1_000_000_000;

/// What a guest wrote, also after it is gone.
#[derive(Default)]
pub(super) struct Record(Mutex<Written>);

#[derive(Default)]
struct Written {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    both: Vec<u8>,
    answers: Vec<u8>,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome so far: what was written.
    pub(super) fn outcome(&self, case: &Case) -> Outcome {
        let Written { stdout, stderr, both, answers } = std::mem::take(&mut *self.lock());
        let both = (case.check == Check::Streams).then_some(both);
        let answers = (case.check == Check::Serve).then_some(answers);
        Outcome { stdout, stderr, both, answers, ..Outcome::default() }
    }
}

/// What a guest gets from this process.
pub(super) struct GuestHost {
    wrong: Option<Wrong>,
    record: Arc<Record>,
    stdin: Vec<u8>,
    read: usize,
    /// Calls for the monotonic time.
    calls: u64,
    /// How far the clocks were put forward in place of waiting.
    skipped: u64,
    known: SplitMix64,
    connections: Connections,
}

impl GuestHost {
    pub(super) fn new(case: &Case, wrong: Option<Wrong>, record: Arc<Record>) -> Self {
        let mut stdin = case.stdin.clone();
        if wrong == Some(Wrong::ShortInput) {
            stdin.pop();
        }
        let connections = Connections::new(case, wrong);
        Self { wrong, record, stdin, read: 0, calls: 0, skipped: 0, known: SplitMix64(0), connections }
    }
}

impl Host for GuestHost {
    fn clock_now(&mut self, clock: Clock) -> Result<u64> {
        let mut now = system::clock_now(clock)?.saturating_add(self.skipped);
        if clock == Clock::Monotonic {
            self.calls += 1;
            if self.wrong == Some(Wrong::BackwardClock) && self.calls.is_multiple_of(BACK_EVERY) {
                now = now.saturating_sub(BACK);
            }
        }
        if clock == Clock::Realtime && self.wrong == Some(Wrong::LateClock) {
            now = now.saturating_sub(HOUR);
        }
        Ok(now)
    }

    fn clock_resolution(&mut self, clock: Clock) -> Result<u64> {
        system::clock_resolution(clock)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<()> {
        match self.wrong {
            Some(Wrong::ZeroRandom) => into.fill(0),
            Some(Wrong::SameRandom) => into.copy_from_slice(&self.known.bytes(into.len())),
            _ => system::random(into)?,
        }
        Ok(())
    }

    fn stream_read(&mut self, _: Stream, into: &mut [u8]) -> Result<usize> {
        let left = &self.stdin[self.read..];
        let length = left.len().min(into.len());
        into[..length].copy_from_slice(&left[..length]);
        self.read += length;
        Ok(length)
    }

    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize> {
        let mut written = self.record.lock();
        written.both.extend(from);
        if stream == Stream::Stderr { &mut written.stderr } else { &mut written.stdout }.extend(from);
        Ok(from.len())
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Pipe
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        match source {
            Source::Stream(Stream::Stdin) => {
                let bytes = (self.stdin.len() - self.read) as u64;
                Some(Readiness { bytes, hangup: bytes == 0 })
            }
            Source::Stream(_) => Some(Readiness { bytes: 1, hangup: false }),
            Source::Socket(socket) => self.connections.ready(socket, interest),
            Source::Listener(_) => self.connections.acceptable(),
        }
    }

    fn yield_now(&mut self) {
        thread::yield_now();
    }

    fn service(&mut self, name: &str, port: Option<u16>) -> Result<()> {
        self.connections.service(name, port)
    }

    fn services(&mut self) -> Vec<String> {
        self.connections.services()
    }

    fn service_info(&mut self, name: &str) -> Result<String> {
        self.connections.info(name)
    }

    fn dial(&mut self, name: &str, port: Option<u16>, _: Direction) -> Result<Socket> {
        self.connections.dial(name, port)
    }

    fn accept(&mut self, _: Listener) -> Result<Socket> {
        self.connections.accept()
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        self.connections.receive(socket, into, peek)
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        self.connections.send(socket, from, &mut self.record.lock().answers)
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        self.connections.shutdown(socket, direction)
    }
}

impl SharedHost for GuestHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        if wait.sources().iter().any(|(source, interest)| self.ready(*source, *interest).is_some()) {
            return Poll::Ready(());
        }
        let left = match wait.deadline() {
            Some((clock, at)) => at.saturating_sub(self.clock_now(clock).unwrap_or(at)),
            None => u64::MAX,
        };
        if left > 0 && self.wrong == Some(Wrong::NoSleep) {
            self.skipped = self.skipped.saturating_add(left);
            return Poll::Ready(());
        }
        if left == 0 {
            return Poll::Ready(());
        }
        thread::sleep(LOOK.min(Duration::from_nanos(left)));
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn ended(&mut self, _: &[Denial]) {}
}
