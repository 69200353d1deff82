//! The guest's files: what was granted, and what the command line adds.

use std::path::Path;
use std::sync::Arc;

use qyv_spec::grants::{Capabilities, MountedFrom};
use qyv_spec::manifest::{Mode, OwnFiles};
use qyv_vfs::{Access, Budget};
use qyvol_launch::{Error, Files, Show, Tree};

use crate::commands::run::Run;
use crate::failure::{Failure, Result};
use crate::run::reach::Folders;
use crate::run::volume::Volume;
use crate::target::{Origin, Target};

/// Puts together what an app was granted and what the command line adds. The volume is to be held until the run is over.
pub(crate) fn build(
    target: &Target,
    granted: &Capabilities,
    folders: &Folders,
    options: &Run,
    memory: &Budget,
) -> Result<(Files, Option<Volume>)> {
    let mut tree = Tree::new(&granted.limits, memory);
    let mut volume = None;
    if target.app.permissions.fs != OwnFiles::None {
        let folder = match &target.origin {
            Origin::Folder(folder) => Some(folder.try_clone().map_err(Failure::own)?),
            _ => None,
        };
        tree.packaged(Arc::clone(&target.files), folder)?;
    }
    if target.app.permissions.fs == OwnFiles::ReadWrite {
        let opened = Volume::open(target)?;
        tree.volume("/data", &opened.folder, &opened.path)?;
        volume = Some(opened);
    }
    for mount in &granted.mounts {
        let place = mount.mount.as_str();
        match &mount.from {
            MountedFrom::Memory { bytes } => tree.memory(place, *bytes),
            from @ (MountedFrom::Bound { path } | MountedFrom::Folder { path, .. }) => {
                let access = access(mount.mode == Mode::ReadOnly);
                tree.folder(place, folders.of(from)?, Path::new(path), access, Show::Disk)?;
            }
            MountedFrom::Server { .. } => {
                return Err(Failure::refused("mounts of `type: netfs` are not available here yet"));
            }
        }
    }
    for (directory, folder) in options.directories.iter().zip(folders.directories()) {
        let (place, access) = (directory.guest.as_str(), access(directory.read_only));
        tree.folder(place, folder, &directory.host, access, options.fs.into())?;
    }
    for mount in &options.memory {
        tree.memory(mount.guest.as_str(), mount.size.unwrap_or(u64::MAX).min(granted.limits.memory));
    }
    Ok((tree.build()?, volume))
}

fn access(read_only: bool) -> Access {
    if read_only { Access::ReadOnly } else { Access::ReadWrite }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Folder { path, source } => Self::at_path("show", &path, &source),
            Error::Packaged(_) | Error::Load { .. } => Self::refused(error),
            Error::Twice(_) => Self::usage(error).hint("give each mount a place of its own"),
            Error::OnFile(_) | Error::Mount { .. } => Self::usage(error),
        }
    }
}
