//! The mounts of an instance.

use std::path::Path;
use std::sync::Arc;

use qyv_spec::app::AppLimits;
use qyv_spec::manifest::Mode;
use qyv_vfs::{Access, Budget};
use qyvol_fs::Folder;
use qyvol_launch::{BundleFiles, SharedTree, Show, Tree};
use qyvol_protocol::system::Child;
use qyvol_protocol::worker::{Mount, MountFrom, Secret, Start};

use crate::executor::may_wait;
use crate::worker::Opened;

/// Where secrets are found.
const SECRETS: &str = "/run/secrets";

/// What programs see.
pub(crate) struct Shown<'a> {
    own_files: bool,
    mounts: &'a [Mount],
    secrets: &'a [Secret],
    limits: &'a AppLimits,
}

impl<'a> From<&'a Start> for Shown<'a> {
    fn from(start: &'a Start) -> Self {
        let Start { own_files, mounts, secrets, limits, .. } = start;
        Self { own_files: *own_files, mounts, secrets, limits }
    }
}

impl<'a> From<&'a Child> for Shown<'a> {
    fn from(child: &'a Child) -> Self {
        let Child { own_files, mounts, secrets, limits, .. } = child;
        Self { own_files: *own_files, mounts, secrets, limits }
    }
}

/// The packaged files, the mounts and the secrets, for all programs of the instance.
pub(crate) fn tree(shown: &Shown<'_>, opened: &Arc<Opened>, memory: &Budget) -> Result<SharedTree, String> {
    let text = |error: qyvol_launch::Error| error.to_string();
    let open = |path: &Path| {
        Folder::open(path).map_err(|error| format!("cannot open the folder `{}`: {error}", path.display()))
    };
    let mut tree = Tree::new(shown.limits, memory).around(|call| may_wait(call));
    if shown.own_files {
        let files = Arc::new(BundleFiles::new(Arc::clone(&opened.bundle)));
        tree.packaged(files, None).map_err(text)?;
    }
    for mount in shown.mounts {
        let place = mount.place.as_str();
        let access = if mount.mode == Mode::ReadOnly { Access::ReadOnly } else { Access::ReadWrite };
        match &mount.from {
            MountFrom::Memory { bytes } => tree.memory(place, *bytes),
            MountFrom::Volume { path } => tree.volume(place, &open(path)?, path).map_err(text)?,
            MountFrom::Folder { path, beneath } => {
                let mut folder = open(path)?;
                if let Some(beneath) = beneath.as_deref().and_then(Path::to_str) {
                    folder = folder.open_beneath(beneath).map_err(|error| {
                        format!("cannot open `{beneath}` beneath `{}`: {error}", path.display())
                    })?;
                }
                tree.folder(place, &folder, path, access, Show::Disk).map_err(text)?;
            }
        }
    }
    if !shown.secrets.is_empty() {
        let files: Vec<_> =
            shown.secrets.iter().map(|secret| (secret.name.as_str(), secret.value.as_slice())).collect();
        tree.given(SECRETS, &files).map_err(text)?;
    }
    Ok(tree.share())
}
