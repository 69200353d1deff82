//! What the worker tells its daemon, without waiting for it.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use qyvol_protocol::channel;
use qyvol_protocol::worker::{Exited, FromWorker};

/// The most messages that wait for the daemon. A daemon that reads no more than that is hung up on: the next one learns
/// everything by the welcome.
const WAITING_MAX: usize = 100_000;

/// The most ends that are kept while no daemon listens. With what [`short`] leaves of each, a welcome stays a message.
const ENDED_MAX: usize = 1000;

/// The way to the daemon, if there is one.
#[derive(Default)]
pub(crate) struct Reporter {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    daemon: Option<Arc<UnixStream>>,
    waiting: VecDeque<FromWorker>,
    /// What ended while nobody listened.
    ended: VecDeque<Exited>,
}

impl Reporter {
    /// Starts the thread that sends.
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let reporter = Arc::new(Self::default());
        let sending = Arc::clone(&reporter);
        std::thread::Builder::new().name("report".into()).spawn(move || sending.send_all())?;
        Ok(reporter)
    }

    /// Tells the daemon, or remembers an end for the next one.
    pub(crate) fn tell(&self, message: FromWorker) {
        let mut state = self.lock();
        if state.daemon.is_some() && state.waiting.len() < WAITING_MAX {
            state.waiting.push_back(message);
            drop(state);
            self.wake.notify_one();
            return;
        }
        if let Some(slow) = state.daemon.take() {
            let _ = slow.shutdown(std::net::Shutdown::Both);
        }
        state.remember(message);
    }

    /// Speaks to this daemon from now on. `welcome` makes the first message of what ended meanwhile; what is told from
    /// then on comes after it.
    pub(crate) fn connect(&self, daemon: Arc<UnixStream>, welcome: impl FnOnce(Vec<Exited>) -> FromWorker) {
        let mut state = self.lock();
        state.forget_daemon();
        let ended = state.ended.drain(..).collect();
        state.waiting.push_back(welcome(ended));
        state.daemon = Some(daemon);
        drop(state);
        self.wake.notify_one();
    }

    /// The daemon is gone.
    pub(crate) fn disconnect(&self) {
        self.lock().forget_daemon();
    }

    fn send_all(&self) {
        let mut state = self.lock();
        loop {
            let Some((daemon, message)) =
                state.daemon.clone().and_then(|daemon| Some((daemon, state.waiting.pop_front()?)))
            else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let sent = channel::send(&daemon, &message, &[]);
            state = self.lock();
            if sent.is_err() {
                // Another may have connected meanwhile: then it is told.
                let gone = state.daemon.as_ref().is_none_or(|now| Arc::ptr_eq(now, &daemon));
                if gone {
                    state.forget_daemon();
                    state.remember(message);
                } else if matches!(message, FromWorker::Exited(_)) {
                    state.waiting.push_back(message);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, message: FromWorker) {
        match message {
            FromWorker::Exited(mut ended) => {
                short(&mut ended);
                if self.ended.len() == ENDED_MAX {
                    self.ended.pop_front();
                }
                self.ended.push_back(*ended);
            }
            FromWorker::Welcome(welcome) => self.ended.extend(welcome.ended),
            _ => {}
        }
    }

    fn forget_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let _ = daemon.shutdown(std::net::Shutdown::Both);
        }
        for message in std::mem::take(&mut self.waiting) {
            self.remember(message);
        }
    }
}

/// Cuts what a guest had a hand in.
fn short(ended: &mut Exited) {
    const LINE: usize = 256;
    const LINES: usize = 8;
    ended.message.truncate(ended.message.floor_char_boundary(4 * LINE));
    ended.denials.truncate(LINES);
    for denial in &mut ended.denials {
        denial.truncate(denial.floor_char_boundary(LINE));
    }
}
