//! All apps of one host: who waits for whom, and whose time has come.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use qyv_spec::Name;
use qyv_spec::app::INSTANCES_MAX;

use crate::app::App;
use crate::backoff::Random;
use crate::event::{Action, Change, Event, Instance, Now};
use crate::order::circle;
use crate::record::{Deployed, Desired, Record};
use crate::refused::Refused;
use crate::slot::Context;
use crate::spec::LifeSpec;
use crate::state::Status;

/// Most apps of one host.
pub const APPS_MAX: usize = 65_536;
/// Most slots of all apps together.
pub const SLOTS_MAX: u64 = 262_144;

/// What a supervisor is given at its birth.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Any number; another each time, so that hosts that fail together do not return together.
    pub seed: u64,
    /// The first lease; higher than all that this host has given before. A counter of starts of the daemon in the upper
    /// half does.
    pub first_lease: u64,
}

/// The apps of one host.
#[derive(Debug)]
pub struct Supervisor {
    apps: BTreeMap<Name, App>,
    /// Who waits for an app.
    dependants: BTreeMap<Name, BTreeSet<Name>>,
    deadlines: BTreeSet<(u64, Name)>,
    /// Apps that are to be compared with what is wanted of them.
    dirty: BTreeSet<Name>,
    slots: u64,
    lease: u64,
    random: Random,
}

impl Supervisor {
    /// A supervisor without apps.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            apps: BTreeMap::new(),
            dependants: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            dirty: BTreeSet::new(),
            slots: 0,
            lease: config.first_lease,
            random: Random(config.seed),
        }
    }

    /// A supervisor that goes on where another ended. The host then says what still runs ([`Self::adopt`]), and starts
    /// the rest by the first [`Self::tick`].
    ///
    /// # Errors
    ///
    /// The records are not those of a supervisor: apps twice, in a circle, or beyond the limits.
    pub fn restore(config: Config, records: impl IntoIterator<Item = Record>) -> Result<Self, Refused> {
        let mut new = Self::new(config);
        for record in records {
            let specs = [Some(&record.deployed), record.fallback.as_ref()];
            let within = specs.into_iter().flatten().all(|deployed| deployed.spec.is_within_limits());
            if !within || record.replicas > record.deployed.spec.instances_max {
                return Err(Refused::OutOfRange(record.name));
            }
            new.slots += u64::from(record.replicas);
            if new.apps.len() >= APPS_MAX {
                return Err(Refused::TooManyApps);
            }
            if new.slots > SLOTS_MAX {
                return Err(Refused::TooManySlots);
            }
            let name = record.name.clone();
            new.link(&name, &record.deployed.spec.depends_on);
            new.dirty.insert(name.clone());
            if new.apps.insert(name.clone(), App::restored(record)).is_some() {
                return Err(Refused::Twice(name));
            }
        }
        let depends_on = |name: &Name| new.apps.get(name).map_or(&[][..], |app| &app.spec().depends_on);
        match circle(new.apps.keys(), depends_on) {
            Some(names) => Err(Refused::Circle(names)),
            None => Ok(new),
        }
    }

    /// Deploys a set of apps, or newer generations of them, all or none. Going back to an older version is a deploy of
    /// its spec with a new generation.
    ///
    /// # Errors
    ///
    /// Apps that would wait for each other, numbers out of range, a generation that is not higher than all before, no room.
    pub fn deploy(
        &mut self,
        set: Vec<(Name, u64, LifeSpec)>,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        let mut specs: BTreeMap<&Name, &LifeSpec> = BTreeMap::new();
        let (mut apps, mut slots) = (self.apps.len(), self.slots);
        for (name, generation, spec) in &set {
            if specs.insert(name, spec).is_some() {
                return Err(Refused::Twice(name.clone()));
            }
            if !spec.is_within_limits() {
                return Err(Refused::OutOfRange(name.clone()));
            }
            let before = self.apps.get(name);
            if before.is_some_and(|app| app.generation_max >= *generation) {
                return Err(Refused::OldGeneration(name.clone()));
            }
            apps += usize::from(before.is_none());
            slots += u64::from(spec.replicas);
            slots -= before.map_or(0, |app| u64::from(app.replicas));
        }
        if apps > APPS_MAX {
            return Err(Refused::TooManyApps);
        }
        if slots > SLOTS_MAX {
            return Err(Refused::TooManySlots);
        }
        let depends_on = |name: &Name| {
            let spec = specs.get(name).copied().or_else(|| self.apps.get(name).map(App::spec));
            spec.map_or(&[][..], |spec| &spec.depends_on)
        };
        if let Some(names) = circle(specs.keys().copied(), depends_on) {
            return Err(Refused::Circle(names));
        }
        self.slots = slots;
        for (name, generation, spec) in set {
            self.deploy_one(name, Deployed { generation, spec: Arc::new(spec) }, now);
        }
        self.settle(now, out);
        Ok(())
    }

    fn deploy_one(&mut self, name: Name, target: Deployed, now: Now) {
        if let Some(app) = self.apps.get_mut(&name) {
            let before = Arc::clone(&app.target.spec);
            app.deploy(target.clone(), now.wall);
            self.unlink(&name, &before.depends_on);
        } else {
            self.apps.insert(name.clone(), App::new(name.clone(), target.clone(), now.wall));
        }
        self.link(&name, &target.spec.depends_on);
        self.dirty.insert(name);
    }

    /// Starts apps that are stopped, that are done or have failed, or that wait for their next try.
    ///
    /// # Errors
    ///
    /// One of them is unknown or being removed; then none is started.
    pub fn start(&mut self, names: &[Name], now: Now, out: &mut Vec<Action>) -> Result<(), Refused> {
        self.known(names, false)?;
        for name in names {
            self.with(name, now, out, |app, _| app.start());
        }
        self.settle(now, out);
        Ok(())
    }

    /// Stops and starts apps; one that is stopped is started, and a scheduled one runs now.
    ///
    /// # Errors
    ///
    /// One of them is unknown or being removed; then none is restarted.
    pub fn restart(&mut self, names: &[Name], now: Now, out: &mut Vec<Action>) -> Result<(), Refused> {
        self.known(names, false)?;
        for name in names {
            self.with(name, now, out, App::restart);
        }
        self.settle(now, out);
        Ok(())
    }

    /// Stops apps, each after those of `names` that depend on it.
    ///
    /// # Errors
    ///
    /// One of them is unknown; then none is stopped.
    pub fn stop(&mut self, names: &[Name], now: Now, out: &mut Vec<Action>) -> Result<(), Refused> {
        self.end(names, Desired::Stopped, now, out)
    }

    /// Stops apps like [`Self::stop`], and forgets each when nothing of it runs.
    ///
    /// # Errors
    ///
    /// One of them is unknown; then none is removed.
    pub fn remove(&mut self, names: &[Name], now: Now, out: &mut Vec<Action>) -> Result<(), Refused> {
        self.end(names, Desired::Removed, now, out)
    }

    fn end(
        &mut self,
        names: &[Name],
        desired: Desired,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        self.known(names, true)?;
        let set: BTreeSet<&Name> = names.iter().collect();
        for name in names {
            let dependants = self.dependants.get(name).into_iter().flatten();
            let first = dependants.filter(|dependant| set.contains(dependant)).cloned().collect();
            if let Some(app) = self.apps.get_mut(name) {
                app.stop(desired, first);
                self.dirty.insert(name.clone());
            }
        }
        self.settle(now, out);
        Ok(())
    }

    /// Gives an app another number of slots, 0 to its `limits.instances`.
    ///
    /// # Errors
    ///
    /// It is unknown, being removed, or may not have so many.
    pub fn scale(
        &mut self,
        name: &Name,
        replicas: u32,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        self.known(core::slice::from_ref(name), false)?;
        let Some(app) = self.apps.get_mut(name) else { return Ok(()) };
        let most = app.spec().instances_max;
        if replicas > most {
            return Err(Refused::TooManyReplicas { name: name.clone(), most });
        }
        let slots = self.slots - u64::from(app.replicas) + u64::from(replicas);
        if slots > SLOTS_MAX {
            return Err(Refused::TooManySlots);
        }
        self.slots = slots;
        app.replicas = replicas;
        app.changed = true;
        self.dirty.insert(name.clone());
        self.settle(now, out);
        Ok(())
    }

    /// Takes over an instance that runs already, as found after a restart of the daemon: all of them before the first
    /// [`Self::tick`]. One that is not wanted is stopped. `false` when it is of an unknown app, or its slot is taken: then
    /// it is the host's to end.
    pub fn adopt(&mut self, instance: Instance, ready: bool, now: Now) -> bool {
        let Some(app) = self.apps.get_mut(&instance.app) else { return false };
        if instance.slot >= INSTANCES_MAX {
            return false;
        }
        self.lease = self.lease.max(instance.lease.saturating_add(1));
        self.dirty.insert(instance.app.clone());
        app.adopt(instance, ready, now.monotonic)
    }

    /// Takes what happened to an instance.
    pub fn handle(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        let (Event::Started(instance)
        | Event::StartFailed(instance, _)
        | Event::Ready(instance)
        | Event::Exited(instance, _)
        | Event::Lost(instance)
        | Event::Probed(instance, ..)) = &event;
        if !self.apps.get(&instance.app).is_some_and(|app| app.knows(instance)) {
            return;
        }
        let name = instance.app.clone();
        self.with(&name, now, out, |app, context| app.handle(event, context));
        self.settle(now, out);
    }

    /// Does what time has made due.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some((at, name)) = self.deadlines.pop_first() {
            if at > now.monotonic {
                self.deadlines.insert((at, name));
                break;
            }
            if let Some(app) = self.apps.get_mut(&name) {
                app.deadline = None;
            }
            self.dirty.insert(name);
        }
        self.settle(now, out);
    }

    /// When [`Self::tick`] is due next, by the monotonic clock. `None` while only events change something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The apps, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.apps.keys()
    }

    /// What an app is doing.
    #[must_use]
    pub fn status(&self, name: &Name, now: Now) -> Option<Status> {
        let app = self.apps.get(name)?;
        Some(app.status(self.waits_for(app), now.monotonic))
    }

    /// What must be stored of an app, for [`Self::restore`]. [`Action::Save`] says when it is another.
    #[must_use]
    pub fn record(&self, name: &Name) -> Option<Record> {
        self.apps.get(name).map(App::record)
    }

    fn known(&self, names: &[Name], removed_too: bool) -> Result<(), Refused> {
        for name in names {
            let Some(app) = self.apps.get(name) else { return Err(Refused::Unknown(name.clone())) };
            if app.desired == Desired::Removed && !removed_too {
                return Err(Refused::Removing(name.clone()));
            }
        }
        Ok(())
    }

    fn with(
        &mut self,
        name: &Name,
        now: Now,
        out: &mut Vec<Action>,
        act: impl FnOnce(&mut App, &mut Context<'_>),
    ) {
        let Some(app) = self.apps.get(name) else { return };
        let waiting = self.waits_for(app).cloned();
        let held = self.is_held(app);
        let (lease, random) = (&mut self.lease, &mut self.random);
        if let Some(app) = self.apps.get_mut(name) {
            act(app, &mut Context { now, lease, random, out, waiting, held });
            self.dirty.insert(name.clone());
        }
    }

    /// Compares apps with what is wanted of them until nothing is left to do.
    fn settle(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some(name) = self.dirty.pop_first() {
            let Some(app) = self.apps.get(&name) else { continue };
            let (ready, lingers, deadline) = (app.ready, app.lingers, app.deadline);
            let first = out.len();
            self.with(&name, now, out, App::reconcile);
            self.dirty.remove(&name);
            let Some(app) = self.apps.get_mut(&name) else { continue };
            if core::mem::take(&mut app.changed) {
                out.insert(first, Action::Save(name.clone()));
            }
            if app.deadline != deadline {
                let new = app.deadline.map(|at| (at, name.clone()));
                if let Some(at) = deadline {
                    self.deadlines.remove(&(at, name.clone()));
                }
                self.deadlines.extend(new);
            }
            let app = self.apps.get(&name);
            if app.is_some_and(|app| app.ready != ready) {
                self.dirty.extend(self.dependants.get(&name).into_iter().flatten().cloned());
            }
            if lingers && app.is_some_and(|app| !app.lingers) {
                self.dirty.extend(app.into_iter().flat_map(|app| app.spec().depends_on.clone()));
            }
            if app.is_some_and(App::is_gone) {
                self.forget(&name, out);
            }
        }
    }

    fn forget(&mut self, name: &Name, out: &mut Vec<Action>) {
        let Some(app) = self.apps.remove(name) else { return };
        self.unlink(name, &app.spec().depends_on);
        self.slots -= u64::from(app.replicas);
        if let Some(at) = app.deadline {
            self.deadlines.remove(&(at, name.clone()));
        }
        self.dirty.extend(self.dependants.get(name).into_iter().flatten().cloned());
        out.push(Action::Save(name.clone()));
        out.push(Action::Announce(name.clone(), Change::Removed));
    }

    fn link(&mut self, name: &Name, depends_on: &[Name]) {
        for dependency in depends_on {
            self.dependants.entry(dependency.clone()).or_default().insert(name.clone());
        }
    }

    /// Those that were depended on may have waited for it to stop.
    fn unlink(&mut self, name: &Name, depends_on: &[Name]) {
        for dependency in depends_on {
            if let Some(names) = self.dependants.get_mut(dependency) {
                names.remove(name);
                if names.is_empty() {
                    self.dependants.remove(dependency);
                }
            }
            self.dirty.insert(dependency.clone());
        }
    }

    fn waits_for<'a>(&self, app: &'a App) -> Option<&'a Name> {
        let ready = |name: &Name| self.apps.get(name).is_some_and(|app| app.ready);
        app.spec().depends_on.iter().find(|name| !ready(name))
    }

    fn is_held(&self, app: &App) -> bool {
        app.stop_after.iter().any(|name| self.apps.get(name).is_some_and(App::is_lingering))
    }
}
