//! Starts that may wait for a disk: opening the folders of an instance, and counting what its volume holds.
//!
//! They have threads of their own, so that the daemon is heard meanwhile. Other starts are made at once.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_spec::service::Name;
use qyvol_protocol::InstanceId;
use qyvol_protocol::worker::{FromWorker, MountFrom, Start};

use crate::instance::Why;
use crate::worker::Worker;

/// Starts that may be under way at a time.
const STARTS_MAX: usize = 32;

/// Starts of one app that may be under way at a time, so that a folder that hangs holds up the replicas of its app alone.
const STARTS_OF_APP_MAX: usize = 4;

/// A start with the sockets that came along.
type Order = (Box<Start>, Vec<OwnedFd>);

/// The starts that have not come to an end.
#[derive(Default)]
pub(crate) struct Starting(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those under way, and why they are to be ended once they are through.
    under_way: BTreeMap<InstanceId, Option<Why>>,
    waiting: VecDeque<Order>,
}

impl Starting {
    /// Starts an instance with `begin`, which tells how it went: at once, or on another thread if that may wait.
    pub(crate) fn begin(
        &self,
        worker: &Arc<Worker>,
        start: Box<Start>,
        sockets: Vec<OwnedFd>,
        begin: fn(&Arc<Worker>, &Start, Vec<OwnedFd>),
    ) {
        if !may_wait(&start) {
            begin(worker, &start, sockets);
            return;
        }
        let mut state = self.lock();
        if state.knows(&start.instance) {
            drop(state);
            let message = format!("`{}` is being started already", start.instance);
            worker.reporter.tell(FromWorker::Failed { instance: start.instance, message });
            return;
        }
        state.waiting.push_back((start, sockets));
        state.go_on(worker, begin);
    }

    /// Ends an instance that is being started: once it is through, or at once when it was not begun. `false` when it is not
    /// being started.
    pub(crate) fn end(&self, worker: &Worker, instance: &InstanceId, why: Why) -> bool {
        let mut state = self.lock();
        if let Some(known) = state.under_way.get_mut(instance) {
            known.get_or_insert(why);
            return true;
        }
        let Some(at) = state.waiting.iter().position(|(start, _)| start.instance == *instance) else {
            return false;
        };
        state.waiting.remove(at);
        drop(state);
        let message = "it was ended before it was started".to_owned();
        worker.reporter.tell(FromWorker::Failed { instance: instance.clone(), message });
        true
    }

    /// Whether nothing is being started.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.under_way.is_empty() && state.waiting.is_empty()
    }

    /// Whether all that is being started is to be ended anyway.
    pub(crate) fn is_unwanted(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.under_way.values().all(Option::is_some)
    }

    /// A start is through.
    fn through(
        &self,
        worker: &Arc<Worker>,
        instance: &InstanceId,
        begin: fn(&Arc<Worker>, &Start, Vec<OwnedFd>),
    ) {
        let mut state = self.lock();
        let why = state.under_way.remove(instance).flatten();
        state.go_on(worker, begin);
        drop(state);
        if let (Some(why), Some(running)) = (why, worker.instance(instance)) {
            running.end(why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn knows(&self, instance: &InstanceId) -> bool {
        self.under_way.contains_key(instance)
            || self.waiting.iter().any(|(start, _)| start.instance == *instance)
    }

    fn of_app(&self, app: &Name) -> usize {
        self.under_way.keys().filter(|instance| instance.app == *app).count()
    }

    /// Begins what may begin.
    fn go_on(&mut self, worker: &Arc<Worker>, begin: fn(&Arc<Worker>, &Start, Vec<OwnedFd>)) {
        while self.under_way.len() < STARTS_MAX {
            let next = self
                .waiting
                .iter()
                .position(|(start, _)| self.of_app(&start.instance.app) < STARTS_OF_APP_MAX);
            let Some((start, sockets)) = next.and_then(|at| self.waiting.remove(at)) else { return };
            let instance = start.instance.clone();
            self.under_way.insert(instance.clone(), None);
            let worker_of_it = Arc::clone(worker);
            let thread = std::thread::Builder::new().name("start".into()).spawn(move || {
                begin(&worker_of_it, &start, sockets);
                worker_of_it.starting.through(&worker_of_it, &start.instance, begin);
            });
            if let Err(error) = thread {
                self.under_way.remove(&instance);
                let message = format!("the worker has no thread left: {error}");
                worker.reporter.tell(FromWorker::Failed { instance, message });
            }
        }
    }
}

/// Whether a start looks at folders of the host.
fn may_wait(start: &Start) -> bool {
    start.mounts.iter().any(|mount| !matches!(mount.from, MountFrom::Memory { .. }))
}
