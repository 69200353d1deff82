//! What a program keeps of its rights when another one starts it.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::decide::{Capabilities, GrantedMount, MountedFrom};
use crate::app::{AppLimits, Asked, Exec, Net};
use crate::manifest::OwnFiles;
use crate::service::{Endpoint, ServiceAddress};

impl Capabilities {
    /// What of this its app keeps while it runs as a child of one with `starter`: what both were granted. Through a chain
    /// of starters it is applied at each, so that nothing is gained on the way.
    ///
    /// * Its packaged files and its memory are its own; it has no private volume, which belongs to its instances.
    /// * A folder of the host is shown when the starter has it, or one that it lies in; it is opened beneath that one.
    /// * Services are those that both may dial, and it listens nowhere. **Hosts outside are left out**: whoever connects asks
    ///   the grants of both about each address (`qyv_svc::outbound::Outbound::within`), as a list cannot say what is in
    ///   both.
    /// * Limits are the lower ones. Times count from its own start, and those of its starter go on.
    #[must_use]
    pub fn within(&self, starter: &Self) -> Self {
        let (mine, theirs) = (&self.permissions, &starter.permissions);
        let permissions = Asked {
            fs: if mine.fs == OwnFiles::None { OwnFiles::None } else { OwnFiles::ReadOnly },
            net: Net {
                anywhere: false,
                connect: services_of_both(&mine.net, &theirs.net),
                listen: Vec::new(),
            },
            ai: None,
            exec: Exec { own: mine.exec.own && theirs.exec.own, run: both(&mine.exec.run, &theirs.exec.run) },
            admin: both(&mine.admin, &theirs.admin),
            gfx: mine.gfx && theirs.gfx,
            sensors: mine.sensors && theirs.sensors,
        };
        let mounts = self.mounts.iter().filter_map(|mount| mount_of_both(mount, &starter.mounts)).collect();
        let limits = lower(&self.limits, &starter.limits);
        Self { permissions, mounts, env_from: both(&self.env_from, &starter.env_from), limits }
    }
}

fn both<T: PartialEq + Clone>(mine: &[T], theirs: &[T]) -> Vec<T> {
    mine.iter().filter(|item| theirs.contains(item)).cloned().collect()
}

/// A grant without a port is one of every port.
fn services_of_both(mine: &Net, theirs: &Net) -> Vec<Endpoint> {
    let services = |net: &Net| -> Vec<ServiceAddress> {
        let service = |endpoint: &Endpoint| match endpoint {
            Endpoint::Service(address) => Some(address.clone()),
            Endpoint::Host(_) => None,
        };
        net.connect.iter().filter_map(service).collect()
    };
    let theirs = services(theirs);
    let mut found = Vec::new();
    for a in services(mine) {
        for b in theirs.iter().filter(|b| b.name == a.name) {
            let port = match (a.port, b.port) {
                (None, port) | (port, None) => port,
                (Some(one), Some(other)) if one == other => Some(one),
                _ => continue,
            };
            let endpoint = Endpoint::Service(ServiceAddress { name: a.name.clone(), port });
            if !found.contains(&endpoint) {
                found.push(endpoint);
            }
        }
    }
    found
}

fn mount_of_both(mine: &GrantedMount, theirs: &[GrantedMount]) -> Option<GrantedMount> {
    if matches!(mine.from, MountedFrom::Memory { .. }) {
        return Some(mine.clone());
    }
    let path = place(&mine.from)?;
    let around = |other: &GrantedMount| {
        let rest = beneath(&path, &place(&other.from)?)?;
        let from = match (&other.from, rest.is_empty()) {
            (from, true) => from.clone(),
            (MountedFrom::Bound { path }, false) => MountedFrom::Folder { root: path.clone(), path: rest },
            (MountedFrom::Folder { root, path }, false) => {
                MountedFrom::Folder { root: root.clone(), path: format!("{path}/{rest}") }
            }
            (MountedFrom::Memory { .. } | MountedFrom::Server { .. }, false) => return None,
        };
        Some(GrantedMount { mount: mine.mount.clone(), mode: mine.mode.min(other.mode), from })
    };
    // Where several show it, the one that lets most be done counts.
    theirs.iter().filter_map(around).max_by_key(|mount| mount.mode)
}

/// Where a folder of the host is.
fn place(from: &MountedFrom) -> Option<String> {
    match from {
        MountedFrom::Bound { path } => Some(path.clone()),
        MountedFrom::Folder { root, path } => Some(format!("{}/{path}", root.trim_end_matches('/'))),
        MountedFrom::Memory { .. } | MountedFrom::Server { .. } => None,
    }
}

/// The rest of `path` beneath `folder`; empty when they are the same.
fn beneath(path: &str, folder: &str) -> Option<String> {
    let rest = path.trim_end_matches('/').strip_prefix(folder.trim_end_matches('/'))?;
    if rest.is_empty() {
        return Some(String::new());
    }
    let rest = rest.strip_prefix('/')?;
    // What is written with such parts is not compared by its letters.
    let plain = rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    plain.then(|| rest.to_string())
}

fn lower(mine: &AppLimits, starter: &AppLimits) -> AppLimits {
    AppLimits {
        memory: mine.memory.min(starter.memory),
        cpu_milli: match (mine.cpu_milli, starter.cpu_milli) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        },
        cpu_time_ms: mine.cpu_time_ms,
        wall_ms: mine.wall_ms,
        stack: mine.stack.min(starter.stack),
        fds: mine.fds.min(starter.fds),
        disk: 0,
        inodes: mine.inodes.min(starter.inodes),
        log: mine.log.min(starter.log),
        instances: 1,
        requests: mine.requests,
    }
}
