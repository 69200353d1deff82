//! The thread that decides: what was asked, what happened and what time it is go in; what is stored, sent to workers and
//! told comes out.
//!
//! Each round takes what waits in the inbox, and then [`Overseer::settle`]s: what the supervisor wants stored is stored
//! with the events in one transaction, and only then done. A request that changes something is its own transaction and is
//! answered after it ([`Overseer::commit`]).

mod deploy;
mod files;
mod lookup;
mod news;
mod opening;
mod routes;
mod run;
mod said;
mod sessions;
mod start;
mod system;
mod usage;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use qyv_spec::app::Hash;
use qyv_spec::service::{Listen, Name};
use qyv_supervise::{Action, Desired, Event as LifeEvent, Now, Supervisor};
use qyvol_protocol::api::{Ended, Event, Remote};
use qyvol_protocol::system::Told;
use qyvol_protocol::worker::{FromWorker, ToWorker};
use qyvold_store::{Blobs, Change, Secrets, Store};
use tokio::sync::{broadcast, oneshot};

use crate::Options;
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::prepare::Preparing;
use crate::sources::Sources;
use crate::workers::link::Lost;
use crate::workers::process::WorkerProcesses;
use crate::workers::table::Table;
pub(crate) use files::FilesOf;
pub(crate) use opening::Opened;
use run::{AppEntry, Run};
pub(crate) use sessions::Wanted;

/// The most messages that wait for the overseer; who has more to say waits, or is told that it is busy.
pub(crate) const INBOX_MESSAGES: usize = 4096;

/// The most messages of one round, so that what they bring about is not put off for ever.
const ROUND_MESSAGES: usize = 1024;

/// The longest sleep, while something may have to be looked at.
const NAP: Duration = Duration::from_secs(5);

/// How long workers without instances may take to end before the daemon ends without them.
const LAST_WORKERS: Duration = Duration::from_secs(5);

/// The most events that wait for the disk to take them; more are forgotten.
const NEWS_MAX: usize = 10_000;

/// Something that is done on the overseer's thread.
pub(crate) type Job = Box<dyn FnOnce(&mut Overseer) + Send>;

/// What the overseer is told.
pub(crate) enum Message {
    /// A client wants something.
    Do(Job),
    /// A worker says something.
    Said(String, FromWorker),
    /// A worker's process is gone, and why.
    Gone(String, Lost),
    /// The compilation of a program is over.
    Prepared(Hash, Result<(), String>),
    /// What a worker has asked for a program is found out: the number of its question, and the answer.
    Job(String, u64, Told),
    /// The daemon is to end; with its apps, or without.
    Leave {
        /// Whether the apps are stopped first.
        apps: bool,
        /// Told when that is done.
        done: Option<oneshot::Sender<()>>,
    },
}

/// What others need to reach the overseer.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) inbox: SyncSender<Message>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) peers: Arc<WorkerProcesses>,
    #[cfg(feature = "otel")]
    pub(crate) telemetry: Option<crate::otel::Telemetry>,
}

impl Handle {
    /// Does `job` on the overseer's thread, and waits for what it answers.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Overseer) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |overseer| {
            // Nobody waits any more: the client has gone, and it is done nevertheless.
            let _ = answer.send(job(overseer));
        });
        self.inbox.try_send(Message::Do(job)).map_err(|error| match error {
            TrySendError::Full(_) => {
                Fault::new(Kind::Busy, "the daemon has too much to do").hint("try again in a moment")
            }
            TrySendError::Disconnected(_) => Fault::new(Kind::Unavailable, "the daemon is ending"),
        })?;
        answered.await.map_err(|_| Fault::new(Kind::Unavailable, "the daemon is ending"))
    }
}

/// All that the daemon knows and decides.
#[derive(Debug)]
pub(crate) struct Overseer {
    options: Arc<Options>,
    store: Arc<Store>,
    blobs: Arc<Blobs>,
    secrets: Arc<Secrets>,
    /// Where clients of other hosts are answered.
    remote: Option<Remote>,
    handle: Handle,
    clock: Clock,
    /// When the daemon started, for people.
    born: u64,
    /// Counts starts of the daemon on this state; workers listen to the highest.
    lease: u64,
    supervisor: Supervisor,
    sources: Sources,
    apps: BTreeMap<Name, AppEntry>,
    /// Instances that were started and have not ended, by lease.
    runs: BTreeMap<u64, Run>,
    /// How the last instance of each slot has ended.
    ends: BTreeMap<(Name, u32), Ended>,
    workers: Table,
    workers_started: u64,
    preparing: Preparing,
    /// Answers for programs that are worked on beside this thread.
    jobs: usize,
    /// Sockets that the daemon has bound for apps.
    listening: BTreeMap<Listen, (Name, OwnedFd)>,
    routes_changed: bool,
    /// What happened and was not yet taken by the supervisor.
    happened: VecDeque<LifeEvent>,
    /// Events that are not stored yet.
    news: Vec<Event>,
    /// Apps whose record the disk did not take.
    unsaved: BTreeSet<Name>,
    usage: usage::Asked,
    leaving: Option<Leaving>,
}

/// The daemon is about to end.
#[derive(Debug)]
struct Leaving {
    /// When it ends whatever still runs; at once when apps are left running.
    at: Instant,
    done: Vec<oneshot::Sender<()>>,
}

impl Overseer {
    /// Works until it is told to end.
    pub(crate) fn work(mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(self.pause()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for message in inbox.try_iter().take(ROUND_MESSAGES) {
                self.take(message);
            }
            self.round();
            if self.may_leave() {
                break;
            }
        }
        self.last_words(inbox);
    }

    /// How long nothing is to be done.
    fn pause(&self) -> Duration {
        let due = self
            .supervisor
            .next_deadline()
            .map(|at| Duration::from_nanos(at.saturating_sub(self.clock.now().monotonic)));
        let nap = if self.leaving.is_some() || self.workers.0.is_empty() && self.unsaved.is_empty() {
            Duration::from_secs(if self.leaving.is_some() { 1 } else { 3600 })
        } else {
            NAP
        };
        due.map_or(nap, |due| due.min(nap))
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Do(job) => job(self),
            Message::Said(worker, said) => self.said(&worker, said),
            Message::Gone(worker, lost) => self.gone(&worker, &lost),
            Message::Job(worker, number, told) => self.job_done(&worker, number, told),
            Message::Prepared(module, result) => self.prepared(module, &result),
            Message::Leave { apps, done } => self.leave(apps, done),
        }
    }

    /// Does what has become due since the last round.
    fn round(&mut self) {
        let mut out = Vec::new();
        self.supervisor.tick(self.now(), &mut out);
        self.settle(out);
        self.send_routes();
        for name in self.workers.to_drain(Instant::now()) {
            if let Some(worker) = self.workers.0.get_mut(&name) {
                worker.draining = true;
                worker.link.send(ToWorker::Drain, Vec::new());
            }
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    /// Does what the supervisor wants, and what comes of it, until nothing is left.
    fn settle(&mut self, mut out: Vec<Action>) {
        loop {
            let now = self.now();
            while let Some(event) = self.happened.pop_front() {
                #[cfg(feature = "otel")]
                if let Some(telemetry) = &self.handle.telemetry {
                    telemetry.happens(&event);
                }
                self.supervisor.handle(event, now, &mut out);
            }
            if out.is_empty() && self.news.is_empty() && self.unsaved.is_empty() {
                return;
            }
            let actions = std::mem::take(&mut out);
            self.save(&actions);
            for action in actions {
                self.perform(action);
            }
            if self.happened.is_empty() {
                return;
            }
        }
    }

    /// Stores what follows from what happened. It has happened, whatever the disk says: what is not stored now is tried
    /// again in each round.
    fn save(&mut self, actions: &[Action]) {
        let saves = actions.iter().any(|action| matches!(action, Action::Save(_) | Action::Announce(..)));
        if !saves && self.news.is_empty() && self.unsaved.is_empty() {
            return;
        }
        let store = Arc::clone(&self.store);
        let mut events = std::mem::take(&mut self.news);
        events.extend(self.events_of(actions));
        let names = self.to_save(actions);
        let stored = store.write(|change| self.put(change, &names, &mut events));
        match stored {
            Ok(()) => {
                self.unsaved.clear();
                self.tell(events);
            }
            Err(error) => {
                eprintln!("qyvold: {error}");
                self.unsaved = names;
                events.truncate(NEWS_MAX);
                self.news = events;
            }
        }
    }

    /// Changes something that somebody asked for: `change` and all that the supervisor wants stored for it, in one
    /// transaction, or nothing. After that, `then` takes note of it, and what it brings about is done.
    fn commit<T>(
        &mut self,
        change: impl FnOnce(&mut Change<'_>, &mut Supervisor, Now, &mut Vec<Action>) -> Result<T, Fault>,
        then: impl FnOnce(&mut Self, T),
    ) -> Result<(), Fault> {
        if self.leaving.is_some() {
            return Err(Fault::new(Kind::Unavailable, "the daemon is ending"));
        }
        let store = Arc::clone(&self.store);
        let (now, mut out, mut fault) = (self.now(), Vec::new(), None);
        let mut events = Vec::new();
        let result = store.write(|tables| {
            let value = change(tables, &mut self.supervisor, now, &mut out).map_err(|refused| {
                fault = Some(refused);
                qyvold_store::Error::Invalid(String::new())
            })?;
            events.clone_from(&self.news);
            events.extend(self.events_of(&out));
            let names = self.to_save(&out);
            self.put(tables, &names, &mut events)?;
            Ok(value)
        });
        match result {
            Ok(value) => {
                self.unsaved.clear();
                self.news.clear();
                self.tell(events);
                then(self, value);
                out.into_iter().for_each(|action| self.perform(action));
                self.settle(Vec::new());
                Ok(())
            }
            Err(error) => {
                if fault.is_none() || !out.is_empty() {
                    self.go_back();
                }
                Err(fault.unwrap_or_else(|| error.into()))
            }
        }
    }

    fn to_save(&self, actions: &[Action]) -> BTreeSet<Name> {
        let saves = actions.iter().filter_map(|action| match action {
            Action::Save(name) => Some(name.clone()),
            _ => None,
        });
        // While apps are stopped because the daemon ends, they are still meant to run.
        if self.leaving.is_some() {
            BTreeSet::new()
        } else {
            self.unsaved.iter().cloned().chain(saves).collect()
        }
    }

    /// Writes records and events, and numbers the latter.
    fn put(
        &self,
        change: &mut Change<'_>,
        names: &BTreeSet<Name>,
        events: &mut [Event],
    ) -> qyvold_store::Result<()> {
        for name in names {
            match self.supervisor.record(name) {
                Some(record) => {
                    let life = serde_json::to_value(&record)
                        .map_err(|error| qyvold_store::Error::Invalid(error.to_string()))?;
                    let target = record.deployed.generation;
                    // A revision that did not become ready leaves the one before it in place.
                    if change.app(name)?.is_some_and(|app| app.revision != target) {
                        change.rollback(name, Some(target))?;
                    }
                    change.set_replicas(name, record.replicas)?;
                    change.set_desired(name, desired(record.desired))?;
                    change.set_life(name, life)?;
                }
                None if change.app(name)?.is_some() => change.remove(name)?,
                None => {}
            }
        }
        for event in events {
            event.id = change.append_event(event.clone())?;
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = &self.handle.telemetry {
            telemetry.acts(&action);
        }
        match action {
            Action::Save(name) => self.forget_removed(&name),
            Action::Announce(name, change) => self.announced(&name, &change),
            Action::Start(instance) => {
                self.send_routes();
                self.start(instance);
            }
            Action::Stop(instance) => self.end(instance, false),
            Action::Kill(instance) => self.end(instance, true),
            Action::Probe { instance, id, timeout_ns } => self.probe(&instance, id, timeout_ns),
        }
    }

    fn leave(&mut self, apps: bool, done: Option<oneshot::Sender<()>>) {
        let now = Instant::now();
        let leaving = self.leaving.get_or_insert(Leaving { at: now, done: Vec::new() });
        leaving.done.extend(done);
        if !apps {
            leaving.at = now;
            return;
        }
        let names: Vec<Name> = self.supervisor.names().cloned().collect();
        let grace = self.longest_grace();
        if let Some(leaving) = &mut self.leaving {
            leaving.at = now + grace;
        }
        let mut out = Vec::new();
        if self.supervisor.stop(&names, self.now(), &mut out).is_ok() {
            self.settle(out);
        }
    }

    fn may_leave(&self) -> bool {
        let late = |leaving: &Leaving| Instant::now() >= leaving.at || self.runs.is_empty();
        self.leaving.as_ref().is_some_and(late)
    }

    fn last_words(mut self, inbox: &Receiver<Message>) {
        if self.runs.is_empty() {
            // Nothing is left for a later daemon to find.
            for worker in self.workers.0.values_mut() {
                worker.draining = true;
                worker.link.send(ToWorker::Drain, Vec::new());
            }
            let until = Instant::now() + LAST_WORKERS;
            while !self.workers.0.is_empty() {
                match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(Message::Gone(worker, lost)) => self.gone(&worker, &lost),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        for done in self.leaving.into_iter().flat_map(|leaving| leaving.done) {
            let _ = done.send(());
        }
    }
}

/// As the store says it.
const fn desired(desired: Desired) -> qyvold_store::Desired {
    match desired {
        Desired::Running => qyvold_store::Desired::Running,
        Desired::Stopped | Desired::Removed => qyvold_store::Desired::Stopped,
    }
}
