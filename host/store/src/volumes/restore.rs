//! A volume from a tar archive that somebody brings, and that is not believed.
//!
//! It is unpacked into a folder of its own, which gets its name when all is there. Links are made last, so that nothing is
//! written through one, and only such as stay within the volume whatever others are beside them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, EntryType};

use super::{DRAFT_PREFIX, Kind, TRASH, VOLUME_DEPTH_MAX, Volumes, empty, random_name, walk};
use crate::{Error, Result};

/// The longest path in an archive, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// The most bytes before a file's content: long names and the like, which are read into memory.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// The most bytes of paths of folders and links, which are remembered to the end.
const REMEMBERED_BYTES_MAX: usize = 64 << 20;

/// How much an archive may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreLimits {
    /// Bytes in files.
    pub bytes: u64,
    /// Files, folders and links.
    pub inodes: u64,
}

impl Volumes {
    /// Makes the volume `identity` of a tar archive: files, folders and links, their rights and times.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when there is such a volume; [`Error::TooLarge`] beyond `limits`; [`Error::Invalid`] when something
    /// in the archive is refused, which is named: absolute paths and `..`, links that may lead out, hard links, devices. Then
    /// nothing is there.
    pub fn restore(&self, identity: &str, archive: &mut dyn Read, limits: RestoreLimits) -> Result<()> {
        let exists = || Error::Exists(format!("the volume `{identity}`"));
        if self.path(identity)?.symlink_metadata().is_ok() {
            return Err(exists());
        }
        self.unpack(identity, archive, limits, |draft, path| {
            // An empty folder that came meanwhile is replaced; any other is not.
            std::fs::rename(draft, path).map_err(|error| match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => exists(),
                _ => Error::Io { what: format!("restore the volume `{identity}`"), source: error },
            })
        })
    }

    /// The same in place of the volume `identity`, which there may be: at one moment it is the old one, at the next the new
    /// one. `allowed` is asked just before.
    ///
    /// # Errors
    ///
    /// As of [`Self::restore`], but for [`Error::Exists`]; those of `allowed`. Then the volume is as it was.
    pub fn replace(
        &self,
        identity: &str,
        archive: &mut dyn Read,
        limits: RestoreLimits,
        allowed: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.unpack(identity, archive, limits, |draft, path| {
            allowed()?;
            let failed = Error::io(format!("restore the volume `{identity}`"));
            if path.symlink_metadata().is_err() {
                return std::fs::rename(draft, path).map_err(failed);
            }
            let (cwd, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            rustix::fs::renameat_with(cwd, draft, cwd, path, exchange)
                .map_err(io::Error::from)
                .map_err(failed)
        })
    }

    /// Unpacks to a folder of its own and lets `publish` give it its name. What then is in that folder goes.
    fn unpack(
        &self,
        identity: &str,
        archive: &mut dyn Read,
        limits: RestoreLimits,
        publish: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<()> {
        let failed = || Error::io(format!("restore the volume `{identity}`"));
        let path = self.path(identity)?;
        let draft = self.folder.join(format!("{DRAFT_PREFIX}{}", random_name()));
        DirBuilder::new().mode(0o700).create(&draft).map_err(failed())?;
        let mut unpacking = Unpacking {
            root: &draft,
            limits,
            links: Vec::new(),
            folders: vec![(draft.clone(), 0o700, None)],
            remembered: 0,
        };
        let restored = unpacking.all(archive, identity).and_then(|()| {
            publish(&draft, &path)?;
            self.sync().map_err(failed())
        });
        let trash = self.folder.join(TRASH);
        let _ = std::fs::rename(&draft, trash.join(random_name())).and_then(|()| empty(&trash));
        restored
    }
}

struct Unpacking<'a> {
    root: &'a Path,
    /// What is left.
    limits: RestoreLimits,
    links: Vec<(PathBuf, PathBuf)>,
    /// Each with the rights and the time that it gets in the end.
    folders: Vec<(PathBuf, u32, Option<SystemTime>)>,
    /// Bytes of the paths above.
    remembered: usize,
}

/// An archive of which only so much can be read until more is allowed.
struct Metered<'a> {
    archive: &'a mut dyn Read,
    left: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("names and other headers of more than 1 MiB"));
        }
        let count = self.archive.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

impl Unpacking<'_> {
    fn all(&mut self, archive: &mut dyn Read, identity: &str) -> Result<()> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull => Error::Io { what: format!("restore `{identity}`"), source: error },
            _ => Error::Invalid(format!("this is no tar archive, or it is damaged: {error}")),
        };
        let given = self.limits;
        let left = Cell::new(HEADER_BYTES_MAX);
        let mut archive = Archive::new(Metered { archive, left: &left });
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let shown = String::from_utf8_lossy(&entry.path_bytes()).chars().take(200).collect::<String>();
            let refused = |why: &str| Error::Invalid(format!("the archive is refused for `{shown}`: {why}"));
            let path = inside(&entry.path().map_err(unreadable)?).map_err(refused)?;
            let mode = entry.header().mode().map_err(unreadable)? & 0o777;
            let time = entry.header().mtime().map_err(unreadable)?;
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time));
            let inodes = self.limits.inodes.checked_sub(1);
            self.limits.inodes = inodes.ok_or_else(|| too_large(identity, given.inodes, "files"))?;
            match entry.header().entry_type() {
                // The volume itself.
                EntryType::Directory if path.as_os_str().is_empty() => {}
                _ if path.as_os_str().is_empty() => return Err(refused("it has no name")),
                EntryType::Directory => {
                    self.folder(&path).map_err(unreadable)?;
                    let path = self.root.join(&path);
                    self.remembered += path.as_os_str().len();
                    self.folders.push((path, mode | 0o700, time));
                }
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    let size = entry.size();
                    let bytes = self.limits.bytes.checked_sub(size);
                    self.limits.bytes = bytes.ok_or_else(|| too_large(identity, given.bytes, "bytes"))?;
                    left.set(size.saturating_add(HEADER_BYTES_MAX));
                    self.file(&path, &mut entry, size, mode, time).map_err(unreadable)?;
                }
                EntryType::Symlink => {
                    let target = entry.link_name().map_err(unreadable)?.unwrap_or_default().into_owned();
                    if !stays_inside(&path, &target) {
                        return Err(refused(
                            "it is a link that may lead out of the volume; `..` may only stand at a target's beginning",
                        ));
                    }
                    self.remembered += path.as_os_str().len() + target.as_os_str().len();
                    self.links.push((path, target));
                }
                EntryType::XGlobalHeader => {}
                EntryType::Link => {
                    return Err(refused("hard links are not restored; pack it as a file of its own"));
                }
                _ => return Err(refused("it is neither a file nor a folder nor a link")),
            }
            if self.remembered > REMEMBERED_BYTES_MAX {
                return Err(too_large(
                    identity,
                    REMEMBERED_BYTES_MAX as u64,
                    "bytes of names of folders and links",
                ));
            }
            left.set(HEADER_BYTES_MAX);
        }
        self.finish().map_err(Error::io(format!("restore the volume `{identity}`")))
    }

    /// Makes a folder and those that it stands in.
    fn folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(path))
    }

    fn file(
        &self,
        path: &Path,
        content: &mut dyn Read,
        size: u64,
        mode: u32,
        time: Option<SystemTime>,
    ) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.root.join(path))?;
        if io::copy(&mut content.take(size), &mut file)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        if let Some(time) = time {
            file.set_modified(time)?;
        }
        file.sync_all()
    }

    fn finish(&mut self) -> io::Result<()> {
        for (path, target) in &self.links {
            self.folder(path.parent().unwrap_or(Path::new("")))?;
            std::os::unix::fs::symlink(target, self.root.join(path))?;
        }
        // Those within others first, whose rights and times they would change.
        let mut seen = BTreeSet::new();
        self.folders.sort_by_key(|(path, ..)| std::cmp::Reverse(path.components().count()));
        for (path, mode, time) in &self.folders {
            // What was named as a folder may have become a link: that is none of ours to touch.
            if !seen.insert(path) || !path.symlink_metadata()?.is_dir() {
                continue;
            }
            let folder = File::open(path)?;
            folder.set_permissions(Permissions::from_mode(*mode))?;
            if let Some(time) = time {
                folder.set_modified(*time)?;
            }
        }
        // Every folder, those too that no entry has named.
        let root = File::open(self.root)?;
        root.sync_all()?;
        walk(root.into(), &mut |item| {
            if matches!(item.kind, Kind::Folder) {
                File::open(self.root.join(item.path))?.sync_all()?;
            }
            Ok(true)
        })
    }
}

fn too_large(identity: &str, limit: u64, unit: &'static str) -> Error {
    Error::TooLarge { what: format!("the volume `{identity}` in this archive"), limit, unit }
}

/// A path of an archive, without `.`; `Err` says why it is refused.
fn inside(path: &Path) -> std::result::Result<PathBuf, &'static str> {
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err("its path is longer than 4096 bytes");
    }
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path has `..` in it"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    if clean.components().count() >= VOLUME_DEPTH_MAX {
        return Err("it is more than 128 folders deep");
    }
    Ok(clean)
}

/// Whether a link at `path` stays within the volume whatever other links are there, when all of them pass this test: `..`
/// stands at the beginning only, where it counts folders that are no links, and not more often than there are.
pub(super) fn stays_inside(path: &Path, target: &Path) -> bool {
    let depth = path.components().count().saturating_sub(1);
    let mut ups = 0;
    let mut named = false;
    !target.as_os_str().is_empty()
        && target.components().all(|component| match component {
            Component::Normal(_) => {
                named = true;
                true
            }
            Component::CurDir => true,
            Component::ParentDir => {
                ups += 1;
                !named && ups <= depth
            }
            Component::RootDir | Component::Prefix(_) => false,
        })
}
