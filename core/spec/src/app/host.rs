//! What a host can give, against what an app needs.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::{App, LOG_BYTES_DEFAULT, STOP_GRACE_MS_DEFAULT};
use crate::manifest::{
    AdminRight, Isolation, Kind, MountKind, Program, Restart, Runtime, SchedulerMode, SchedulerPolicy, Source,
};
use crate::problem::{KeyPath, Problem};
use crate::service::Endpoint;

/// What a host can give. Everything is absent by default, so that a host claims only what it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFeatures {
    /// Starts, watches, restarts and stops apps: `type: service`, `restart`, `health`, `schedule`, `stop_grace`,
    /// `depends_on`, `limits.instances`, `limits.log`.
    pub supervision: bool,
    /// The internal network: `services` and dialling `service://name`.
    pub services: bool,
    /// The network outside: `permissions.net`, but for listening.
    pub net: bool,
    /// Listening at ports of this machine: `permissions.net.listen`.
    pub listen: bool,
    /// `type: http`.
    pub http: bool,
    /// `type: web`.
    pub web: bool,
    /// `type: gui` and `permissions.gfx`.
    pub gfx: bool,
    /// `permissions.ai`.
    pub ai: bool,
    /// `permissions.exec`.
    pub exec: bool,
    /// `permissions.admin`, but for turning the machine off and on.
    pub admin: bool,
    /// `permissions.admin: [power]`.
    pub power: bool,
    /// `permissions.sensors`.
    pub sensors: bool,
    /// Mounts of `type: netfs`.
    pub netfs: bool,
    /// The shared Julia runtime.
    pub julia: bool,
    /// The shared Lua runtime.
    pub lua: bool,
    /// `limits.cpu`: no more than a share of the processors.
    pub shares: bool,
    /// `scheduler.weight`: more of the processors than others, or less, when all want them.
    pub weights: bool,
    /// `scheduler.mode: ai` and the predictive policy.
    pub predictive: bool,
    /// `isolation: process`.
    pub own_process: bool,
    /// The private volume of `permissions.fs: read-write`.
    pub volumes: bool,
}

/// Something an app needs that a host cannot give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The key of the manifest that asks for it.
    pub path: KeyPath,
    /// What it is and that it is not there.
    pub reason: String,
}

impl core::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "`{}`: {}", self.path, self.reason)
    }
}

impl App {
    /// Everything the app needs that `host` cannot give. An app is started only when this is empty: nothing that it asks
    /// for is dropped.
    #[must_use]
    pub fn unavailable(&self, host: &HostFeatures) -> Vec<Unavailable> {
        let asked = &self.permissions;
        let key = KeyPath::key;
        let right = |name: &str| key("permissions").then(name);
        let limit = |name: &str| key("limits").then(name);
        let net = &asked.net;
        let dials = net.connect.iter().any(|endpoint| matches!(endpoint, Endpoint::Service(_)));
        let reaches = net.connect.iter().any(|endpoint| matches!(endpoint, Endpoint::Host(_)));
        let (kind_given, kind) = match self.kind {
            Kind::Command => (true, "commands"),
            Kind::Service => (host.supervision, "services that run until they are stopped"),
            Kind::Http => (host.http, "answering HTTP requests"),
            Kind::Gui => (host.gfx, "apps with a window"),
            Kind::Web => (host.web, "apps in a browser"),
        };
        let (program_given, program) = match self.program {
            Program::Wasm => (true, "WebAssembly"),
            Program::Julia => (host.julia, "the shared Julia runtime"),
            Program::Lua => (host.lua, "the shared Lua runtime"),
        };
        let Runtime::Wasi = self.runtime;
        // The restart that a life cycle brings by default is not asked for again when the life cycle itself is missing.
        let restarts = self.restart != Restart::Never && kind_given;
        let predictive = self.scheduler.mode == SchedulerMode::Ai
            || self.scheduler.policy == SchedulerPolicy::FairPredictive;
        let others = asked.admin.iter().any(|right| *right != AdminRight::Power);
        let volume = asked.fs == crate::manifest::OwnFiles::ReadWrite;
        let netfs = self.fs.iter().position(|mount| mount.kind == MountKind::Netfs);

        let mut needs = vec![
            (key("type"), true, kind_given, kind),
            (key("entrypoint"), true, program_given, program),
            (right("fs"), volume, host.volumes, "a private volume"),
            (right("net"), net.anywhere, host.net, "the network"),
            (right("net").then("connect"), reaches, host.net, "the network"),
            (right("net").then("connect"), dials, host.services, "dialling services"),
            (right("net").then("listen"), !net.listen.is_empty(), host.listen, "listening at a port"),
            (right("ai"), asked.ai.is_some(), host.ai, "inference"),
            (right("exec"), asked.exec.own || !asked.exec.run.is_empty(), host.exec, "starting programs"),
            (right("admin"), others, host.admin, "rights over other apps"),
            (
                right("admin"),
                asked.admin.contains(&AdminRight::Power),
                host.power,
                "turning the machine off and on",
            ),
            (right("gfx"), asked.gfx, host.gfx, "a window or screen"),
            (right("sensors"), asked.sensors, host.sensors, "sensors"),
        ];
        if let Some(index) = netfs {
            needs.push((key("fs").at(index), true, host.netfs, "files of a server (`netfs`)"));
        }
        needs.extend([
            (key("services"), !self.services.is_empty(), host.services, "offering services"),
            (key("depends_on"), !self.depends_on.is_empty(), host.supervision, "waiting for other apps"),
            (key("scheduler"), predictive, host.predictive, "a scheduler that predicts"),
            (
                key("scheduler").then("weight"),
                self.scheduler.weight != 100,
                host.weights,
                "weighing apps against each other",
            ),
            (limit("cpu"), self.limits.cpu_milli.is_some(), host.shares, "shares of the processors"),
            (limit("log"), self.limits.log != LOG_BYTES_DEFAULT, host.supervision, "keeping logs"),
            (limit("instances"), self.limits.instances != 1, host.supervision, "running several instances"),
            (key("restart"), restarts, host.supervision, "restarting"),
            (key("health"), self.health.is_some(), host.supervision, "health checks"),
            (key("schedule"), self.schedule.is_some(), host.supervision, "starting by the clock"),
            (
                key("stop_grace"),
                self.stop_grace_ms != STOP_GRACE_MS_DEFAULT,
                host.supervision,
                "stopping with grace",
            ),
            (
                key("isolation"),
                self.isolation == Isolation::Process,
                host.own_process,
                "a process of its own",
            ),
        ]);
        needs
            .into_iter()
            .filter(|(_, asked, given, _)| *asked && !given)
            .map(|(path, _, _, what)| Unavailable { path, reason: format!("{what}: not available here yet") })
            .collect()
    }

    /// What keeps the app from being packed: mounts that name a folder of the host, which no bundle can.
    ///
    /// # Errors
    ///
    /// One problem for each such mount.
    pub fn check_portable(&self) -> Result<(), Vec<Problem>> {
        let problems = self.host_path_problems();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    pub(super) fn host_path_problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (index, mount) in self.fs.iter().enumerate() {
            let Some(Source::Folder(folder)) = &mount.source else { continue };
            let path = KeyPath::key("fs").at(index).then("source");
            let message = format!("a bundle cannot name a folder of the host: `{folder}`");
            let mend = "declare a slot, `source: slot:inbox`, which the operator binds: `--bind inbox=PATH`";
            found.push(Problem::new(path, message, mend));
        }
        found
    }
}
