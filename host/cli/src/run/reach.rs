//! The folders of the host that a run reaches, each opened once: what the policy allows is what is mounted and what the
//! second wall keeps, whatever takes a folder's place meanwhile.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use qyv_spec::App;
use qyv_spec::grants::{Bind, Capabilities, MountedFrom, Policy};
use qyv_spec::manifest::{Mode, Source};
use qyv_spec::service::Name;
use qyvol_fs::Folder;

use crate::commands::run::Run;
use crate::failure::{Failure, Result};
use crate::target::{Origin, Target};

/// The open folders.
#[derive(Default)]
pub(crate) struct Folders {
    /// Those that slots are bound to, by where they are.
    bound: BTreeMap<String, Folder>,
    /// Those beside the manifest, as it names them.
    beside: BTreeMap<String, Folder>,
    /// Those of `--dir`, in its order.
    shown: Vec<Folder>,
}

impl Folders {
    /// Opens what `--dir` names, as far as the policy allows.
    pub(crate) fn shown(options: &Run, policy: &Policy) -> Result<Self> {
        let mut folders = Self::default();
        for directory in &options.directories {
            let folder = open(&directory.host, "show")?;
            let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
            check(policy, &place(&folder, &directory.host)?, mode)?;
            folders.shown.push(folder);
        }
        Ok(folders)
    }

    /// Opens what the app's slots are bound to, whoever bound them and however long ago, and puts into the binds where
    /// that is now.
    pub(crate) fn bind<'a>(
        &mut self,
        app: &App,
        binds: impl IntoIterator<Item = &'a mut Bind>,
    ) -> Result<()> {
        for bind in binds {
            // A bind of a slot that the app has not is the decision's to refuse.
            if has_slot(app, &bind.slot) {
                let folder = open(Path::new(&bind.path), "bind")?;
                bind.path = place(&folder, Path::new(&bind.path))?;
                self.bound.insert(bind.path.clone(), folder);
            }
        }
        Ok(())
    }

    /// Opens the folders beside the manifest that the app was granted. A link may lead from one to another, so the
    /// policy is asked about where each one is.
    pub(crate) fn open_beside(
        &mut self,
        target: &Target,
        granted: &Capabilities,
        policy: &Policy,
    ) -> Result<()> {
        for mount in &granted.mounts {
            let MountedFrom::Folder { root, path } = &mount.from else { continue };
            let Origin::Folder(own) = &target.origin else { continue };
            let shown = Path::new(root).join(path);
            let folder = own.open_beneath(path).map_err(|error| match error.kind() {
                ErrorKind::CrossesDevices => {
                    Failure::refused(format!("`{path}` leads out of the manifest's folder"))
                        .hint("declare a slot in its place and bind it with `--bind`")
                }
                _ => Failure::at_path("open", &shown, &error),
            })?;
            check(policy, &place(&folder, &shown)?, mount.mode)?;
            self.beside.insert(path.clone(), folder);
        }
        Ok(())
    }

    /// The folder that a granted mount shows.
    pub(crate) fn of(&self, from: &MountedFrom) -> Result<&Folder> {
        let found = match from {
            MountedFrom::Bound { path } => self.bound.get(path),
            MountedFrom::Folder { path, .. } => self.beside.get(path),
            MountedFrom::Memory { .. } | MountedFrom::Server { .. } => None,
        };
        found.ok_or_else(|| Failure::own("a folder was granted that was not opened; please report this"))
    }

    /// The folders of `--dir`, in its order.
    pub(crate) fn directories(&self) -> &[Folder] {
        &self.shown
    }
}

/// Opens a folder that the operator named.
pub(crate) fn open(path: &Path, what: &str) -> Result<Folder> {
    Folder::open(path).map_err(|error| Failure::at_path(what, path, &error))
}

/// Where an open folder is, `path` in messages.
pub(crate) fn place(folder: &Folder, path: &Path) -> Result<String> {
    let place = folder.path().map_err(|error| Failure::at_path("find", path, &error))?;
    let place = place.into_os_string().into_string();
    place.map_err(|place| Failure::refused(format!("`{}` is not UTF-8", Path::new(&place).display())))
}

fn check(policy: &Policy, path: &str, mode: Mode) -> Result<()> {
    if policy.allows_path(path, mode) {
        return Ok(());
    }
    let message = format!("the host's policy does not let an app reach `{path}`");
    Err(Failure::refused(message).hint("show another folder, or add it to `paths` in the policy"))
}

fn has_slot(app: &App, slot: &Name) -> bool {
    app.fs.iter().any(|mount| matches!(&mount.source, Some(Source::Slot(name)) if name == slot))
}
