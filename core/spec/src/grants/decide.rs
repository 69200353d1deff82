//! The decision: what an app gets, or everything that keeps it from starting.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Grants;
use super::allow::Bind;
use super::policy::Policy;
use super::request::Request;
use crate::App;
use crate::app::{AppLimits, AppMount, Asked};
use crate::manifest::{EnvName, GuestPath, Mode, Source, Url};
use crate::problem::KeyPath;
use crate::service::Name;

/// Where an app is about to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// The services that the apps of the same deployment offer.
    pub deployment: &'a [Name],
    /// For a manifest that is run in place: its own folder on the host, absolute and resolved.
    pub folder: Option<&'a str>,
}

/// What an app gets: everything that it asked for, never more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its permissions, all granted.
    pub permissions: Asked,
    /// Its mounts, with where they come from on this host.
    pub mounts: Vec<GrantedMount>,
    /// The variables and secrets that it is handed.
    pub env_from: Vec<EnvName>,
    /// Its limits, none above the policy's.
    pub limits: AppLimits,
}

/// One mount that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedMount {
    /// Where the app sees it.
    pub mount: GuestPath,
    /// Whether it may change it.
    pub mode: Mode,
    /// What holds the files.
    pub from: MountedFrom,
}

/// What holds the files of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountedFrom {
    /// Memory, at most so many bytes.
    Memory {
        /// Most bytes.
        bytes: u64,
    },
    /// A path of the host that the operator bound to a slot.
    Bound {
        /// The path.
        path: String,
    },
    /// A folder beneath the manifest's own. It is opened beneath that folder, so that no link leads out of it.
    Folder {
        /// The manifest's folder, absolute.
        root: String,
        /// The folder beneath it.
        path: String,
    },
    /// A server.
    Server {
        /// Its address.
        url: Url,
        /// Whether what was read is kept.
        cache: bool,
    },
}

/// One reason why an app does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The key of the manifest that asks.
    pub key: KeyPath,
    /// What is refused and why.
    pub message: String,
    /// What the operator can do.
    pub mend: String,
    /// What was asked, when it was the app that asked.
    pub request: Option<Request>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`); {}", self.message, self.key, self.mend)
    }
}

/// Decides what `app` gets from what its operator granted, what the host's policy allows, and where it runs.
///
/// # Errors
///
/// Everything that is missing, each with its mend. An app gets all that it asked for or does not start.
pub fn decide(
    app: &App,
    grants: &Grants,
    policy: &Policy,
    setting: &Setting<'_>,
) -> Result<Capabilities, Vec<Refusal>> {
    let standing: Vec<_> = policy.apps.iter().filter(|entry| entry.name.matches(&app.name)).collect();
    let granted = |request: &Request| {
        let mut allows = grants.allow.iter().chain(standing.iter().flat_map(|entry| &entry.grant));
        allows.any(|allow| allow.covers(request))
    };
    let mut refusals = unknown_binds(app, grants);
    for request in app.requests().0 {
        let own = match &request {
            // Paths are decided with their mounts.
            Request::Slot { .. } | Request::Folder { .. } => continue,
            Request::Service(address) if setting.deployment.contains(&address.name) => continue,
            Request::Ai => true,
            _ => false,
        };
        if !policy.allows(&request) {
            let mend = "ask for less, or change `allow` in the host's policy";
            refusals.push(refuse(request, "the host's policy does not let an app", mend.to_string()));
        } else if !own && !granted(&request) {
            let allow = request.narrowest().map(|allow| allow.to_string()).unwrap_or_default();
            let mend = format!("grant it with `--grant {allow}`");
            refusals.push(refuse(request, "not granted: to", mend));
        }
    }
    let limits = policy.cap(&app.limits);
    let bind_of = |slot: &Name| -> Option<&Bind> {
        let mut binds = grants.bind.iter().chain(standing.iter().flat_map(|entry| &entry.bind));
        binds.find(|bind| bind.slot == *slot)
    };
    let mut mounts = Vec::new();
    for mount in &app.fs {
        match granted_mount(mount, &limits, bind_of, policy, setting) {
            Ok(granted) => mounts.push(granted),
            Err(refusal) => refusals.push(*refusal),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(Capabilities { permissions: app.permissions.clone(), mounts, env_from: app.env_from.clone(), limits })
}

fn granted_mount<'a>(
    mount: &AppMount,
    limits: &AppLimits,
    bind_of: impl Fn(&Name) -> Option<&'a Bind>,
    policy: &Policy,
    setting: &Setting<'_>,
) -> Result<GrantedMount, Box<Refusal>> {
    let (place, asked) = (mount.mount.clone(), mount.mode);
    let capped = |request, path: &str| {
        let mend = format!("bind another path, or add `{path}` to `paths` in the host's policy");
        Box::new(refuse(request, "the host's policy does not let an app", mend))
    };
    match &mount.source {
        None => {
            let bytes = mount.size.unwrap_or(limits.memory).min(limits.memory);
            Ok(GrantedMount { mount: place, mode: asked, from: MountedFrom::Memory { bytes } })
        }
        Some(Source::Url(url)) => {
            let from = MountedFrom::Server { url: url.clone(), cache: mount.cache };
            Ok(GrantedMount { mount: place, mode: asked, from })
        }
        Some(Source::Slot(slot)) => {
            let request = Request::Slot { slot: slot.clone(), mount: place.clone(), mode: asked };
            let Some(bind) = bind_of(slot) else {
                let end = if asked == Mode::ReadOnly { ":ro" } else { "" };
                let mend = format!("choose the path with `--bind {slot}=PATH{end}`");
                return Err(Box::new(refuse(request, "not bound: to", mend)));
            };
            let mode = bind.mode.map_or(asked, |most| most.min(asked));
            if !policy.allows_path(&bind.path, mode) {
                return Err(capped(request, &bind.path));
            }
            Ok(GrantedMount { mount: place, mode, from: MountedFrom::Bound { path: bind.path.clone() } })
        }
        Some(Source::Folder(folder)) => {
            let request = Request::Folder { folder: folder.clone(), mount: place.clone(), mode: asked };
            let Some(root) = setting.folder else {
                let mend = "run its `.qyv` in place, or have it declare a slot".to_string();
                return Err(Box::new(refuse(request, "only a manifest that is run in place may", mend)));
            };
            let path = format!("{}/{folder}", root.trim_end_matches('/'));
            if !policy.allows_path(&path, asked) {
                return Err(capped(request, &path));
            }
            let from = MountedFrom::Folder { root: root.to_string(), path: folder.to_string() };
            Ok(GrantedMount { mount: place, mode: asked, from })
        }
    }
}

/// Binds of slots that the app does not declare, and two of one slot: the operator meant something else.
fn unknown_binds(app: &App, grants: &Grants) -> Vec<Refusal> {
    let slots: Vec<&Name> = app
        .fs
        .iter()
        .filter_map(|mount| match &mount.source {
            Some(Source::Slot(name)) => Some(name),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (index, bind) in grants.bind.iter().enumerate() {
        let slot = &bind.slot;
        let (message, mend) = if !slots.contains(&slot) {
            let known: Vec<_> = slots.iter().map(|slot| format!("`{slot}`")).collect();
            let mend =
                if known.is_empty() { "it has none".into() } else { format!("it has {}", known.join(", ")) };
            (format!("`{}` has no slot `{slot}`", app.name), format!("bind a slot of the app: {mend}"))
        } else if grants.bind.iter().take(index).any(|other| other.slot == *slot) {
            (format!("the slot `{slot}` is bound twice"), "bind it once".to_string())
        } else {
            continue;
        };
        found.push(Refusal { key: KeyPath::key("fs"), message, mend, request: None });
    }
    found
}

fn refuse(request: Request, why: &str, mend: String) -> Refusal {
    Refusal { key: request.key(), message: format!("{why} {request}"), mend, request: Some(request) }
}
