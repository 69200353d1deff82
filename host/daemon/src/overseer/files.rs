//! Where the files of apps are, and when they may be changed from outside.

use std::path::PathBuf;

use qyv_spec::app::AppLimits;
use qyv_spec::service::Name;
use qyvold_store::RestoreLimits;

use super::Overseer;
use crate::admit::has_volume;
use crate::fault::{Fault, Kind};

/// Where the files of one replica of an app are.
#[derive(Clone, Debug)]
pub(crate) struct FilesOf {
    pub(crate) bundle: PathBuf,
    /// Its volume, when it has one; it need not be there yet.
    pub(crate) volume: Option<PathBuf>,
    pub(crate) limits: AppLimits,
}

impl Overseer {
    /// Where the files of a replica are. `path`, beneath the root, must be among the app's own.
    pub(crate) fn files_of(&self, name: &Name, slot: u32, path: &str) -> Result<FilesOf, Fault> {
        let entry = self.app(name)?;
        let Some(revision) = entry.current() else {
            return Err(Fault::refused(format!("the bundle of `{name}` cannot be read")));
        };
        let app = &revision.app;
        if slot >= app.limits.instances {
            let message =
                format!("`{name}` has at most {} replicas; they count from 0", app.limits.instances);
            return Err(Fault::invalid(message));
        }
        let mounts = app.fs.iter().map(|mount| mount.mount.to_string());
        let shown = revision.request.directories.iter().map(|directory| directory.guest.clone());
        let others = mounts.chain(shown).chain([String::from("/run/secrets")]);
        let within = |place: &String| {
            let place = place.trim_matches('/');
            path == place || path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(place) = others.filter(|place| !place.trim_matches('/').is_empty()).find(within) {
            return Err(Fault::refused(format!("`{place}` of `{name}` is not its own: it is mounted there"))
                .hint("a folder of the host is reached on the host; memory and secrets are not copied"));
        }
        let volume = has_volume(app).then(|| self.options.volumes().join(volume_name(name, slot)));
        Ok(FilesOf { bundle: self.bundle_path(&revision.request.bundle), volume, limits: app.limits.clone() })
    }

    /// Refuses an app of which something runs.
    pub(crate) fn may_replace_files(&self, name: &Name) -> Result<(), Fault> {
        let Some(status) = self.supervisor.status(name, self.now()) else { return Ok(()) };
        let runs = self.runs.values().any(|run| run.instance.app == *name);
        let rests = matches!(status.state.word(), "stopped" | "done" | "failed");
        if !runs && rests {
            return Ok(());
        }
        Err(Fault::new(Kind::Conflict, format!("`{name}` runs: {}", status.state))
            .hint(format!("stop it first: `qyvol stop {name}`")))
    }

    /// What the volume of a deployed app may hold.
    pub(crate) fn volume_limits(&self, name: &Name) -> Option<RestoreLimits> {
        let limits = &self.apps.get(name)?.current()?.app.limits;
        Some(RestoreLimits { bytes: limits.disk, inodes: limits.inodes.into() })
    }
}

/// The volume of a slot. No name of an app has a dot.
pub(super) fn volume_name(app: &Name, slot: u32) -> String {
    if slot == 0 { app.to_string() } else { format!("{app}.{slot}") }
}
