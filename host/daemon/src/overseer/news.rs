//! What is told to those who follow the events.

use std::sync::Arc;

use qyv_spec::service::Name;
use qyv_supervise::{Action, Change, Instance};
use qyvol_protocol::api::Event;

use super::Overseer;
use super::run::id_of;
use crate::clock::wall_ms;

impl Overseer {
    /// The events that actions amount to; their numbers come from the store.
    pub(super) fn events_of(&self, actions: &[Action]) -> Vec<Event> {
        let announced = actions.iter().filter_map(|action| match action {
            Action::Announce(name, change) => Some((name, change)),
            _ => None,
        });
        announced.map(|(name, change)| self.event_of(name, change)).collect()
    }

    fn event_of(&self, name: &Name, change: &Change) -> Event {
        let (kind, state, instance) = match change {
            Change::State(slot, revision, state) => {
                let of = |instance: &&Instance| {
                    instance.app == *name && instance.slot == *slot && instance.generation == *revision
                };
                let instance = self.runs.values().map(|run| &run.instance).find(of);
                ("state", Some(state.word()), instance.map(id_of))
            }
            Change::Replaced(_) | Change::Kept { .. } => ("deployed", None, None),
            Change::Skipped(_) => ("state", None, None),
            Change::Removed => ("removed", None, None),
        };
        Event {
            id: 0,
            time: wall_ms(),
            kind: kind.to_owned(),
            app: Some(name.clone()),
            instance,
            state: state.map(str::to_owned),
            message: change.to_string(),
        }
    }

    /// An event of the daemon's own, stored and told with the next that happen.
    pub(super) fn tell_later(
        &mut self,
        kind: &str,
        instance: Option<&Instance>,
        state: Option<&str>,
        message: String,
    ) {
        self.news.push(Event {
            id: 0,
            time: wall_ms(),
            kind: kind.to_owned(),
            app: instance.map(|instance| instance.app.clone()),
            instance: instance.map(id_of),
            state: state.map(str::to_owned),
            message,
        });
    }

    /// The same about an app.
    pub(super) fn tell_of_app(&mut self, kind: &str, app: &Name, message: String) {
        self.tell_later(kind, None, None, message);
        if let Some(event) = self.news.last_mut() {
            event.app = Some(app.clone());
        }
    }

    /// An event about a file of the folder that is followed, or about the folder when there is no file.
    pub(crate) fn tell_of_manifest(&mut self, file: &str, app: Option<&Name>, message: &str) {
        let message = if file.is_empty() { message.to_owned() } else { format!("`{file}`: {message}") };
        eprintln!("qyvold: {message}");
        self.tell_later("manifest", None, None, message);
        if let Some(event) = self.news.last_mut() {
            event.app = app.cloned();
        }
    }

    /// An event about the daemon.
    pub(crate) fn tell_of_daemon(&mut self, message: String) {
        self.tell_later("daemon", None, None, message);
    }

    /// Tells those who follow. Only what is stored is told: a number that somebody has seen stays what it was.
    pub(super) fn tell(&self, events: Vec<Event>) {
        for event in events {
            // Nobody follows: no error.
            let _ = self.handle.events.send(Arc::new(event));
        }
    }

    /// Lets go of revisions that run no more.
    pub(super) fn announced(&mut self, name: &Name, change: &Change) {
        if !matches!(change, Change::Replaced(_) | Change::Kept { .. }) {
            return;
        }
        let target = self.supervisor.record(name).map(|record| record.deployed.generation);
        let running: Vec<u64> = self
            .runs
            .values()
            .filter(|run| run.instance.app == *name)
            .map(|run| run.instance.generation)
            .collect();
        let Some(target) = target else { return };
        // One that was gone back to is what is shown from now on.
        let went_back = self.apps.get(name).is_some_and(|app| app.current != target);
        let stored = if went_back { self.earlier(name, Some(target)).ok() } else { None };
        if let Some(app) = self.apps.get_mut(name) {
            app.current = target;
            if let Some(stored) = stored {
                app.deployed = stored.deployed;
                app.version = stored.version;
                app.image = Some(stored.request.bundle);
            }
            app.revisions.retain(|revision, _| *revision == target || running.contains(revision));
        }
    }

    /// After a record was stored: forgets an app that is no more.
    pub(super) fn forget_removed(&mut self, name: &Name) {
        if self.supervisor.record(name).is_none() {
            self.apps.remove(name);
            self.ends.retain(|(app, _), _| app != name);
            self.listening.retain(|_, (app, _)| app != name);
        }
    }
}
