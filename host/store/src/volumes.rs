//! The folders that apps keep.
//!
//! They are the apps': what is in them was chosen by guests, and may change while it is looked at. So nothing here follows a
//! link, and no walk goes deeper than [`VOLUME_DEPTH_MAX`].

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::{Error, Result};

mod archive;
mod restore;

pub use archive::Backup;
pub use restore::RestoreLimits;

/// How deep folders of a volume may stand in one another to be counted, saved and restored.
pub const VOLUME_DEPTH_MAX: usize = 128;

/// How many files and folders of one volume are counted.
const COUNT_MAX: u64 = 1_000_000;

/// Longest name of a volume, in bytes: that of a file.
const IDENTITY_BYTES_MAX: usize = 200;

/// Where things are before they are there, and after.
const DRAFT_PREFIX: &str = ".draft-";
const TRASH: &str = ".trash";

/// The volumes of a state.
#[derive(Debug)]
pub struct Volumes {
    folder: PathBuf,
}

/// What a volume takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Bytes in its files.
    pub bytes: u64,
    /// Files, folders and links in it.
    pub inodes: u64,
    /// Whether all was counted: not so beyond a million files, or [`VOLUME_DEPTH_MAX`] folders deep.
    pub complete: bool,
}

impl Volumes {
    /// The volumes in `volumes/` of the state folder `state`. What earlier processes have not finished is removed.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn open(state: &Path) -> Result<Self> {
        let volumes = Self { folder: state.join("volumes") };
        let failed = || Error::io(format!("clean up `{}`", volumes.folder.display()));
        let trash = volumes.folder.join(TRASH);
        DirBuilder::new().recursive(true).mode(0o700).create(&trash).map_err(failed())?;
        let entries = std::fs::read_dir(&volumes.folder).map_err(failed())?;
        for (number, entry) in entries.enumerate() {
            let name = entry.map_err(failed())?.file_name();
            if name.as_encoded_bytes().starts_with(DRAFT_PREFIX.as_bytes()) {
                let to = trash.join(format!("draft-{number}-{}", random_name()));
                std::fs::rename(volumes.folder.join(name), to).map_err(failed())?;
            }
        }
        empty(&trash).map_err(failed())?;
        Ok(volumes)
    }

    /// Where the volume `identity` lies, whether it is there or not.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when that is no name of a volume: 1 to 200 of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.` and `@`, no `.` first.
    pub fn path(&self, identity: &str) -> Result<PathBuf> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        let fits = !identity.is_empty() && identity.len() <= IDENTITY_BYTES_MAX;
        if !fits || identity.starts_with('.') || !identity.bytes().all(allowed) {
            let shown: String = identity.chars().take(64).filter(|c| !c.is_control()).collect();
            return Err(Error::Invalid(format!(
                "`{shown}` is not the name of a volume; `volume ls` lists those that there are"
            )));
        }
        Ok(self.folder.join(identity))
    }

    /// Makes the volume `identity` (0700) unless it is there, and tells where it lies.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]; the disk's.
    pub fn create(&self, identity: &str) -> Result<PathBuf> {
        let path = self.path(identity)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.and_then(|()| self.sync()).map_err(Error::io(format!("make the volume `{identity}`")))?;
        Ok(path)
    }

    /// The names of all volumes, in order.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn list(&self) -> Result<Vec<String>> {
        let failed = || Error::io("list the volumes");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name().into_string();
            names.extend(name.ok().filter(|name| self.path(name).is_ok()));
        }
        names.sort();
        Ok(names)
    }

    /// What the volume `identity` takes, as far as it can be counted while it is used.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; the disk's.
    pub fn usage(&self, identity: &str) -> Result<VolumeUsage> {
        let mut usage = VolumeUsage { complete: true, ..VolumeUsage::default() };
        let root = self.open_volume(identity)?;
        let walked = walk(root, &mut |item| {
            if usage.inodes == COUNT_MAX {
                usage.complete = false;
                return Ok(false);
            }
            usage.inodes += 1;
            match item.kind {
                Kind::File { size } => usage.bytes = usage.bytes.saturating_add(size),
                Kind::TooDeep => usage.complete = false,
                _ => {}
            }
            Ok(true)
        });
        walked.map_err(Error::io(format!("count the volume `{identity}`")))?;
        Ok(usage)
    }

    /// Removes the volume `identity`: it is gone at once, and its files soon.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; the disk's.
    pub fn remove(&self, identity: &str) -> Result<()> {
        let path = self.path(identity)?;
        let trash = self.folder.join(TRASH);
        let removed = std::fs::rename(&path, trash.join(random_name())).and_then(|()| {
            self.sync()?;
            empty(&trash)
        });
        removed.map_err(|error| missing(identity, "remove", error))
    }

    fn open_volume(&self, identity: &str) -> Result<OwnedFd> {
        let opened = rustix::fs::open(self.path(identity)?, FOLDER_FLAGS, Mode::empty());
        opened.map_err(|error| missing(identity, "open", error.into()))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn missing(identity: &str, what: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(format!("volume `{identity}`")),
        _ => Error::Io { what: format!("{what} the volume `{identity}`"), source: error },
    }
}

fn random_name() -> String {
    // Folders of this process and of those before it must not meet; nobody else looks.
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}

/// Removes what is in `trash`. A guest may have made folders deeper than any path or stack: each folder within a folder is
/// first moved up.
fn empty(trash: &Path) -> io::Result<()> {
    let mut number = 0_u64;
    loop {
        let mut found = false;
        for entry in std::fs::read_dir(trash)? {
            let entry = entry?;
            found = true;
            if !entry.file_type()?.is_dir() {
                std::fs::remove_file(entry.path())?;
                continue;
            }
            // A guest may have taken its own rights away.
            let _ = rustix::fs::chmod(entry.path(), Mode::RWXU);
            for inner in std::fs::read_dir(entry.path())? {
                let inner = inner?;
                if inner.file_type()?.is_dir() {
                    let _ = rustix::fs::chmod(inner.path(), Mode::RWXU);
                    number += 1;
                    std::fs::rename(inner.path(), trash.join(format!("up-{number}-{}", random_name())))?;
                } else {
                    std::fs::remove_file(inner.path())?;
                }
            }
            std::fs::remove_dir(entry.path())?;
        }
        if !found {
            return Ok(());
        }
    }
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Something in a volume.
struct Item<'a> {
    /// The folder that it stands in, and its name there.
    folder: BorrowedFd<'a>,
    name: &'a OsStr,
    /// Its path from the volume's root.
    path: &'a Path,
    kind: Kind,
    mode: u32,
    /// Seconds since 1970.
    modified: i64,
}

enum Kind {
    File {
        size: u64,
    },
    Folder,
    Link,
    /// A FIFO, a socket, a device: nothing that a guest can make.
    Other,
    /// A folder that is not gone into.
    TooDeep,
}

/// Calls `visit` for everything beneath `root`, folders before what is in them, until it answers `false`. What vanishes
/// meanwhile is left out.
fn walk(root: OwnedFd, visit: &mut dyn FnMut(&Item<'_>) -> io::Result<bool>) -> io::Result<()> {
    let mut path = PathBuf::new();
    // One descriptor a level, and no list of names, however many there are.
    let mut levels = vec![Dir::new(root)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.next().transpose()? else {
            levels.pop();
            path.pop();
            continue;
        };
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let folder = level.fd()?;
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => continue,
            stat => stat?,
        };
        path.push(name);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File { size: u64::try_from(stat.st_size).unwrap_or(0) },
            FileType::Symlink => Kind::Link,
            FileType::Directory if path.components().count() >= VOLUME_DEPTH_MAX => Kind::TooDeep,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        };
        let deeper = matches!(kind, Kind::Folder);
        let (mode, modified) = (stat.st_mode & 0o777, stat.st_mtime);
        let item = Item { folder, name, path: &path, kind, mode, modified };
        if !visit(&item)? {
            return Ok(());
        }
        if deeper {
            match rustix::fs::openat(folder, name, FOLDER_FLAGS, Mode::empty()) {
                // It vanished, or became something else.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {}
                folder => {
                    levels.push(Dir::new(folder?)?);
                    continue;
                }
            }
        }
        path.pop();
    }
    Ok(())
}
