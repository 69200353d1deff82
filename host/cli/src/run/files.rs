//! The guest's tree of files, mount by mount.

use std::path::Path;
use std::sync::Arc;

use qyv_spec::app::AppLimits;
use qyv_spec::grants::{Capabilities, MountedFrom};
use qyv_spec::manifest::{Mode, OwnFiles};
use qyv_vfs::{Access, Budget, Clock, FileSystem, MemFs, MemFsOptions, Overlay, PackedFs, Vfs};
use qyvol_fs::landlock::Reach;
use qyvol_fs::{DiskFs, DiskFsOptions, DiskQuota, Folder};

use crate::commands::run::{Run, Show};
use crate::failure::{Failure, Result};
use crate::run::preload;
use crate::run::reach::Folders;
use crate::run::volume::Volume;
use crate::target::{Origin, Target};

/// The largest file in memory: what the app's memory can hold bounds it before this does, but for holes.
const MEMORY_FILE_BYTES_MAX: u64 = 1 << 40;

/// A guest's files, and which folders of the host they reach.
pub(crate) struct Files {
    pub(crate) vfs: Vfs,
    /// Every mount's place in the guest, `/` first.
    pub(crate) places: Vec<String>,
    /// What the guest may reach of the host, for the second wall.
    pub(crate) reach: Vec<(Folder, Reach)>,
    /// Held until the run is over.
    pub(crate) volume: Option<Volume>,
}

struct Mounts<'a> {
    limits: &'a AppLimits,
    memory: &'a Budget,
    clock: Arc<dyn Clock>,
    list: Vec<(String, Box<dyn FileSystem>, Access)>,
    reach: Vec<(Folder, Reach)>,
    volume: Option<Volume>,
}

/// Puts together what an app was granted and what the command line adds.
pub(crate) fn build(
    target: &Target,
    granted: &Capabilities,
    folders: &Folders,
    options: &Run,
    memory: &Budget,
) -> Result<Files> {
    let mut mounts = Mounts {
        limits: &granted.limits,
        memory,
        clock: Arc::new(SystemClock),
        list: Vec::new(),
        reach: Vec::new(),
        volume: None,
    };
    if target.app.permissions.fs != OwnFiles::None {
        let own = PackedFs::new(Arc::clone(&target.files))
            .map_err(|error| Failure::refused(format!("the packaged files make no tree: {error}")))?;
        mounts.add("/", Box::new(own), Access::ReadOnly);
        if let Origin::Folder(folder) = &target.origin {
            mounts.reach.push((folder.try_clone().map_err(Failure::own)?, Reach::ReadOnly));
        }
    }
    if target.app.permissions.fs == OwnFiles::ReadWrite {
        mounts.add_volume(target)?;
    }
    for mount in &granted.mounts {
        let place = mount.mount.as_str();
        let access = if mount.mode == Mode::ReadOnly { Access::ReadOnly } else { Access::ReadWrite };
        match &mount.from {
            MountedFrom::Memory { bytes } => mounts.memory(place, *bytes),
            from @ (MountedFrom::Bound { path } | MountedFrom::Folder { path, .. }) => {
                mounts.disk(place, folders.of(from)?, Path::new(path), access, Show::Disk)?;
            }
            MountedFrom::Server { .. } => {
                return Err(Failure::refused("mounts of `type: netfs` are not available here yet"));
            }
        }
    }
    for (directory, folder) in options.directories.iter().zip(folders.directories()) {
        let access = if directory.read_only { Access::ReadOnly } else { Access::ReadWrite };
        mounts.disk(directory.guest.as_str(), folder, &directory.host, access, options.fs)?;
    }
    for mount in &options.memory {
        mounts.memory(mount.guest.as_str(), mount.size.unwrap_or(u64::MAX).min(granted.limits.memory));
    }
    mounts.finish()
}

impl Mounts<'_> {
    fn add(&mut self, place: &str, fs: Box<dyn FileSystem>, access: Access) {
        self.list.push((place.to_owned(), fs, access));
    }

    fn memory_options(&self, bytes: u64) -> MemFsOptions {
        MemFsOptions {
            bytes: Budget::new(bytes),
            inodes: Budget::new(u64::from(self.limits.inodes)),
            memory: self.memory.clone(),
            clock: Arc::clone(&self.clock),
            max_file: MEMORY_FILE_BYTES_MAX,
        }
    }

    fn memory(&mut self, place: &str, bytes: u64) {
        let fs = MemFs::new(self.memory_options(bytes));
        self.add(place, Box::new(fs), Access::ReadWrite);
    }

    /// Shows a folder, `path` in messages.
    fn disk(&mut self, place: &str, folder: &Folder, path: &Path, access: Access, show: Show) -> Result<()> {
        let fail = |error| Failure::at_path("show", path, &error);
        let kept = folder.try_clone().map_err(fail)?;
        let open = || {
            folder.try_clone().and_then(|folder| DiskFs::new(folder, DiskFsOptions::default())).map_err(fail)
        };
        let fs: Box<dyn FileSystem> = match show {
            Show::Disk => Box::new(open()?),
            Show::Overlay => {
                let overlay = Overlay::new(Box::new(open()?), self.memory_options(self.limits.disk));
                Box::new(overlay.map_err(|error| {
                    Failure::refused(format!("`{}` cannot be shown with changes: {error}", path.display()))
                })?)
            }
            Show::Memfs => {
                let mut fs = MemFs::new(self.memory_options(self.limits.disk));
                preload::copy(&mut open()?, &mut fs).map_err(|error| {
                    Failure::refused(format!("`{}` cannot be loaded: {error}", path.display()))
                })?;
                Box::new(fs)
            }
        };
        let changed = access == Access::ReadWrite && show == Show::Disk;
        self.reach.push((kept, if changed { Reach::ReadWrite } else { Reach::ReadOnly }));
        self.add(place, fs, access);
        Ok(())
    }

    /// The private volume, at `/data`.
    fn add_volume(&mut self, target: &Target) -> Result<()> {
        let volume = Volume::open(target)?;
        let quota = DiskQuota {
            bytes: Budget::new(self.limits.disk),
            inodes: Budget::new(u64::from(self.limits.inodes)),
        };
        let options = DiskFsOptions { quota: Some(quota), ..DiskFsOptions::default() };
        let fail = |error| Failure::at_path("open", &volume.path, &error);
        let kept = volume.folder.try_clone().map_err(fail)?;
        let fs = DiskFs::new(volume.folder.try_clone().map_err(fail)?, options).map_err(fail)?;
        self.reach.push((kept, Reach::ReadWrite));
        self.volume = Some(volume);
        self.add("/data", Box::new(fs), Access::ReadWrite);
        Ok(())
    }

    fn finish(mut self) -> Result<Files> {
        // Parents before what lies in them.
        self.list.sort_by(|a, b| a.0.cmp(&b.0));
        let mut vfs = Vfs::new();
        let mut places = Vec::new();
        for (place, fs, access) in self.list {
            vfs.mount(&place, fs, access).map_err(|error| match error {
                qyv_vfs::Error::BUSY => Failure::usage(format!("two mounts are at `{place}`"))
                    .hint("give each mount a place of its own"),
                qyv_vfs::Error::NOTDIR => {
                    Failure::usage(format!("`{place}` is a file, so nothing can be mounted there"))
                }
                error => Failure::usage(format!("cannot mount at `{place}`: {error}")),
            })?;
            places.push(place);
        }
        Ok(Files { vfs, places, reach: self.reach, volume: self.volume })
    }
}

/// This host's clock, for the time stamps of files in memory.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}
