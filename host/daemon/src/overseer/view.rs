//! What clients are shown.

use std::path::Path;

use qyv_spec::service::Name;
use qyv_supervise::{Desired, SlotStatus, State, Status};
use qyvol_protocol::InstanceId;
use qyvol_protocol::api::{
    AppDetail, AppSummary, Info, InstanceDetail, NetService, Revision as ApiRevision, WorkerInfo,
};
use qyvol_protocol::followed::Placed;
use qyvold_store::Store;

use super::Overseer;
use super::run::{AppEntry, Run};
use crate::fault::Fault;
use crate::follow::PlacedApp;
use crate::workers::table::{Purpose, Worker};

impl Overseer {
    pub(crate) fn info(&self) -> Info {
        let worker = |(name, worker): (&String, &Worker)| WorkerInfo {
            worker: name.clone(),
            pid: worker.about.process.pid,
            instances: worker.instances.len() as u64,
            own: matches!(worker.about.purpose, Purpose::Own { .. }),
            walls: worker.walls.clone(),
        };
        Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.born,
            state: self.options.state.display().to_string(),
            remote: self.remote.clone(),
            apps: self.apps.len() as u64,
            instances: self.runs.len() as u64,
            workers: self.workers.0.iter().map(worker).collect(),
        }
    }

    pub(crate) fn summaries(&self) -> Vec<AppSummary> {
        let known = self.apps.iter().filter_map(|(name, entry)| {
            let status = self.supervisor.status(name, self.now())?;
            Some(self.summary(name, entry, &status))
        });
        known.collect()
    }

    pub(super) fn summary(&self, name: &Name, entry: &AppEntry, status: &Status) -> AppSummary {
        let revision = entry.current();
        let app = revision.map(|revision| &revision.app);
        let ready = status.slots.iter().filter(|slot| slot.state == State::Ready).count();
        let replicas = self.supervisor.record(name).map_or(0, |record| record.replicas);
        let text = match (&status.state, entry.revisions.get(&entry.current)) {
            (_, Some(Err(why))) => format!("{} ({why})", status.state),
            (state, _) => state.to_string(),
        };
        AppSummary {
            app: name.clone(),
            version: entry.version.clone(),
            kind: app.map(|app| app.kind).unwrap_or_default(),
            state: status.state.word().to_owned(),
            status: text,
            replicas,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            restarts: status.slots.iter().map(|slot| slot.restarts).sum(),
            deployed: entry.deployed,
            revision: entry.current,
            listen: app
                .into_iter()
                .flat_map(|app| &app.permissions.net.listen)
                .map(ToString::to_string)
                .collect(),
            image: entry.image.unwrap_or(qyv_spec::app::Hash([0; 32])),
        }
    }

    pub(crate) fn detail(&self, name: &Name) -> Result<AppDetail, Fault> {
        let entry = self.app(name)?;
        let status = self.supervisor.status(name, self.now()).ok_or_else(|| Fault::internal("no status"))?;
        let instances = status.slots.iter().map(|slot| self.instance(name, slot)).collect();
        let revision = entry.current();
        let request = revision.map(|revision| revision.request.clone());
        let request = match request {
            Some(request) => request,
            // The bundle cannot be read; what was asked for is stored apart.
            None => self.earlier(name, Some(entry.current))?.request,
        };
        let manifest = revision.map(|revision| serde_json::to_value(&revision.app));
        Ok(AppDetail {
            summary: self.summary(name, entry, &status),
            manifest: manifest.transpose().map_err(Fault::internal)?.unwrap_or_default(),
            grants: request.grants,
            directories: request.directories,
            env: request.env,
            followed: request.manifest,
            notes: notes(&status),
            instances,
            revisions: revisions(&self.store, name)?,
        })
    }

    pub(super) fn instance(&self, name: &Name, slot: &SlotStatus) -> InstanceDetail {
        let run = self.run_in(name, slot);
        InstanceDetail {
            instance: InstanceId {
                app: name.clone(),
                slot: slot.slot,
                generation: run.map_or(0, |run| run.instance.lease),
            },
            state: slot.state.word().to_owned(),
            status: match run.and_then(|run| run.ill.as_deref()) {
                Some(why) if slot.state == State::Unhealthy => format!("{}: {why}", slot.state),
                _ => slot.state.to_string(),
            },
            started: run.map(|run| run.started),
            worker: run.map(|run| run.worker.clone()),
            last_end: self.ends.get(&(name.clone(), slot.slot)).cloned(),
        }
    }

    fn run_in(&self, name: &Name, slot: &SlotStatus) -> Option<&Run> {
        self.runs.values().find(|run| {
            let instance = &run.instance;
            instance.app == *name && instance.slot == slot.slot && instance.generation == slot.generation
        })
    }

    /// How many slots have a log.
    pub(crate) fn slots(&self, name: &Name) -> Result<Vec<u32>, Fault> {
        self.app(name)?;
        let status = self.supervisor.status(name, self.now());
        Ok(status.into_iter().flat_map(|status| status.slots).map(|slot| slot.slot).collect())
    }

    pub(crate) fn net(&self) -> Vec<NetService> {
        let mut list = Vec::new();
        for (name, entry) in &self.apps {
            let Some(revision) = entry.current() else { continue };
            let runs: Vec<&Run> = self.runs.values().filter(|run| run.instance.app == *name).collect();
            for service in &revision.app.services {
                let key = (service.name.clone(), service.port);
                let up = runs.iter().filter(|run| run.serving.get(&key) == Some(&true)).count();
                let port = service.port.map(|port| format!("/{port}")).unwrap_or_default();
                let proto = serde_json::to_value(service.proto).ok();
                list.push(NetService {
                    address: format!("service://{}{port}", service.name),
                    app: name.clone(),
                    proto: proto.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned(),
                    up: u32::try_from(up).unwrap_or(u32::MAX),
                });
            }
            for at in &revision.app.permissions.net.listen {
                let up = runs.iter().filter(|run| run.ready).count();
                list.push(NetService {
                    address: at.to_string(),
                    app: name.clone(),
                    proto: "stream".to_owned(),
                    up: u32::try_from(up).unwrap_or(u32::MAX),
                });
            }
        }
        list
    }

    /// The apps that stand for files of the folder `place`, but for those that are about to go.
    pub(crate) fn placed(&self, place: &Path) -> Vec<PlacedApp> {
        let placed = |(name, entry): (&Name, &AppEntry)| {
            let revision = entry.current()?;
            let file = revision.request.manifest.clone()?;
            let stays = self.supervisor.record(name)?.desired != Desired::Removed;
            let within = stays && Path::new(&file).parent() == Some(place);
            let placed = Placed { file, image: revision.request.bundle };
            within.then(|| PlacedApp { app: name.clone(), placed, deployed: entry.deployed })
        };
        self.apps.iter().filter_map(placed).collect()
    }

    /// The apps that are handed a secret.
    pub(crate) fn users_of_secret(&self, secret: &str) -> Vec<String> {
        let wants = |entry: &AppEntry| {
            entry.current().is_some_and(|revision| {
                let given = revision.request.env.contains_key(secret);
                !given && revision.app.env_from.iter().any(|name| name.as_str() == secret)
            })
        };
        self.apps.iter().filter(|(_, entry)| wants(entry)).map(|(name, _)| name.to_string()).collect()
    }
}

fn notes(status: &Status) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(kept) = status.replaces {
        notes.push(format!("revision {kept} runs until revision {} is ready", status.generation));
    }
    if status.skipped > 0 {
        notes.push(format!("{} starts were skipped: the run before had not ended", status.skipped));
    }
    notes
}

fn revisions(store: &Store, name: &Name) -> Result<Vec<ApiRevision>, Fault> {
    let kept = store.revisions(name)?;
    let revision = |(number, record): (u64, qyvold_store::RevisionRecord)| ApiRevision {
        revision: number,
        deployed: record.deployed,
        version: record.version,
        image: record.request.bundle,
    };
    Ok(kept.into_iter().map(revision).collect())
}
