//! Starting, asking and ending instances.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use qyv_spec::App;
use qyv_spec::app::AppLimits;
use qyv_spec::grants::{Capabilities, GrantedMount, MountedFrom};
use qyv_spec::manifest::{Isolation, Mode};
use qyv_spec::service::Endpoint;
use qyv_supervise::{Event as LifeEvent, Instance};
use qyvol_protocol::worker::{Hello, Mount, MountFrom, Secret, Start, ToWorker, VERSION};

use super::Overseer;
use super::run::{Revision, Run, id_of};
use super::system::dialled;
use crate::admit::{capabilities, has_volume};
use crate::clock::wall_ms;
use crate::fault::Fault;
use crate::listen;
use crate::workers::link::Link;
use crate::workers::process::Process;
use crate::workers::spawn::{Spawned, Walls, spawn};
use crate::workers::table::{Purpose, Worker};

/// `limits.fds` beyond which an app has a worker of its own: a process has a bounded number of descriptors, and one app is
/// not to have them all.
const SHARED_FDS_MAX: u32 = 1024;

/// What a worker runs: this very program, whatever has become of its file.
const PROGRAM: &str = "/proc/self/exe";

/// Where an app sees its private volume.
const VOLUME_PLACE: &str = "/data";

impl Overseer {
    /// Starts an instance, or says why it cannot be.
    pub(super) fn start(&mut self, instance: Instance) {
        if let Err(why) = self.place(&instance).and_then(|()| self.send_start(&instance)) {
            self.forget_run(instance.lease);
            self.start_failed(instance, why);
        }
    }

    /// Finds a worker for an instance, or starts one.
    fn place(&mut self, instance: &Instance) -> Result<(), String> {
        let revision = self.revision(instance)?;
        let granted = self.granted(&revision).map_err(|fault| fault.message)?;
        let (purpose, walls) = self.purpose(instance, &revision, &granted);
        // Instances that share an address of the host.
        let listens = !revision.app.permissions.net.listen.is_empty();
        let siblings = self.runs.values().filter(|run| listens && run.instance.app == instance.app);
        let siblings = siblings.map(|run| run.worker.as_str()).collect();
        let worker = match self.workers.choose(&purpose, &siblings) {
            Some(name) => name.to_owned(),
            None => self.start_worker(&purpose, &walls)?,
        };
        if let Some(worker) = self.workers.0.get_mut(&worker) {
            worker.instances.insert(instance.lease);
            worker.idle = None;
        }
        let run = Run {
            instance: instance.clone(),
            worker,
            started: wall_ms(),
            ready: false,
            prepared: false,
            serving: BTreeMap::new(),
            used: None,
            ill: None,
        };
        self.runs.insert(instance.lease, run);
        Ok(())
    }

    pub(super) fn granted(&self, revision: &Revision) -> Result<Capabilities, Fault> {
        capabilities(&revision.app, &revision.request, &revision.verdict, &self.sources.policy)
    }

    /// What sort of worker an app needs, and what its walls let through.
    fn purpose(&self, instance: &Instance, revision: &Revision, granted: &Capabilities) -> (Purpose, Walls) {
        let stack = granted.limits.stack;
        let net = &granted.permissions.net;
        let outside =
            net.anywhere || net.connect.iter().any(|endpoint| matches!(endpoint, Endpoint::Host(_)));
        let mut folders = Vec::new();
        for mount in &granted.mounts {
            let path = match &mount.from {
                MountedFrom::Bound { path } => PathBuf::from(path),
                MountedFrom::Folder { root, .. } => PathBuf::from(root),
                MountedFrom::Memory { .. } | MountedFrom::Server { .. } => continue,
            };
            folders.push((path, mount.mode));
        }
        for directory in &revision.request.directories {
            let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
            folders.push((PathBuf::from(&directory.host), mode));
        }
        let mut walls = Walls { read: vec![self.options.blobs()], write: vec![self.options.logs()] };
        let few_files = granted.limits.fds <= SHARED_FDS_MAX;
        if folders.is_empty() && few_files && revision.app.isolation == Isolation::Shared {
            walls.write.push(self.options.volumes());
            return (Purpose::Shared { stack, outside }, walls);
        }
        walls.write = vec![self.options.logs().join(instance.app.as_str())];
        if has_volume(&revision.app) {
            let slots = 0..revision.app.limits.instances;
            walls.write.extend(slots.map(|slot| self.volume(instance, slot)));
        }
        for (path, mode) in folders {
            if mode == Mode::ReadOnly { walls.read.push(path) } else { walls.write.push(path) }
        }
        let purpose =
            Purpose::Own { app: instance.app.clone(), revision: instance.generation, stack, outside };
        (purpose, walls)
    }

    /// The private volume of a slot. Each has its own: two instances in one would each have the whole of `limits.disk`, and
    /// count what they store without the other.
    fn volume(&self, instance: &Instance, slot: u32) -> PathBuf {
        self.options.volumes().join(super::files::volume_name(&instance.app, slot))
    }

    fn start_worker(&mut self, purpose: &Purpose, walls: &Walls) -> Result<String, String> {
        self.workers_started += 1;
        let letter = if matches!(purpose, Purpose::Shared { .. }) { 's' } else { 'o' };
        // The lease tells it from workers of earlier daemons.
        let name = format!("{letter}{}-{}", self.lease, self.workers_started);
        let folder = self.options.workers().join(&name);
        for path in &walls.write {
            // The walls are fixed at the start: what is beneath them must be there by then.
            if path.starts_with(&self.options.state) {
                make_folder(path)?;
            }
        }
        let begin = || -> std::io::Result<Worker> {
            let Spawned { child, socket, about } =
                spawn(Path::new(PROGRAM), &folder, purpose, &self.options.cache, walls)?;
            let process = Process::of_child(child)?;
            let link = Link::begin(&name, socket, process, self.handle.inbox.clone())?;
            let instances = BTreeSet::new();
            Ok(Worker {
                folder: folder.clone(),
                about,
                link,
                instances,
                up: false,
                walls: Vec::new(),
                idle: None,
                draining: false,
            })
        };
        let worker = begin().map_err(|error| {
            let _ = std::fs::remove_dir_all(&folder);
            format!("cannot start a worker: {error}")
        })?;
        let hello = Hello { version: VERSION, lease: self.lease, token: worker.about.token.clone() };
        worker.link.send(ToWorker::Hello(hello), Vec::new());
        self.handle.peers.add(worker.about.process.pid);
        let mut sockets = self.service_sockets();
        sockets.insert(name.clone(), folder.clone());
        worker.link.send(ToWorker::Routes(self.routes(&name, &sockets)), Vec::new());
        self.workers.0.insert(name.clone(), worker);
        Ok(name)
    }

    /// Tells the worker of an instance to run it.
    pub(super) fn send_start(&mut self, instance: &Instance) -> Result<(), String> {
        let run = self.runs.get(&instance.lease).ok_or("it was ended before it was started")?;
        let worker = run.worker.clone();
        let revision = self.revision(instance)?;
        let granted = self.granted(&revision).map_err(|fault| fault.message)?;
        let sockets = self.sockets(instance, &revision.app)?;
        let start = self.message(instance, &revision, granted)?;
        let worker = self.workers.0.get(&worker).ok_or("its worker has ended")?;
        worker.link.send(ToWorker::Start(Box::new(start)), sockets);
        Ok(())
    }

    /// The listening sockets of an app, bound when they are first needed.
    fn sockets(&mut self, instance: &Instance, app: &App) -> Result<Vec<OwnedFd>, String> {
        let mut sockets = Vec::new();
        for at in &app.permissions.net.listen {
            if !self.listening.contains_key(at) {
                let others = self
                    .runs
                    .values()
                    .any(|run| run.instance.app == instance.app && run.instance.lease != instance.lease);
                let bound = listen::bound(at, others)?;
                self.listening.insert(at.clone(), (instance.app.clone(), bound));
            }
            let (owner, socket) = self.listening.get(at).ok_or("its socket is gone")?;
            if *owner != instance.app {
                return Err(format!("`{owner}` listens at `{at}` already"));
            }
            sockets.push(socket.try_clone().map_err(|error| error.to_string())?);
        }
        Ok(sockets)
    }

    fn message(
        &self,
        instance: &Instance,
        revision: &Revision,
        granted: Capabilities,
    ) -> Result<Start, String> {
        let Revision { app, module, request, .. } = revision;
        let secrets = self.secrets_of(&granted, revision)?;
        let mut env: BTreeMap<String, String> =
            app.env.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
        for secret in &secrets {
            if let Ok(text) = String::from_utf8(secret.value.clone()) {
                env.insert(secret.name.clone(), text);
            }
        }
        env.extend(request.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let log = self.options.logs().join(instance.app.as_str());
        make_folder(&log)?;
        let net = &granted.permissions.net;
        let connect = net.connect.iter().filter(|endpoint| matches!(endpoint, Endpoint::Host(_)));
        Ok(Start {
            instance: id_of(instance),
            revision: instance.generation,
            bundle: self.bundle_path(&request.bundle),
            module: *module,
            kind: app.kind,
            args: app.args.iter().chain(&request.args).cloned().collect(),
            env: env.into_iter().collect(),
            own_files: app.permissions.fs != qyv_spec::manifest::OwnFiles::None,
            mounts: self.mounts(instance, revision, &granted)?,
            secrets,
            dial: dialled(&granted.permissions),
            connect: connect.cloned().collect(),
            anywhere: net.anywhere,
            services: app.services.clone(),
            listen: net.listen.iter().map(ToString::to_string).collect(),
            limits: AppLimits { ..granted.limits },
            weight: app.scheduler.weight,
            log: log.join(format!("{}.log", instance.slot)),
            health: app.health.as_ref().map(|health| health.probe.clone()),
        })
    }

    /// The secrets that an app was granted, but for those whose value was given at deploy.
    pub(super) fn secrets_of(
        &self,
        granted: &Capabilities,
        revision: &Revision,
    ) -> Result<Vec<Secret>, String> {
        let wanted = granted.env_from.iter().filter(|name| !revision.request.env.contains_key(name.as_str()));
        let secret = |name: &qyv_spec::manifest::EnvName| {
            let value = self.secrets.get(name).map_err(|error| error.to_string())?;
            Ok(Secret { name: name.to_string(), value: value.to_vec() })
        };
        wanted.map(secret).collect()
    }

    fn mounts(
        &self,
        instance: &Instance,
        revision: &Revision,
        granted: &Capabilities,
    ) -> Result<Vec<Mount>, String> {
        let mut mounts = Vec::new();
        let place = |text: &str| text.parse().map_err(|_| format!("`{text}` is no place for a mount"));
        if has_volume(&revision.app) {
            let path = self.volume(instance, instance.slot);
            make_folder(&path)?;
            let from = MountFrom::Volume { path };
            mounts.push(Mount { place: place(VOLUME_PLACE)?, mode: Mode::ReadWrite, from });
        }
        for mount in &granted.mounts {
            mounts.push(mount_of(mount)?);
        }
        for directory in &revision.request.directories {
            let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
            let from = MountFrom::Folder { path: directory.host.clone().into(), beneath: None };
            mounts.push(Mount { place: place(&directory.guest)?, mode, from });
        }
        mounts.sort_by(|a, b| a.place.as_str().cmp(b.place.as_str()));
        Ok(mounts)
    }

    /// Ends an instance, politely or not.
    pub(super) fn end(&mut self, instance: Instance, now: bool) {
        if self.preparing.remove(instance.lease) {
            self.forget_run(instance.lease);
            let why = "it was stopped before it was started".to_owned();
            self.happened.push_back(LifeEvent::StartFailed(instance, why));
            return;
        }
        let run = self.runs.get(&instance.lease);
        let worker = run.and_then(|run| self.workers.0.get(&run.worker));
        let Some(worker) = worker else {
            // Nothing of it runs anywhere.
            self.happened.push_back(LifeEvent::Lost(instance));
            return;
        };
        let id = id_of(&instance);
        let message = if now { ToWorker::Kill { instance: id } } else { ToWorker::Stop { instance: id } };
        worker.link.send(message, Vec::new());
    }

    pub(super) fn probe(&self, instance: &Instance, probe: u64, timeout_ns: u64) {
        let run = self.runs.get(&instance.lease);
        let Some(worker) = run.and_then(|run| self.workers.0.get(&run.worker)) else { return };
        let Ok(revision) = self.revision(instance) else { return };
        // Without an answer in time the check has failed: the supervisor sees to that.
        let Some(health) = &revision.app.health else { return };
        let (what, timeout_ms) = (health.probe.clone(), timeout_ns.div_ceil(1_000_000));
        worker.link.send(ToWorker::Probe { instance: id_of(instance), probe, what, timeout_ms }, Vec::new());
    }
}

/// A mount as a worker is told.
pub(super) fn mount_of(mount: &GrantedMount) -> Result<Mount, String> {
    let from = match &mount.from {
        MountedFrom::Memory { bytes } => MountFrom::Memory { bytes: *bytes },
        MountedFrom::Bound { path } => MountFrom::Folder { path: path.into(), beneath: None },
        MountedFrom::Folder { root, path } => {
            MountFrom::Folder { path: root.into(), beneath: Some(path.into()) }
        }
        MountedFrom::Server { url, .. } => return Err(format!("`{url}` cannot be mounted here yet")),
    };
    Ok(Mount { place: mount.mount.clone(), mode: mount.mode, from })
}

fn make_folder(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("cannot make `{}`: {error}", path.display()))
}
