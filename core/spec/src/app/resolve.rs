//! From what was written to what is meant: every default is filled in here and nowhere else.

use alloc::vec::Vec;

use super::{Ai, App, AppHealth, AppLimits, AppMount, Asked, Exec, Net, PackagedFile, Probe};
use crate::Manifest;
use crate::manifest::{
    Health, Kind, Limits, Mode, Mount, MountKind, Permissions, Program, Restart, Right, SchemaVersion,
};
use crate::problem::{KeyPath, Problem};

const MIB: u64 = 1 << 20;

/// Default of `limits.memory`.
pub const MEMORY_BYTES_DEFAULT: u64 = 256 * MIB;
/// Default of `limits.stack`.
pub const STACK_BYTES_DEFAULT: u64 = MIB;
/// Default of `limits.fds`.
pub const FDS_DEFAULT: u32 = 256;
/// `limits.requests`, where the manifest has none.
pub const REQUESTS_DEFAULT: u32 = 64;
/// Default of `limits.disk`.
pub const DISK_BYTES_DEFAULT: u64 = 1024 * MIB;
/// Default of `limits.inodes`.
pub const INODES_DEFAULT: u32 = 65_536;
/// Default of `limits.log`.
pub const LOG_BYTES_DEFAULT: u64 = 30 * MIB;
/// Default of `stop_grace`, in milliseconds.
pub const STOP_GRACE_MS_DEFAULT: u64 = 10_000;
/// Default of `health.interval`, in milliseconds.
pub const HEALTH_INTERVAL_MS_DEFAULT: u64 = 10_000;
/// Default of `health.timeout`, in milliseconds.
pub const HEALTH_TIMEOUT_MS_DEFAULT: u64 = 2000;
/// Default of `health.retries`.
pub const HEALTH_RETRIES_DEFAULT: u32 = 3;
/// Default of `health.start_period`, in milliseconds: that of Docker.
pub const HEALTH_START_PERIOD_MS_DEFAULT: u64 = 0;

impl Manifest {
    /// Checks that the values fit together, before any file is looked at.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the reference.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        self.resolve_unfiled().map(|_| ())
    }

    /// Resolves the manifest with the files that were packaged, in any order.
    ///
    /// # Errors
    ///
    /// Everything that is wrong: what [`Self::check`] finds, an entrypoint that is not among `files`, a path twice.
    pub fn resolve(&self, mut files: Vec<PackagedFile>) -> Result<App, Vec<Problem>> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let app = App { files, ..self.resolve_unfiled()? };
        let problems = app.file_problems();
        if problems.is_empty() { Ok(app) } else { Err(problems) }
    }

    fn resolve_unfiled(&self) -> Result<App, Vec<Problem>> {
        let program = Program::of(&self.entrypoint).map_err(|invalid| {
            alloc::vec![Problem {
                path: KeyPath::key("entrypoint"),
                message: invalid.message,
                mend: invalid.mend
            }]
        });
        // A wrong ending does not hide what else is wrong.
        let app = self.app(*program.as_ref().unwrap_or(&Program::Wasm));
        let mut problems = program.err().unwrap_or_default();
        problems.extend(self.health_problem());
        problems.extend(app.problems());
        if problems.is_empty() { Ok(app) } else { Err(problems) }
    }

    fn app(&self, program: Program) -> App {
        let limits = limits(&self.limits);
        let restarted = matches!(self.kind, Kind::Service | Kind::Http | Kind::Web);
        App {
            qyv: SchemaVersion,
            name: self.name.clone(),
            version: self.version.clone(),
            description: self.description.clone(),
            license: self.license.clone(),
            language: self.language.clone(),
            kind: self.kind,
            runtime: self.runtime,
            entrypoint: self.entrypoint.clone(),
            program,
            files: Vec::new(),
            args: self.args.clone(),
            env: self.env.clone(),
            env_from: self.env_from.clone(),
            permissions: asked(&self.permissions),
            fs: self.fs.0.iter().map(|mount| app_mount(mount, limits.memory)).collect(),
            services: self.services.clone(),
            depends_on: self.depends_on.clone(),
            scheduler: self.scheduler,
            limits,
            restart: self.restart.unwrap_or(if restarted { Restart::OnFailure } else { Restart::Never }),
            health: self.health.as_ref().and_then(health),
            schedule: self.schedule.clone(),
            stop_grace_ms: self.stop_grace.map_or(STOP_GRACE_MS_DEFAULT, |grace| grace.0),
            isolation: self.isolation,
        }
    }

    fn health_problem(&self) -> Option<Problem> {
        let written = self.health.as_ref()?;
        let tried = [written.http.is_some(), written.service.is_some(), written.exec.is_some()];
        if tried.iter().filter(|tried| **tried).count() == 1 {
            return None;
        }
        let message = "a health check tries exactly one thing";
        let mend = "write one of `http: /path`, `service: name` and `exec: [arguments]`";
        Some(Problem::new(KeyPath::key("health"), message, mend))
    }
}

fn limits(written: &Limits) -> AppLimits {
    AppLimits {
        memory: written.memory.map_or(MEMORY_BYTES_DEFAULT, |bytes| bytes.0),
        cpu_milli: written.cpu.map(|cpus| cpus.0),
        cpu_time_ms: written.cpu_time.map(|time| time.0),
        wall_ms: written.wall.map(|time| time.0),
        stack: written.stack.map_or(STACK_BYTES_DEFAULT, |bytes| bytes.0),
        fds: written.fds.unwrap_or(FDS_DEFAULT),
        disk: written.disk.map_or(DISK_BYTES_DEFAULT, |bytes| bytes.0),
        inodes: written.inodes.unwrap_or(INODES_DEFAULT),
        log: written.log.map_or(LOG_BYTES_DEFAULT, |bytes| bytes.0),
        instances: written.instances.unwrap_or(1),
        requests: written.requests,
    }
}

fn asked(written: &Permissions) -> Asked {
    Asked {
        fs: written.fs,
        net: match &written.net {
            Right::No => Net::default(),
            Right::All => Net { anywhere: true, ..Net::default() },
            Right::Only(rules) => {
                Net { anywhere: false, connect: sorted(rules.connect.clone()), listen: rules.listen.clone() }
            }
        },
        ai: match &written.ai {
            Right::No => None,
            Right::All => Some(Ai { models: None, learn: false }),
            Right::Only(rules) => Some(Ai { models: rules.models.clone().map(sorted), learn: rules.learn }),
        },
        exec: match &written.exec {
            Right::No => Exec::default(),
            Right::All => Exec { own: true, run: Vec::new() },
            Right::Only(rules) => Exec { own: false, run: sorted(rules.run.clone()) },
        },
        admin: sorted(written.admin.0.clone()),
        gfx: written.gfx,
        sensors: written.sensors,
    }
}

fn app_mount(written: &Mount, memory: u64) -> AppMount {
    let memfs = written.kind == MountKind::Memfs;
    AppMount {
        kind: written.kind,
        mount: written.mount.clone().unwrap_or_else(crate::manifest::GuestPath::root),
        source: written.source.clone(),
        mode: written.mode.unwrap_or(if memfs { Mode::ReadWrite } else { Mode::ReadOnly }),
        size: written.size.map(|bytes| bytes.0).or(memfs.then_some(memory)),
        cache: written.cache.unwrap_or(false),
    }
}

fn health(written: &Health) -> Option<AppHealth> {
    let probe = match (&written.http, &written.service, &written.exec) {
        (Some(path), None, None) => Probe::Http(path.clone()),
        (None, Some(name), None) => Probe::Service(name.clone()),
        (None, None, Some(args)) => Probe::Exec(args.clone()),
        _ => return None,
    };
    Some(AppHealth {
        probe,
        interval_ms: written.interval.map_or(HEALTH_INTERVAL_MS_DEFAULT, |time| time.0),
        timeout_ms: written.timeout.map_or(HEALTH_TIMEOUT_MS_DEFAULT, |time| time.0),
        retries: written.retries.unwrap_or(HEALTH_RETRIES_DEFAULT),
        start_period_ms: written.start_period.map_or(HEALTH_START_PERIOD_MS_DEFAULT, |time| time.0),
    })
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}
