//! The guest's tree of files, mount by mount.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use qyv_spec::app::AppLimits;
use qyv_vfs::{Access, Budget, Clock, FileSystem, MemFs, MemFsOptions, Overlay, PackedFiles, PackedFs, Vfs};
use qyvol_fs::landlock::Reach;
use qyvol_fs::{DiskFs, DiskFsOptions, DiskQuota, Folder};

use crate::preload;
use crate::shared::{Around, SharedFs};

/// The largest file in memory: what the app's memory can hold bounds it before this does, but for holes.
const MEMORY_FILE_BYTES_MAX: u64 = 1 << 40;

/// How a folder of the host is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// As it is.
    Disk,
    /// With changes that stay in memory.
    Overlay,
    /// As a copy in memory.
    Memory,
}

/// A guest's files, and which folders of the host they reach.
pub struct Files {
    /// The mount table.
    pub vfs: Vfs,
    /// Every mount's place in the guest, parents first.
    pub places: Vec<String>,
    /// What the guest may reach of the host, for the second wall.
    pub reach: Vec<(Folder, Reach)>,
}

/// Why a tree cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The packaged files have paths that exclude each other.
    #[error("the packaged files make no tree: {0}")]
    Packaged(qyv_vfs::Error),
    /// A folder of the host cannot be used.
    #[error("cannot show `{}`: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder cannot be shown with changes or as a copy.
    #[error("`{}` cannot be loaded: {source}", path.display())]
    Load {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: qyv_vfs::Error,
    },
    /// Two mounts have one place.
    #[error("two mounts are at `{0}`")]
    Twice(String),
    /// A mount's place is a file.
    #[error("`{0}` is a file, so nothing can be mounted there")]
    OnFile(String),
    /// A mount cannot be made.
    #[error("cannot mount at `{place}`: {source}")]
    Mount {
        /// Its place.
        place: String,
        /// Why.
        source: qyv_vfs::Error,
    },
}

/// A tree that is being built.
pub struct Tree<'a> {
    limits: &'a AppLimits,
    memory: &'a Budget,
    clock: Arc<dyn Clock>,
    list: Vec<(String, Box<dyn FileSystem>, Access)>,
    reach: Vec<(Folder, Reach)>,
    around: Option<Around>,
}

impl<'a> Tree<'a> {
    /// An empty tree for an app with these limits; what lies in memory is charged to `memory`.
    #[must_use]
    pub fn new(limits: &'a AppLimits, memory: &'a Budget) -> Self {
        Self {
            limits,
            memory,
            clock: Arc::new(SystemClock),
            list: Vec::new(),
            reach: Vec::new(),
            around: None,
        }
    }

    /// Has every call on the files made by `around`, for a host that must know which of its threads wait.
    #[must_use]
    pub const fn around(mut self, around: Around) -> Self {
        self.around = Some(around);
        self
    }

    /// The app's packaged files at `/`, and where they are read from when that is a folder.
    ///
    /// # Errors
    ///
    /// When they make no tree.
    pub fn packaged(&mut self, files: Arc<dyn PackedFiles>, folder: Option<Folder>) -> Result<(), Error> {
        let own = PackedFs::new(files).map_err(Error::Packaged)?;
        self.add("/", Box::new(own), Access::ReadOnly);
        self.reach.extend(folder.map(|folder| (folder, Reach::ReadOnly)));
        Ok(())
    }

    /// At most `bytes` of memory.
    pub fn memory(&mut self, place: &str, bytes: u64) {
        let fs = MemFs::new(self.memory_options(bytes));
        self.add(place, Box::new(fs), Access::ReadWrite);
    }

    /// Files that lie in memory and cannot be changed, each with its name. For secrets.
    ///
    /// # Errors
    ///
    /// When a name is none, or the app's memory does not hold them.
    pub fn given(&mut self, place: &str, files: &[(&str, &[u8])]) -> Result<(), Error> {
        let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let mut fs = MemFs::new(self.memory_options(bytes));
        for (name, bytes) in files {
            preload::write(&mut fs, name, bytes)
                .map_err(|source| Error::Mount { place: format!("{place}/{name}"), source })?;
        }
        self.add(place, Box::new(fs), Access::ReadOnly);
        Ok(())
    }

    /// A folder of the host; `path` is its name in messages.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or does not fit into memory.
    pub fn folder(
        &mut self,
        place: &str,
        folder: &Folder,
        path: &Path,
        access: Access,
        show: Show,
    ) -> Result<(), Error> {
        let fail = |source| Error::Folder { path: path.to_owned(), source };
        let load = |source| Error::Load { path: path.to_owned(), source };
        let kept = folder.try_clone().map_err(fail)?;
        let mut disk = folder
            .try_clone()
            .and_then(|folder| DiskFs::new(folder, DiskFsOptions::default()))
            .map_err(fail)?;
        let fs: Box<dyn FileSystem> = match show {
            Show::Disk => Box::new(disk),
            Show::Overlay => {
                let options = self.memory_options(self.limits.disk);
                Box::new(Overlay::new(Box::new(disk), options).map_err(load)?)
            }
            Show::Memory => {
                let mut fs = MemFs::new(self.memory_options(self.limits.disk));
                preload::copy(&mut disk, &mut fs).map_err(load)?;
                Box::new(fs)
            }
        };
        let changed = access == Access::ReadWrite && show == Show::Disk;
        self.reach.push((kept, if changed { Reach::ReadWrite } else { Reach::ReadOnly }));
        self.add(place, fs, access);
        Ok(())
    }

    /// The app's private volume, held to its limits. What it holds already is counted now.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn volume(&mut self, place: &str, folder: &Folder, path: &Path) -> Result<(), Error> {
        let fail = |source| Error::Folder { path: path.to_owned(), source };
        let quota = DiskQuota {
            bytes: Budget::new(self.limits.disk),
            inodes: Budget::new(u64::from(self.limits.inodes)),
        };
        let options = DiskFsOptions { quota: Some(quota), ..DiskFsOptions::default() };
        let kept = folder.try_clone().map_err(fail)?;
        let fs = folder.try_clone().and_then(|folder| DiskFs::new(folder, options)).map_err(fail)?;
        self.reach.push((kept, Reach::ReadWrite));
        self.add(place, Box::new(fs), Access::ReadWrite);
        Ok(())
    }

    /// Mounts everything.
    ///
    /// # Errors
    ///
    /// When two mounts have one place, or one lies on a file.
    pub fn build(mut self) -> Result<Files, Error> {
        let reach = std::mem::take(&mut self.reach);
        let (vfs, places) = match self.around {
            Some(_) => self.share().mount()?,
            None => mount(self.list)?,
        };
        Ok(Files { vfs, places, reach })
    }

    /// Keeps everything for several programs that see the same files.
    #[must_use]
    pub fn share(self) -> SharedTree {
        let shared = |(place, fs, access)| (place, Arc::new(Mutex::new(fs)), access);
        let around = self.around.unwrap_or(|call| call());
        SharedTree { list: self.list.into_iter().map(shared).collect(), around }
    }

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
}

/// A mount that several programs see: its place, its files and what they may do with them.
type SharedMount = (String, Arc<Mutex<Box<dyn FileSystem>>>, Access);

/// The mounts of an app, for each of its programs that run at once: what one writes, the others read, and quotas count for
/// all of them together.
pub struct SharedTree {
    list: Vec<SharedMount>,
    around: Around,
}

impl SharedTree {
    /// Mounts everything for one more program, and tells every mount's place, parents first.
    ///
    /// # Errors
    ///
    /// When two mounts have one place, or one lies on a file.
    pub fn mount(&self) -> Result<(Vfs, Vec<String>), Error> {
        let hand = |(place, fs, access): &SharedMount| {
            let fs: Box<dyn FileSystem> = Box::new(SharedFs::new(Arc::clone(fs), self.around));
            (place.clone(), fs, *access)
        };
        mount(self.list.iter().map(hand).collect())
    }
}

fn mount(mut list: Vec<(String, Box<dyn FileSystem>, Access)>) -> Result<(Vfs, Vec<String>), Error> {
    // Parents before what lies in them.
    list.sort_by(|a, b| a.0.cmp(&b.0));
    let mut vfs = Vfs::new();
    let mut places = Vec::new();
    for (place, fs, access) in list {
        if let Err(source) = vfs.mount(&place, fs, access) {
            return Err(match source {
                qyv_vfs::Error::BUSY => Error::Twice(place),
                qyv_vfs::Error::NOTDIR => Error::OnFile(place),
                source => Error::Mount { place, source },
            });
        }
        places.push(place);
    }
    Ok((vfs, places))
}

/// This host's clock, for the time stamps of files in memory.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyv_vfs::OpenOptions;

    fn limits() -> AppLimits {
        AppLimits {
            memory: 1 << 20,
            cpu_milli: None,
            cpu_time_ms: None,
            wall_ms: None,
            stack: 1 << 20,
            fds: 64,
            disk: 1 << 20,
            inodes: 100,
            log: 1 << 20,
            instances: 1,
            requests: None,
        }
    }

    #[test]
    fn what_is_given_is_read_and_not_changed() {
        let (limits, memory) = (limits(), Budget::new(1 << 20));
        let mut tree = Tree::new(&limits, &memory);
        tree.memory("/run", 1000);
        tree.given("/run/secrets", &[("key", b"hunter2"), ("empty", b"")]).unwrap();
        let mut files = tree.build().unwrap();
        assert_eq!(files.places, ["/run", "/run/secrets"]);
        let root = files.vfs.open_root("/run/secrets").unwrap();
        let read = OpenOptions { read: true, ..OpenOptions::default() };
        let (key, _) = files.vfs.open(root, "key", false, &read).unwrap();
        let mut buffer = [0; 16];
        let count = files.vfs.read_at(key, 0, &mut [&mut buffer]).unwrap();
        assert_eq!(&buffer[..count], b"hunter2");
        assert_eq!(files.vfs.unlink(root, "key"), Err(qyv_vfs::Error::ROFS));
        let mut tree = Tree::new(&limits, &memory);
        assert!(tree.given("/s", &[("large", &[0; 2 << 20])]).is_err());
    }

    #[test]
    fn programs_that_share_a_tree_see_one_anothers_files_within_one_quota_and_hold_their_own() {
        let (limits, memory) = (limits(), Budget::new(1 << 20));
        let mut tree = Tree::new(&limits, &memory);
        tree.memory("/tmp", 10_000);
        let shared = tree.share();
        let ((mut first, places), (mut second, _)) = (shared.mount().unwrap(), shared.mount().unwrap());
        assert_eq!(places, ["/tmp"]);
        let (here, there) = (first.open_root("/tmp").unwrap(), second.open_root("/tmp").unwrap());
        let options = OpenOptions { read: true, write: true, create: true, ..OpenOptions::default() };
        let (file, _) = first.open(here, "file", false, &options).unwrap();
        assert_eq!(first.write_at(file, 0, &[b"hello"]), Ok(5));
        let (same, _) = second.open(there, "file", false, &options).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(second.read_at(same, 0, &mut [&mut buffer]), Ok(5));
        let (other, _) = second.open(there, "other", false, &options).unwrap();
        let stored = second.write_at(other, 0, &[&[7; 20_000]]).unwrap();
        assert!(stored <= 10_000 && first.write_at(file, 5, &[&[7; 10_000]]) != Ok(10_000));
        // What the second held open goes with it: a file without a name is gone then, and its bytes are free again.
        second.unlink(there, "other").unwrap();
        let full = memory.used();
        drop(second);
        assert!(memory.used() + stored as u64 <= full, "{full} {}", memory.used());
        assert_eq!(first.write_at(file, 5, &[&[7; 1000]]), Ok(1000));
    }

    #[test]
    fn two_mounts_at_one_place_are_refused() {
        let (limits, memory) = (limits(), Budget::new(1 << 20));
        let mut tree = Tree::new(&limits, &memory);
        tree.memory("/tmp", 1000);
        tree.memory("/tmp", 1000);
        assert!(matches!(tree.build(), Err(Error::Twice(place)) if place == "/tmp"));
    }
}
