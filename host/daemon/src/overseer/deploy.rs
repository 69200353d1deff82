//! What clients ask for: deploying, and all that is done to apps by name.

use std::collections::BTreeSet;

use qyv_spec::App;
use qyv_spec::service::Name;
use qyv_supervise::{Desired, LifeSpec};
use qyvol_protocol::api::{Deployed, DeployedApp};
use qyvol_protocol::worker::ToWorker;
use qyvold_store::{Arrived, RevisionRecord};

use super::Overseer;
use super::run::{AppEntry, Revision};
use crate::admit::{Before, Scene, admit, capabilities, check_services};
use crate::candidate::Candidate;
use crate::clock::wall_ms;
use crate::fault::{Fault, Kind};
use crate::sources::Sources;

/// An app of a deployment, decided about.
struct Admission {
    name: Name,
    life: LifeSpec,
    record: RevisionRecord,
    revision: Revision,
}

impl Overseer {
    /// Deploys all candidates or none, with bundles that have just arrived; the answer is durable.
    pub(crate) fn deploy(
        &mut self,
        candidates: Vec<Candidate>,
        force: bool,
        sources: Sources,
        arrived: Option<&Arrived>,
    ) -> Result<Deployed, Fault> {
        self.sources = sources;
        let names: BTreeSet<&Name> = candidates.iter().map(|candidate| &candidate.app.name).collect();
        if names.len() < candidates.len() {
            return Err(Fault::invalid("a deployment names an app twice").hint("name each app once"));
        }
        let new: Vec<&App> = candidates.iter().map(|candidate| &candidate.app).collect();
        let others = self.apps.iter().filter(|(name, _)| !names.contains(name));
        let others: Vec<&App> = others.filter_map(|(_, entry)| Some(&entry.current()?.app)).collect();
        check_services(&new, &others)?;
        check_listens(&new, &others)?;
        // The folder that is followed is one deployment, whenever its files come.
        let followed = candidates.iter().all(|candidate| candidate.request.manifest.is_some());
        let beside = self.apps.values().filter(|_| followed).filter_map(AppEntry::current);
        let beside = beside.filter(|revision| revision.request.manifest.is_some()).map(|other| &other.app);
        let offered = new.iter().copied().chain(beside).flat_map(|app| &app.services);
        let services: Vec<Name> = offered.map(|service| service.name.clone()).collect();
        let event = self.store.last_event()?;
        let admissions: Vec<Admission> = candidates
            .into_iter()
            .map(|candidate| self.admission(candidate, force, &services))
            .collect::<Result<_, _>>()?;
        let apps = self.store_deployment(admissions, arrived)?;
        Ok(Deployed { apps, event })
    }

    fn admission(&self, candidate: Candidate, force: bool, services: &[Name]) -> Result<Admission, Fault> {
        let name = candidate.app.name.clone();
        let running = self.apps.get(&name).and_then(|entry| entry.current());
        let before = running.map(|revision| Before {
            version: &revision.app.version,
            signed: !revision.request.allow_unsigned,
            grants: &revision.request.grants,
        });
        let scene = Scene { policy: &self.sources.policy, deployment: services, before, force };
        let admitted = admit(&candidate, &scene)?;
        let Candidate { app, module, verdict, request: asked, beside: _ } = candidate;
        let granted = capabilities(&app, &admitted, &verdict, &self.sources.policy)?;
        for secret in granted.env_from.iter().filter(|name| !admitted.env.contains_key(name.as_str())) {
            self.secrets.get(secret).map_err(|error| {
                Fault::refused(format!("`{name}` wants the secret `{secret}`: {error}"))
                    .hint(format!("set it with `qyvol secret set {secret}`"))
            })?;
        }
        let mut life = LifeSpec::of(&app);
        life.instances_max = granted.limits.instances;
        let kept = self.supervisor.record(&name).map_or(1, |record| record.replicas);
        life.replicas = asked.replicas.unwrap_or(kept);
        if life.replicas > life.instances_max {
            let message = format!("`{name}` may have at most {} instances", life.instances_max);
            return Err(Fault::refused(message).hint("raise its `limits.instances`, or ask for fewer"));
        }
        let record = RevisionRecord {
            deployed: wall_ms(),
            version: app.version.to_string(),
            request: admitted.clone(),
        };
        Ok(Admission { name, life, record, revision: Revision { app, module, verdict, request: admitted } })
    }

    /// Stores the deployment and hands it to the supervisor, in one transaction.
    fn store_deployment(
        &mut self,
        admissions: Vec<Admission>,
        arrived: Option<&Arrived>,
    ) -> Result<Vec<DeployedApp>, Fault> {
        let mut apps = Vec::with_capacity(admissions.len());
        self.commit(
            |tables, supervisor, now, out| {
                if let Some(arrived) = arrived {
                    arrived.keep(tables)?;
                }
                let (mut set, mut scaled, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
                let mut numbers = Vec::with_capacity(admissions.len());
                for Admission { name, life, record, .. } in &admissions {
                    let deployed = tables.deploy(name, record.clone())?;
                    let before = supervisor.record(name);
                    match before {
                        Some(before) if before.deployed.generation == deployed.revision => {
                            if before.replicas != life.replicas {
                                scaled.push((name, life.replicas));
                            }
                            if before.desired != Desired::Running {
                                stopped.push(name.clone());
                            }
                        }
                        _ => set.push((name.clone(), deployed.revision, life.clone())),
                    }
                    numbers.push(deployed);
                }
                if !set.is_empty() {
                    supervisor.deploy(set, now, out)?;
                }
                if !stopped.is_empty() {
                    supervisor.start(&stopped, now, out)?;
                }
                for (name, replicas) in scaled {
                    supervisor.scale(name, replicas, now, out)?;
                }
                Ok((numbers, admissions))
            },
            |overseer, (numbers, admissions)| {
                for (Admission { name, record, revision, .. }, deployed) in
                    admissions.into_iter().zip(numbers)
                {
                    if deployed.changed {
                        #[cfg(feature = "otel")]
                        if let Some(telemetry) = &overseer.handle.telemetry {
                            telemetry.deployed(&name, deployed.revision);
                        }
                        let message =
                            format!("revision {} ({}) is deployed", deployed.revision, record.version);
                        overseer.tell_of_app("deployed", &name, message);
                    }
                    overseer.put_entry(&name, deployed.revision, revision, record.deployed);
                    let qyvold_store::Deployed { revision, changed } = deployed;
                    apps.push(DeployedApp { app: name, revision, changed });
                }
            },
        )?;
        Ok(apps)
    }

    /// Starts what was stopped.
    pub(crate) fn start_app(&mut self, name: &Name) -> Result<(), Fault> {
        let names = std::slice::from_ref(name);
        self.commit(|_, supervisor, now, out| Ok(supervisor.start(names, now, out)?), |_, ()| {})
    }

    /// Stops an app until somebody starts it.
    pub(crate) fn stop_app(&mut self, name: &Name) -> Result<(), Fault> {
        let names = std::slice::from_ref(name);
        self.commit(|_, supervisor, now, out| Ok(supervisor.stop(names, now, out)?), |_, ()| {})
    }

    /// Stops and starts an app.
    pub(crate) fn restart_app(&mut self, name: &Name) -> Result<(), Fault> {
        let names = std::slice::from_ref(name);
        self.commit(|_, supervisor, now, out| Ok(supervisor.restart(names, now, out)?), |_, ()| {})
    }

    /// Stops an app without asking it.
    pub(crate) fn kill_app(&mut self, name: &Name) -> Result<(), Fault> {
        self.stop_app(name)?;
        for run in self.runs.values().filter(|run| run.instance.app == *name) {
            if let Some(worker) = self.workers.0.get(&run.worker) {
                worker.link.send(ToWorker::Kill { instance: run.id() }, Vec::new());
            }
        }
        Ok(())
    }

    /// Stops an app, and forgets it when nothing of it runs.
    pub(crate) fn remove_app(&mut self, name: &Name) -> Result<(), Fault> {
        let names = std::slice::from_ref(name);
        self.commit(|_, supervisor, now, out| Ok(supervisor.remove(names, now, out)?), |_, ()| {})
    }

    /// Runs another number of replicas.
    pub(crate) fn scale_app(&mut self, name: &Name, replicas: u32) -> Result<(), Fault> {
        self.commit(
            |_, supervisor, now, out| Ok(supervisor.scale(name, replicas, now, out)?),
            |overseer, ()| overseer.tell_of_app("scaled", name, format!("{replicas} replicas")),
        )
    }

    /// An earlier revision of an app, `None` being the one before that which is to run.
    pub(crate) fn earlier(&self, name: &Name, number: Option<u64>) -> Result<RevisionRecord, Fault> {
        let current = self.app(name)?.current;
        let fits = |found: &u64| number.map_or(*found < current, |number| *found == number);
        let kept = self.store.revisions(name)?.into_iter();
        let found = kept.into_iter().find(|(found, _)| fits(found));
        found.map(|(_, record)| record).ok_or_else(|| {
            let message = match number {
                Some(number) => format!("revision {number} of `{name}` is not kept"),
                None => format!("`{name}` has no revision before {current}, which is deployed"),
            };
            Fault::new(Kind::NotFound, message).hint(format!("`qyvol inspect {name}` lists those that are"))
        })
    }
}

/// Refuses two apps that listen at one address; `others` are those that stay as they are.
fn check_listens(new: &[&App], others: &[&App]) -> Result<(), Fault> {
    let mut taken = std::collections::BTreeMap::new();
    for app in others.iter().chain(new) {
        for at in &app.permissions.net.listen {
            if let Some(other) = taken.insert(at, &app.name) {
                let message = format!("`{other}` and `{}` both listen at `{at}`", app.name);
                return Err(Fault::new(Kind::Conflict, message).hint("choose another port for one of them"));
            }
        }
    }
    Ok(())
}
