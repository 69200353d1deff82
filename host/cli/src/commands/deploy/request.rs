//! What the daemon is asked for.

use std::collections::BTreeMap;
use std::path::Path;

use qyv_spec::App;
use qyv_spec::grants::{Allow, Bind, Grants};
use qyv_spec::manifest::Source;
use qyvol_protocol::api::{DEPLOY_APPS_MAX, DeployApp, DeployRequest, Directory};

use super::{Deploy, Image};
use crate::failure::{Failure, Result};

impl Deploy {
    /// The request for these apps. Of each app, `answered` grants what was granted on the terminal.
    pub(super) fn request(
        &self,
        images: &[Image],
        answered: Vec<Vec<Allow>>,
        remote: bool,
    ) -> Result<DeployRequest> {
        if images.len() > DEPLOY_APPS_MAX {
            return Err(Failure::refused(format!("{} apps are more than {DEPLOY_APPS_MAX}", images.len()))
                .hint("deploy them in parts"));
        }
        self.check(images)?;
        let bind = |bind| absolute(bind, remote);
        let binds = self.bind.iter().map(bind).collect::<Result<Vec<_>>>()?;
        let show = |shown| directory(shown, remote);
        let directories = self.directories.iter().map(show).collect::<Result<Vec<_>>>()?;
        let env: BTreeMap<String, String> = self.environment.iter().cloned().collect();
        let mut answered = answered.into_iter();
        let apps = images
            .iter()
            .map(|image| {
                let more = answered.next().unwrap_or_default();
                let allow = self.grant.iter().cloned().chain(more).collect();
                let bind = binds.iter().filter(|bind| has_slot(&image.app, bind)).cloned().collect();
                DeployApp {
                    bundle: image.bundle.hash,
                    // The folder of a manifest is this host's: a daemon of another one has what was packed.
                    folder: image.folder.clone().filter(|_| !remote),
                    grants: Grants { allow, bind },
                    directories: directories.clone(),
                    env: env.clone(),
                    args: self.arguments.clone(),
                    kind: self.kind,
                    replicas: self.replicas,
                    // What lies open on this host needs no one to vouch for it.
                    allow_unsigned: self.allow_unsigned || !image.foreign,
                    manifest: image.manifest.clone().filter(|_| !remote),
                }
            })
            .collect();
        Ok(DeployRequest { apps, force: self.force })
    }

    /// Options that are about one app make no sense for several.
    fn check(&self, images: &[Image]) -> Result<()> {
        let of_one = [
            ("--dir", !self.directories.is_empty()),
            ("--type", self.kind.is_some()),
            ("--replicas", self.replicas.is_some()),
            ("arguments after `--`", !self.arguments.is_empty()),
        ];
        if let Some((option, _)) = of_one.iter().find(|(_, given)| *given && images.len() > 1) {
            let message = format!("{option} can be given for one app, and these are {}", images.len());
            return Err(Failure::usage(message).hint("deploy that app by a command of its own"));
        }
        match self.bind.iter().find(|bind| !images.iter().any(|image| has_slot(&image.app, bind))) {
            None => Ok(()),
            Some(bind) => Err(Failure::refused(format!("no app here has the slot `{}`", bind.slot))
                .hint("`qyvol inspect APP` shows its slots; `--dir` shows a folder that no manifest names")),
        }
    }
}

/// Whether the app has the slot that is bound.
pub(super) fn has_slot(app: &App, bind: &Bind) -> bool {
    app.fs.iter().any(|mount| matches!(&mount.source, Some(Source::Slot(name)) if *name == bind.slot))
}

/// The bind with the path as the daemon finds it: it stands in another folder.
fn absolute(bind: &Bind, remote: bool) -> Result<Bind> {
    Ok(Bind { path: resolved(Path::new(&bind.path), "bind", remote)?, ..bind.clone() })
}

fn directory(directory: &crate::run::options::Directory, remote: bool) -> Result<Directory> {
    Ok(Directory {
        host: resolved(&directory.host, "show", remote)?,
        guest: directory.guest.to_string(),
        read_only: directory.read_only,
    })
}

/// Where the folder is. One of another host is that host's to look up.
fn resolved(path: &Path, what: &str, remote: bool) -> Result<String> {
    let place = if !remote {
        path.canonicalize().map_err(|error| Failure::at_path(what, path, &error))?
    } else if path.is_absolute() {
        path.to_owned()
    } else {
        let message = format!("cannot {what} `{}`: it is a folder of the daemon's host", path.display());
        return Err(Failure::usage(message).hint("name it from the root of that host"));
    };
    let place = place.into_os_string().into_string();
    place.map_err(|place| Failure::refused(format!("`{}` is not UTF-8", Path::new(&place).display())))
}
