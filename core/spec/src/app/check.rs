//! Whether the values of an app fit together. Runs on what a manifest resolves to and on what a bundle carries alike, so
//! that a bundle can hold nothing that a manifest could not.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{App, Probe};
use crate::manifest::{GuestPath, Kind, Mode, MountKind, OwnFiles, Scheduler, Source, never_packaged};
use crate::problem::{KeyPath, Problem};
use crate::quantity::{BYTES_MAX, DURATION_MS_MAX, MILLICORES_MAX, shown};
use crate::service::{Endpoint, SYSTEM_SERVICES};

/// Most items of a list that people write: mounts, services, addresses, names, patterns.
pub const LIST_ITEMS_MAX: usize = 256;
/// Most bytes that `args` hold together, and that `env` holds: what Linux gives a program by default is twice that.
pub const ARGUMENT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of `description`, `license` and `language`.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Most files in one app.
pub const FILES_MAX: usize = 32_768;
/// Most bytes of `limits.memory`: 64 TiB, beyond what one process can address on most machines.
pub const MEMORY_BYTES_MAX: u64 = 1 << 46;
/// Most bytes of `limits.stack`.
pub const STACK_BYTES_MAX: u64 = 64 << 20;
/// Fewest bytes of `limits.stack`: less cannot start a program.
pub const STACK_BYTES_MIN: u64 = 64 << 10;
/// Fewest and most of `limits.fds`.
pub const FDS_RANGE: core::ops::RangeInclusive<u32> = 8..=65_536;
/// Most of `limits.instances`.
pub const INSTANCES_MAX: u32 = 1024;
/// Most of `limits.requests`.
pub const REQUESTS_MAX: u32 = 1024;

impl App {
    /// Everything that does not fit together, but for the files.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.check_entrypoint(&mut found);
        self.check_texts(&mut found);
        self.check_lists(&mut found);
        self.check_mounts(&mut found);
        self.check_services(&mut found);
        self.check_limits(&mut found);
        self.check_life(&mut found);
        found
    }

    /// Everything that is wrong with the files.
    pub(super) fn file_problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut add = |message, mend: &str| found.push(Problem::new(KeyPath::key("files"), message, mend));
        if self.files.len() > FILES_MAX {
            add(
                format!("{} files are packaged, at most {FILES_MAX} may be", self.files.len()),
                "package fewer",
            );
        }
        for pair in self.files.windows(2) {
            let [a, b] = pair else { continue };
            if a.path >= b.path {
                add(
                    format!("`{}` is packaged twice or out of order", shown(b.path.as_str())),
                    "package it once",
                );
            }
        }
        for file in &self.files {
            let path = shown(file.path.as_str());
            if file.size > BYTES_MAX {
                add(format!("the size of `{path}` is impossible"), "package the file again");
            }
            if let Some(why) = never_packaged(&file.path) {
                add(format!("`{path}` is {why}"), "leave it out: such files are never packaged");
            }
            if let Some(parent) = self.file_above(file.path.as_str()) {
                add(
                    format!("`{path}` lies beneath `{}`, which is a file", shown(parent)),
                    "package one of them",
                );
            }
        }
        if !self.has_file(self.entrypoint.as_str()) {
            let message = format!("`{}` does not exist", shown(self.entrypoint.as_str()));
            found.push(Problem::new(
                KeyPath::key("entrypoint"),
                message,
                "build it, or name the program that exists",
            ));
        }
        if self.permissions.fs != OwnFiles::None {
            for (index, mount) in self.fs.iter().enumerate() {
                let place = mount.mount.as_str().trim_start_matches('/');
                if self.has_file(place) || self.file_above(place).is_some() {
                    let path = KeyPath::key("fs").at(index).then("mount");
                    let message =
                        format!("`{}` is a file of the app, or beneath one", shown(mount.mount.as_str()));
                    found.push(Problem::new(path, message, "mount it at a folder of its own, as in `/in`"));
                }
            }
        }
        found
    }

    fn has_file(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
    }

    /// The file that stands where `path` needs a folder.
    fn file_above<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.match_indices('/').filter_map(|(end, _)| path.get(..end)).find(|parent| self.has_file(parent))
    }

    /// The entrypoint is packaged whatever `files` says, so its own name is looked at before there are files.
    fn check_entrypoint(&self, found: &mut Vec<Problem>) {
        if let Some(why) = never_packaged(&self.entrypoint) {
            let message = format!("`{}` is {why}, which is never packaged", shown(self.entrypoint.as_str()));
            found.push(Problem::new(
                KeyPath::key("entrypoint"),
                message,
                "name a program that is not hidden: no part of its path begins with a dot",
            ));
        }
    }

    fn check_texts(&self, found: &mut Vec<Problem>) {
        for (key, text) in
            [("description", &self.description), ("license", &self.license), ("language", &self.language)]
        {
            let Some(text) = text else { continue };
            if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                let message = format!("it is longer than {TEXT_BYTES_MAX} bytes or has control characters");
                found.push(Problem::new(KeyPath::key(key), message, "write one short line"));
            }
        }
        let args = argument_bytes(&self.args);
        let env = self.env.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum::<usize>();
        for (key, bytes) in [("args", args), ("env", env)] {
            if bytes > ARGUMENT_BYTES_MAX {
                let message = format!("it holds {bytes} bytes, at most {ARGUMENT_BYTES_MAX} fit");
                found.push(Problem::new(KeyPath::key(key), message, "put large values into a file"));
            }
        }
        let nul = "a NUL character cannot be passed to a program";
        for (index, _) in self.args.iter().enumerate().filter(|(_, arg)| arg.contains('\0')) {
            found.push(Problem::new(KeyPath::key("args").at(index), nul, "leave it out"));
        }
        for (name, _) in self.env.iter().filter(|(_, value)| value.contains('\0')) {
            found.push(Problem::new(KeyPath::key("env").then(name.as_str()), nul, "leave it out"));
        }
        for (index, name) in self.env_from.iter().enumerate() {
            if self.env.contains_key(name) {
                let message = format!("`{name}` is set by `env` too");
                found.push(Problem::new(
                    KeyPath::key("env_from").at(index),
                    message,
                    "name it in one of them",
                ));
            }
        }
    }

    fn check_lists(&self, found: &mut Vec<Problem>) {
        let net = &self.permissions.net;
        let models = self.permissions.ai.as_ref().and_then(|ai| ai.models.as_ref());
        let right = |name: &str| KeyPath::key("permissions").then(name);
        for (path, items) in [
            (KeyPath::key("env_from"), self.env_from.len()),
            (KeyPath::key("fs"), self.fs.len()),
            (KeyPath::key("services"), self.services.len()),
            (KeyPath::key("depends_on"), self.depends_on.len()),
            (right("net").then("connect"), net.connect.len()),
            (right("net").then("listen"), net.listen.len()),
            (right("ai").then("models"), models.map_or(0, Vec::len)),
            (right("exec").then("run"), self.permissions.exec.run.len()),
        ] {
            if items > LIST_ITEMS_MAX {
                let message = format!("it has {items} items, at most {LIST_ITEMS_MAX} fit");
                found.push(Problem::new(path, message, "shorten the list"));
            }
        }
        for (index, listen) in net.listen.iter().enumerate() {
            if net.listen.iter().take(index).any(|other| other.port == listen.port) {
                let message = format!("port {} is listed twice", listen.port);
                found.push(Problem::new(right("net").then("listen").at(index), message, "write it once"));
            }
        }
        for (index, name) in self.depends_on.iter().enumerate().filter(|(_, name)| **name == self.name) {
            let message = format!("`{name}` would wait for itself");
            found.push(Problem::new(KeyPath::key("depends_on").at(index), message, "leave it out"));
        }
    }

    fn check_mounts(&self, found: &mut Vec<Problem>) {
        let reserved: GuestPath = GuestPath::services();
        for (index, mount) in self.fs.iter().enumerate() {
            let at = |key: &str| KeyPath::key("fs").at(index).then(key);
            let place = mount.mount.as_str();
            if reserved.holds(&mount.mount) {
                let message = format!("`{}` is reserved: services are dialled under `/svc`", shown(place));
                found.push(Problem::new(at("mount"), message, "mount it elsewhere, as in `/in`"));
            } else if self.fs.iter().take(index).any(|other| other.mount == mount.mount) {
                let message = format!("two mounts are at `{}`", shown(place));
                found.push(Problem::new(at("mount"), message, "give each mount a place of its own"));
            } else if place == "/" && self.permissions.fs != OwnFiles::None {
                let message = "`/` already shows the app's own files (`permissions.fs`)";
                found.push(Problem::new(at("mount"), message, "add `mount: /in`, or another place"));
            } else if place == "/data" && self.permissions.fs == OwnFiles::ReadWrite {
                let message = "`/data` already is the app's private volume (`permissions.fs: read-write`)";
                found.push(Problem::new(at("mount"), message, "mount it elsewhere, as in `/in`"));
            }
            let kind = match mount.kind {
                MountKind::Memfs => "memfs",
                MountKind::Diskfs => "diskfs",
                MountKind::Netfs => "netfs",
            };
            let source = match (mount.kind, &mount.source) {
                (MountKind::Memfs, Some(_)) => Some(("a `memfs` starts empty", "leave `source` out")),
                (MountKind::Diskfs, None) => Some((
                    "a `diskfs` needs a source",
                    "add `source: slot:inbox` and bind it: `--bind inbox=PATH`",
                )),
                (MountKind::Diskfs, Some(Source::Url(_))) => {
                    Some(("a `diskfs` is on this machine, not at an address", "write `type: netfs`"))
                }
                (MountKind::Netfs, None) => {
                    Some(("a `netfs` needs a source", "add `source: https://host/path`"))
                }
                (MountKind::Netfs, Some(Source::Slot(_) | Source::Folder(_))) => Some((
                    "a `netfs` comes from an address",
                    "write `source: https://host/path`, or `type: diskfs`",
                )),
                _ => None,
            };
            if let Some((message, mend)) = source {
                found.push(Problem::new(at("source"), message, mend));
            }
            if mount.size.is_some() != (mount.kind == MountKind::Memfs) {
                found.push(Problem::new(at("size"), format!("a `{kind}` has no size"), "leave `size` out"));
            } else if mount.size.is_some_and(|size| size > self.limits.memory) {
                let message = "it is larger than `limits.memory`, which it counts against";
                found.push(Problem::new(
                    at("size"),
                    message,
                    "write a smaller size, or raise `limits.memory`",
                ));
            }
            if mount.cache && mount.kind != MountKind::Netfs {
                found.push(Problem::new(
                    at("cache"),
                    format!("a `{kind}` has no cache"),
                    "leave `cache` out",
                ));
            }
            if mount.kind == MountKind::Memfs && mount.mode == Mode::ReadOnly {
                let message = "a `memfs` that is read-only stays empty";
                found.push(Problem::new(at("mode"), message, "leave `mode` out"));
            }
            if let Some(Source::Slot(name)) = &mount.source {
                let same = |other: &super::AppMount| other.source == mount.source;
                if self.fs.iter().take(index).any(same) {
                    let message = format!("the slot `{name}` is mounted twice");
                    found.push(Problem::new(at("source"), message, "declare a slot for each mount"));
                }
            }
        }
    }

    fn check_services(&self, found: &mut Vec<Problem>) {
        for (index, service) in self.services.iter().enumerate() {
            let at = |key: &str| KeyPath::key("services").at(index).then(key);
            if SYSTEM_SERVICES.contains(&service.name.as_str()) {
                let message = format!("`{}` is a service of the system", service.name);
                found.push(Problem::new(at("name"), message, "choose another name"));
            }
            if service.port == Some(0) {
                found.push(Problem::new(at("port"), "there is no port 0", "write a number from 1 to 65535"));
            }
            let before = self.services.iter().take(index);
            if before.clone().any(|other| other.name == service.name && other.port == service.port) {
                let message = format!("`{}` is offered twice", service.name);
                found.push(Problem::new(at("name"), message, "give each its own `name` or `port`"));
            }
        }
        for endpoint in &self.permissions.net.connect {
            let Endpoint::Service(address) = endpoint else { continue };
            if address.name.as_str() == "qyvold" {
                let path = KeyPath::key("permissions").then("net").then("connect");
                let message = "`service://qyvold` is not dialled by a right of its own";
                found.push(Problem::new(path, message, "ask for `permissions.exec` or `permissions.admin`"));
            }
        }
    }

    fn check_limits(&self, found: &mut Vec<Problem>) {
        let limits = &self.limits;
        let time = |value: Option<u64>| value.is_none_or(|ms| (1..=DURATION_MS_MAX).contains(&ms));
        let fits = [
            ("memory", (1..=MEMORY_BYTES_MAX).contains(&limits.memory), "`1B` to `64TiB`"),
            (
                "cpu",
                limits.cpu_milli.is_none_or(|milli| (1..=MILLICORES_MAX).contains(&milli)),
                "`0.001` to `1024`",
            ),
            ("cpu_time", time(limits.cpu_time_ms), "`1ms` to ten years"),
            ("wall", time(limits.wall_ms), "`1ms` to ten years"),
            ("stack", (STACK_BYTES_MIN..=STACK_BYTES_MAX).contains(&limits.stack), "`64KiB` to `64MiB`"),
            ("fds", FDS_RANGE.contains(&limits.fds), "8 to 65536"),
            ("disk", limits.disk <= BYTES_MAX, "at most 8 EiB"),
            ("inodes", limits.inodes >= 1, "at least 1"),
            ("log", limits.log <= BYTES_MAX, "at most 8 EiB"),
            ("instances", (1..=INSTANCES_MAX).contains(&limits.instances), "1 to 1024"),
            ("requests", limits.requests.is_none_or(|most| (1..=REQUESTS_MAX).contains(&most)), "1 to 1024"),
        ];
        for (key, _, range) in fits.iter().filter(|(_, fits, _)| !fits) {
            let path = KeyPath::key("limits").then(key);
            found.push(Problem::new(path, "it is out of range", format!("write {range}")));
        }
        if !(1..=Scheduler::WEIGHT_MAX).contains(&self.scheduler.weight) {
            let path = KeyPath::key("scheduler").then("weight");
            found.push(Problem::new(path, "it is out of range", "write 1 to 10000"));
        }
    }

    fn check_life(&self, found: &mut Vec<Problem>) {
        if self.schedule.is_some() && self.kind != Kind::Command {
            let message = format!("a `{}` is not started by the clock", self.kind.word());
            found.push(Problem::new(
                KeyPath::key("schedule"),
                message,
                "leave it out, or write `type: command`",
            ));
        }
        if self.stop_grace_ms > DURATION_MS_MAX {
            found.push(Problem::new(
                KeyPath::key("stop_grace"),
                "it is out of range",
                "write at most ten years",
            ));
        }
        if let Some(health) = &self.health {
            let mut add = |key: &str, message: &str, mend: &str| {
                found.push(Problem::new(KeyPath::key("health").then(key), message, mend));
            };
            match &health.probe {
                Probe::Http(_) if self.kind != Kind::Http => {
                    add(
                        "http",
                        "only `type: http` answers a path",
                        "name a service instead, or write `type: http`",
                    );
                }
                Probe::Service(name) if !self.services.iter().any(|service| service.name == *name) => {
                    add("service", "the app does not offer this service", "name one of its `services`");
                }
                Probe::Exec(args) if args.is_empty() => {
                    add(
                        "exec",
                        "without arguments the app itself would run again",
                        "write `exec: [--check]`",
                    );
                }
                Probe::Exec(args) if args.len() > LIST_ITEMS_MAX => {
                    add("exec", "it has more than 256 arguments", "shorten the list");
                }
                Probe::Exec(args) if argument_bytes(args) > ARGUMENT_BYTES_MAX => {
                    add("exec", "it holds more than 1 MiB", "put large values into a file");
                }
                Probe::Exec(args) if args.iter().any(|arg| arg.contains('\0')) => {
                    add("exec", "a NUL character cannot be passed to a program", "leave it out");
                }
                _ => {}
            }
            for (key, ms) in [("interval", health.interval_ms), ("timeout", health.timeout_ms)] {
                if !(1..=DURATION_MS_MAX).contains(&ms) {
                    add(key, "it is out of range", "write `1ms` to ten years");
                }
            }
            if health.start_period_ms > DURATION_MS_MAX {
                add("start_period", "it is out of range", "write at most ten years");
            }
            if !(1..=100).contains(&health.retries) {
                add("retries", "it is out of range", "write 1 to 100");
            }
        }
    }
}

/// Bytes that arguments need in memory, each with the NUL that ends it.
fn argument_bytes(args: &[String]) -> usize {
    args.iter().map(|arg| arg.len() + 1).sum()
}
