//! The beginning: what is stored is read, what still runs is taken over, and the rest is started.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use qyv_spec::service::Name;
use qyv_supervise::{Config, Instance, Record, Supervisor};
use qyvol_protocol::api::Remote;
use qyvol_protocol::worker::{Exited, ToWorker};
use qyvold_store::{Blobs, RevisionRecord, Secrets, Store};

use super::run::{AppEntry, Revision, Run};
use super::{Handle, Overseer, usage};
use crate::clock::{Clock, wall_ms};
use crate::fault::Fault;
use crate::prepare::Preparing;
use crate::sources::Sources;
use crate::workers::adopt::{Survivor, survivors};
use crate::workers::link::Link;
use crate::workers::table::{Table, Worker};
use crate::{Options, admit, candidate};

/// The state, opened and held.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) options: Arc<Options>,
    pub(crate) store: Arc<Store>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) secrets: Arc<Secrets>,
    /// Where clients of other hosts are answered.
    pub(crate) remote: Option<Remote>,
}

impl Overseer {
    /// Goes on where an earlier daemon ended.
    pub(crate) fn open(opened: &Opened, handle: Handle) -> Result<Self, Fault> {
        let Opened { options, store, blobs, secrets, remote } = opened.clone();
        let lease = store.next_lease()?;
        let sources = Sources::read(&options).unwrap_or_else(|fault| {
            // Apps that need what it says are not started; the others are.
            eprintln!("qyvold: {fault}");
            Sources::default()
        });
        let supervisor = Supervisor::new(Config { seed: 0, first_lease: lease << 32 });
        let mut overseer = Self {
            options,
            store,
            blobs,
            secrets,
            handle,
            remote,
            clock: Clock::new(),
            born: wall_ms(),
            lease,
            supervisor,
            sources,
            apps: BTreeMap::new(),
            runs: BTreeMap::new(),
            ends: BTreeMap::new(),
            workers: Table::default(),
            workers_started: 0,
            preparing: Preparing::default(),
            jobs: 0,
            listening: BTreeMap::new(),
            routes_changed: true,
            happened: VecDeque::new(),
            news: Vec::new(),
            unsaved: BTreeSet::new(),
            usage: usage::Asked::default(),
            leaving: None,
        };
        let found = survivors(&overseer.options.workers(), lease).map_err(Fault::internal)?;
        overseer.load(lease << 32)?;
        found.into_iter().for_each(|survivor| overseer.adopt(survivor));
        overseer.tell_later("daemon", None, None, format!("the daemon started ({})", std::process::id()));
        overseer.round();
        Ok(overseer)
    }

    /// Reads what is stored: the supervisor, and the revisions that may run.
    fn load(&mut self, first_lease: u64) -> Result<(), Fault> {
        let seed = std::process::id().into();
        let mut records: Vec<Record> = Vec::new();
        for stored in self.store.apps()? {
            let life = stored.app.life.unwrap_or_default();
            records.push(serde_json::from_value(life).map_err(|error| {
                let name = stored.name;
                Fault::internal(format!(
                    "the record of `{name}` is damaged: {error}; restore the state from a backup"
                ))
            })?);
        }
        let mut apps = BTreeMap::new();
        for record in &records {
            apps.insert(record.name.clone(), self.entry(record)?);
        }
        self.supervisor = Supervisor::restore(Config { seed, first_lease }, records)?;
        self.apps = apps;
        Ok(())
    }

    fn entry(&self, record: &Record) -> Result<AppEntry, Fault> {
        let current = record.deployed.generation;
        let mut entry = AppEntry { current, ..AppEntry::default() };
        let wanted = [Some(current), record.fallback.as_ref().map(|kept| kept.generation)];
        for (number, stored) in self.store.revisions(&record.name)? {
            if number == current {
                entry.deployed = stored.deployed;
                entry.version.clone_from(&stored.version);
                entry.image = Some(stored.request.bundle);
            }
            if wanted.contains(&Some(number)) {
                entry.revisions.insert(number, self.read_revision(stored).map(Arc::new));
            }
        }
        Ok(entry)
    }

    fn read_revision(&self, stored: RevisionRecord) -> Result<Revision, String> {
        let read = candidate::read(&self.blobs, &self.sources.trust, stored.request);
        let candidate = read.map_err(|fault| fault.message)?;
        admit::vouched(&candidate.app, &candidate.verdict, &candidate.request)
            .map_err(|fault| fault.message)?;
        let candidate::Candidate { app, module, verdict, request, beside: _ } = candidate;
        Ok(Revision { app, module, verdict, request })
    }

    /// Takes over a worker and what it runs.
    fn adopt(&mut self, survivor: Survivor) {
        let Survivor { folder, about, process, socket, welcome } = survivor;
        let name = welcome.worker;
        let link = match Link::begin(&name, socket, process, self.handle.inbox.clone()) {
            Ok(link) => link,
            Err(error) => {
                eprintln!("qyvold: cannot take over worker `{name}`: {error}");
                return;
            }
        };
        self.handle.peers.add(about.process.pid);
        let idle = Some(Instant::now());
        let worker = Worker {
            folder,
            about,
            link,
            instances: BTreeSet::new(),
            up: true,
            walls: welcome.walls,
            idle,
            draining: false,
        };
        self.workers.0.insert(name.clone(), worker);
        for running in welcome.running {
            let age = running.age_ms;
            let instance = Instance {
                app: running.instance.app,
                slot: running.instance.slot,
                generation: running.revision,
                lease: running.instance.generation,
            };
            self.read_for(&instance);
            let run = Run {
                instance,
                worker: name.clone(),
                started: wall_ms().saturating_sub(age),
                ready: running.ready,
                prepared: true,
                serving: BTreeMap::new(),
                used: None,
                ill: None,
            };
            self.take_over(run);
        }
        for exited in welcome.ended {
            self.ended_meanwhile(&name, exited);
        }
    }

    /// Gives a run to the supervisor; ends it when that has no place for it.
    fn take_over(&mut self, run: Run) {
        let (lease, id, worker) = (run.instance.lease, run.id(), run.worker.clone());
        let adopted = self.supervisor.adopt(run.instance.clone(), run.ready, self.now());
        let Some(worker) = self.workers.0.get_mut(&worker) else { return };
        if !adopted {
            worker.link.send(ToWorker::Kill { instance: id }, Vec::new());
            return;
        }
        worker.instances.insert(lease);
        worker.idle = None;
        self.runs.insert(lease, run);
    }

    /// An instance that ended while nobody looked: what it was is what is deployed, as far as anybody can tell.
    fn ended_meanwhile(&mut self, worker: &str, exited: Exited) {
        let id = exited.instance.clone();
        let Some(app) = self.apps.get(&id.app) else { return };
        let instance = Instance { app: id.app, slot: id.slot, generation: app.current, lease: id.generation };
        let run = Run {
            instance,
            worker: worker.to_owned(),
            started: wall_ms(),
            ready: false,
            prepared: true,
            serving: BTreeMap::new(),
            used: None,
            ill: None,
        };
        self.take_over(run);
        self.exited(worker, exited);
    }

    /// Reads the revision of an instance that runs although it is no longer, or not yet, what is to run.
    fn read_for(&mut self, instance: &Instance) {
        let Some(app) = self.apps.get(&instance.app) else { return };
        if app.revisions.contains_key(&instance.generation) {
            return;
        }
        let Ok(stored) = self.store.revisions(&instance.app) else { return };
        let found = stored.into_iter().find(|(number, _)| *number == instance.generation);
        if let Some((number, record)) = found {
            let revision = self.read_revision(record).map(Arc::new);
            if let Some(app) = self.apps.get_mut(&instance.app) {
                app.revisions.insert(number, revision);
            }
        }
    }

    /// After a change that the disk did not take: what is stored is what holds. Ends the daemon when that cannot be read;
    /// apps go on, and the next one finds them.
    pub(super) fn go_back(&mut self) {
        let highest = self.runs.keys().next_back().map_or(self.lease << 32, |lease| lease + 1);
        // Leases of instances that have ended since are not given again: a block further is beyond all of them.
        if let Err(fault) = self.load(highest.saturating_add(1 << 20)) {
            eprintln!("qyvold: {fault}");
            self.leave(false, None);
            return;
        }
        let runs: Vec<Run> = std::mem::take(&mut self.runs).into_values().collect();
        for run in runs {
            self.read_for(&run.instance);
            self.take_over(run);
        }
        let mut out = Vec::new();
        self.supervisor.tick(self.now(), &mut out);
        self.settle(out);
    }

    /// The longest time that an app may take to stop.
    pub(super) fn longest_grace(&self) -> std::time::Duration {
        let graces =
            self.apps.values().filter_map(AppEntry::current).map(|revision| revision.app.stop_grace_ms);
        std::time::Duration::from_millis(graces.max().unwrap_or(0).saturating_add(2000))
    }

    /// The app's entry after a deploy.
    pub(super) fn put_entry(&mut self, name: &Name, number: u64, revision: Revision, deployed: u64) {
        let entry = self.apps.entry(name.clone()).or_default();
        if entry.current != number {
            entry.deployed = deployed;
        }
        entry.current = number;
        entry.version = revision.app.version.to_string();
        entry.image = Some(revision.request.bundle);
        entry.revisions.insert(number, Ok(Arc::new(revision)));
    }
}
