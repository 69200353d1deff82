//! What workers say, and what is said of them.

use std::collections::BTreeMap;
use std::time::Instant;

use qyv_spec::app::Hash;
use qyv_supervise::{Cause, Event as LifeEvent, Instance};
use qyvol_protocol::InstanceId;
use qyvol_protocol::api::Ended;
use qyvol_protocol::worker::{Exited, FromWorker, ToWorker, VERSION, Welcome};

use super::Overseer;
use super::run::Run;
use crate::clock::wall_ms;
use crate::workers::link::Lost;
use crate::workers::spawn::last_words;

/// Letters of what is kept of why a check failed.
const ILL_CHARS_MAX: usize = 300;

impl Overseer {
    pub(super) fn said(&mut self, worker: &str, said: FromWorker) {
        match said {
            FromWorker::Welcome(welcome) => self.welcomed(worker, welcome),
            FromWorker::Refused { message, .. } => {
                eprintln!("qyvold: worker `{worker}` refuses this daemon: {message}");
                self.give_up(worker);
            }
            FromWorker::Started { instance } => {
                self.started(worker, &instance);
            }
            FromWorker::NotCompiled { instance, module } => self.not_compiled(worker, &instance, module),
            FromWorker::Failed { instance, message } => {
                if let Some(run) = self.remove_run(worker, &instance) {
                    self.start_failed(run.instance, message);
                }
            }
            FromWorker::Serving { instance, service, port, up } => {
                if let Some(run) = self.run_of(worker, &instance) {
                    run.serving.insert((service, port), up);
                    self.routes_changed = true;
                }
            }
            FromWorker::Ready { instance } => {
                if let Some(run) = self.run_of(worker, &instance) {
                    run.ready = true;
                    let event = LifeEvent::Ready(run.instance.clone());
                    self.happened.push_back(event);
                }
            }
            FromWorker::Probed { instance, probe, ok, message } => {
                if let Some(run) = self.run_of(worker, &instance) {
                    run.ready |= ok;
                    run.ill = (!ok).then(|| message.chars().take(ILL_CHARS_MAX).collect());
                    let event = LifeEvent::Probed(run.instance.clone(), probe, ok);
                    self.happened.push_back(event);
                }
            }
            FromWorker::Ask(ask) => self.asked(worker, *ask),
            FromWorker::Exited(exited) => self.exited(worker, *exited),
            FromWorker::Usage { request, instances } => self.used(worker, request, instances),
        }
    }

    fn started(&mut self, worker: &str, id: &InstanceId) {
        let Some(run) = self.run_of(worker, id) else { return };
        let instance = run.instance.clone();
        let checked = self.revision(&instance).is_ok_and(|revision| revision.app.health.is_some());
        self.happened.push_back(LifeEvent::Started(instance.clone()));
        // It listens from its first moment; whether it works, its first check tells, which is made at once.
        if checked {
            self.happened.push_back(LifeEvent::Ready(instance));
        }
    }

    fn welcomed(&mut self, worker: &str, welcome: Welcome) {
        if welcome.version != VERSION {
            self.give_up(worker);
        } else if let Some(worker) = self.workers.0.get_mut(worker) {
            worker.up = true;
            worker.walls = welcome.walls;
        }
    }

    fn give_up(&self, worker: &str) {
        if let Some(worker) = self.workers.0.get(worker) {
            worker.link.hang_up();
        }
    }

    /// The instance that a worker speaks of, when it is really there.
    pub(super) fn run_of(&mut self, worker: &str, id: &InstanceId) -> Option<&mut Run> {
        let run = self.runs.get_mut(&id.generation)?;
        (run.worker == worker && run.id() == *id).then_some(run)
    }

    fn remove_run(&mut self, worker: &str, id: &InstanceId) -> Option<Run> {
        self.run_of(worker, id)?;
        self.forget_run(id.generation)
    }

    /// Forgets an instance that is over.
    pub(super) fn forget_run(&mut self, lease: u64) -> Option<Run> {
        self.workers.forget(lease, Instant::now());
        let run = self.runs.remove(&lease)?;
        self.routes_changed |= !run.serving.is_empty();
        Some(run)
    }

    fn not_compiled(&mut self, worker: &str, id: &InstanceId, module: Hash) {
        let Some(run) = self.run_of(worker, id) else { return };
        let (instance, prepared) = (run.instance.clone(), run.prepared);
        let bundle = self.revision(&instance).map(|revision| self.bundle_path(&revision.request.bundle));
        match bundle {
            Ok(bundle) if !prepared => {
                self.tell_later(
                    "state",
                    Some(&instance),
                    Some("starting"),
                    "compiling its program".to_owned(),
                );
                self.preparing.add(module, bundle, instance.lease);
                self.prepare();
            }
            _ => {
                self.forget_run(instance.lease);
                let why = "its program was compiled and is not in the cache; is the disk full?".to_owned();
                self.start_failed(instance, why);
            }
        }
    }

    fn prepare(&mut self) {
        while let Some((module, bundle)) = self.preparing.next() {
            crate::prepare::spawn(&self.options, module, bundle, self.handle.inbox.clone());
        }
    }

    pub(super) fn prepared(&mut self, module: Hash, result: &Result<(), String>) {
        for lease in self.preparing.finished(module) {
            let Some(run) = self.runs.get_mut(&lease) else { continue };
            run.prepared = true;
            let instance = run.instance.clone();
            let again = result.clone().and_then(|()| self.send_start(&instance));
            if let Err(why) = again {
                self.forget_run(lease);
                self.start_failed(instance, why);
            }
        }
        self.prepare();
    }

    /// An instance could not be started, for this reason.
    pub(super) fn start_failed(&mut self, instance: Instance, why: String) {
        let ended = Ended {
            time: wall_ms(),
            cause: "not-started".to_owned(),
            code: 126,
            message: why.clone(),
            denials: Vec::new(),
        };
        self.ends.insert((instance.app.clone(), instance.slot), ended);
        self.happened.push_back(LifeEvent::StartFailed(instance, why));
    }

    pub(super) fn exited(&mut self, worker: &str, exited: Exited) {
        let Some(run) = self.remove_run(worker, &exited.instance) else { return };
        let cause = match exited.cause.as_str() {
            "trap" => Cause::Trap,
            "memory" | "cpu_time" | "timeout" => Cause::Limit,
            "killed" => Cause::Killed,
            _ => Cause::Exited(i32::from(exited.code)),
        };
        let message = match &run.ill {
            // Most likely that is why.
            Some(why) if matches!(exited.cause.as_str(), "stopped" | "killed") => {
                format!("{}; its last check failed: {why}", exited.message)
            }
            _ => exited.message,
        };
        let ended = Ended {
            time: wall_ms(),
            cause: exited.cause,
            code: exited.code,
            message,
            denials: exited.denials,
        };
        self.ends.insert((run.instance.app.clone(), run.instance.slot), ended);
        self.happened.push_back(LifeEvent::Exited(run.instance, cause));
    }

    /// A worker's process has ended, and nothing of it runs.
    pub(super) fn gone(&mut self, name: &str, lost: &Lost) {
        self.forget_asked(name);
        let Some(worker) = self.workers.0.remove(name) else { return };
        self.handle.peers.remove(worker.about.process.pid);
        let said = last_words(&worker.folder);
        if let Err(error) = std::fs::remove_dir_all(&worker.folder) {
            eprintln!("qyvold: cannot remove `{}`: {error}", worker.folder.display());
        }
        if worker.draining && worker.instances.is_empty() {
            return;
        }
        let why = if said.is_empty() { lost.why.clone() } else { format!("{}: {said}", lost.why) };
        // One that never was up says what is wrong, and would again.
        let unable = lost.failed && !worker.up;
        let what = if unable { "cannot start" } else { "is lost" };
        let message = format!("worker `{name}` {what}: {why}; {} instances with it", worker.instances.len());
        self.tell_later("worker", None, None, message);
        for lease in worker.instances {
            self.preparing.remove(lease);
            let Some(run) = self.runs.remove(&lease) else { continue };
            if unable {
                self.start_failed(run.instance, format!("its worker cannot start: {why}"));
                continue;
            }
            let ended = Ended {
                time: wall_ms(),
                cause: "worker-lost".to_owned(),
                code: 125,
                message: format!("its worker was lost: {why}"),
                denials: Vec::new(),
            };
            self.ends.insert((run.instance.app.clone(), run.instance.slot), ended);
            self.happened.push_back(LifeEvent::Lost(run.instance));
        }
        self.routes_changed = true;
    }

    /// Tells every worker something.
    pub(super) fn tell_workers(&self, message: impl Fn(&str) -> ToWorker) {
        for (name, worker) in &self.workers.0 {
            worker.link.send(message(name), Vec::new());
        }
    }

    /// Sockets of workers' services, by the worker's name.
    pub(super) fn service_sockets(&self) -> BTreeMap<String, std::path::PathBuf> {
        let socket =
            |worker: &crate::workers::table::Worker| crate::workers::spawn::services_socket(&worker.folder);
        self.workers.0.iter().map(|(name, worker)| (name.clone(), socket(worker))).collect()
    }
}
