//! Files of a tree as a tar archive, and an archive into a tree: `qyvol cp`, on both of its sides.
//!
//! All goes through the mount table: no path and no link leads out of a mount, what is read-only stays so, and quotas hold.
//! An archive is not believed: what is in its names is checked, and how much of its headers is read is bounded.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use qyv_vfs::{Attributes, DirEntry, FileType, Node, OpenOptions, SetTime, Vfs};
use tar::{Archive, Builder, EntryType, Header};

/// How deep folders may stand in one another.
const DEPTH_MAX: usize = 128;

/// How many entries of a folder are looked at in one go.
const BATCH: usize = 256;

/// The most bytes before a file's content: long names and the like, which are read into memory.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// How much is copied at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// How many things that were left out are named.
const SKIPPED_MAX: usize = 100;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What was left out, with the reason; a hundred at most.
    pub skipped: Vec<String>,
}

impl Copied {
    fn skip(&mut self, path: &str, why: &str) {
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(format!("{path}: {why}"));
        }
    }
}

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The tree's own word about a path.
    #[error("`/{path}`: {}", in_words(*source))]
    Tree {
        /// The path.
        path: String,
        /// Why.
        source: qyv_vfs::Error,
    },
    /// Something in an archive is refused.
    #[error("the archive is refused for `{path}`: {why}")]
    Refused {
        /// Its name there.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The archive cannot be read or written.
    #[error("{0}")]
    Stream(#[from] io::Error),
}

fn in_words(error: qyv_vfs::Error) -> &'static str {
    match error {
        qyv_vfs::Error::NOENT => "there is no such file or folder",
        qyv_vfs::Error::NOSPC => "the app's limits leave no room for it",
        qyv_vfs::Error::NOTDIR => "it is no folder",
        other => other.name(),
    }
}

fn of<T>(path: &str, result: qyv_vfs::Result<T>) -> Result<T, CopyError> {
    result.map_err(|source| CopyError::Tree { path: path.to_owned(), source })
}

/// `path`, absolute, as one beneath the root: without `.` and repeated slashes. `None` when `..` is in it, or it is not
/// absolute.
#[must_use]
pub fn beneath_root(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What is at `path`, a path beneath the root; a link is not followed.
///
/// # Errors
///
/// [`CopyError::Tree`].
pub fn look(vfs: &mut Vfs, path: &str) -> Result<Attributes, CopyError> {
    let root = of("/", vfs.open_root("/"))?;
    of(path, vfs.attributes_at(root, or_root(path), false))
}

fn or_root(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// Writes what is at `path`, a path beneath the root, as an archive in which it is called `name`, and folders with all that
/// is in them.
///
/// # Errors
///
/// [`CopyError::Tree`], and the output's.
pub fn pack(vfs: &mut Vfs, path: &str, name: &str, output: &mut dyn Write) -> Result<Copied, CopyError> {
    let root = of("/", vfs.open_root("/"))?;
    let mut packing = Packing { vfs, root, archive: Builder::new(output), copied: Copied::default() };
    let about = of(path, packing.vfs.attributes_at(root, or_root(path), false))?;
    packing.entry(path, name, about.kind, 0)?;
    packing.archive.finish()?;
    Ok(packing.copied)
}

struct Packing<'a> {
    vfs: &'a mut Vfs,
    root: Node,
    archive: Builder<&'a mut dyn Write>,
    copied: Copied,
}

impl Packing<'_> {
    fn entry(&mut self, path: &str, name: &str, kind: FileType, depth: usize) -> Result<(), CopyError> {
        match kind {
            FileType::Regular => self.file(path, name),
            FileType::Symlink => self.link(path, name),
            FileType::Directory if depth >= DEPTH_MAX => {
                self.copied.skip(path, "it is more than 128 folders deep");
                Ok(())
            }
            FileType::Directory => self.folder(path, name, depth),
        }
    }

    fn folder(&mut self, path: &str, name: &str, depth: usize) -> Result<(), CopyError> {
        let options = OpenOptions { directory: true, ..OpenOptions::default() };
        let (node, _) = match self.vfs.open(self.root, or_root(path), false, &options) {
            // It went, or became something else, meanwhile.
            Err(_) if depth > 0 => return Ok(()),
            opened => of(path, opened)?,
        };
        let modified = self.vfs.attributes(node).map_or(0, |about| about.times.modified);
        let mut header = header(EntryType::Directory, 0o755, 0, modified);
        let packed = match self.archive.append_data(&mut header, format!("{name}/"), io::empty()) {
            Ok(()) => self.inside(node, path, name, depth),
            Err(error) => Err(error.into()),
        };
        self.vfs.close(node);
        packed
    }

    fn inside(&mut self, node: Node, path: &str, name: &str, depth: usize) -> Result<(), CopyError> {
        let mut cookie = 0;
        loop {
            let mut entries: Vec<DirEntry> = Vec::new();
            let mut take = |entry| {
                entries.push(entry);
                entries.len() < BATCH
            };
            of(path, self.vfs.read_dir(node, cookie, &mut take))?;
            let Some(last) = entries.last() else { return Ok(()) };
            cookie = last.next;
            for DirEntry { name: own, kind, .. } in entries {
                let below = if path.is_empty() { own.clone() } else { format!("{path}/{own}") };
                self.entry(&below, &format!("{name}/{own}"), kind, depth + 1)?;
            }
        }
    }

    fn file(&mut self, path: &str, name: &str) -> Result<(), CopyError> {
        let options = OpenOptions { read: true, ..OpenOptions::default() };
        let node = match self.vfs.open(self.root, path, false, &options) {
            Ok((node, FileType::Regular)) => node,
            Ok((node, _)) => {
                self.vfs.close(node);
                self.copied.skip(path, "it changed into something else");
                return Ok(());
            }
            Err(error) => {
                self.copied.skip(path, &error.to_string());
                return Ok(());
            }
        };
        let packed = self.content(node, path, name);
        self.vfs.close(node);
        packed
    }

    fn content(&mut self, node: Node, path: &str, name: &str) -> Result<(), CopyError> {
        let about = of(path, self.vfs.attributes(node))?;
        let mut header = header(EntryType::Regular, 0o644, about.size, about.times.modified);
        let mut offset = 0;
        let vfs = &mut *self.vfs;
        let read = ReadWith(|into: &mut [u8]| {
            let count = vfs
                .read_at(node, offset, &mut [into])
                .map_err(|error| io::Error::other(error.to_string()))?;
            offset += count as u64;
            Ok(count)
        });
        // As long as it was: one that is cut meanwhile is filled up with zeros, or the archive would be broken.
        let whole = read.chain(io::repeat(0)).take(about.size);
        self.archive.append_data(&mut header, name, whole)?;
        self.copied.files += 1;
        self.copied.bytes += about.size;
        Ok(())
    }

    fn link(&mut self, path: &str, name: &str) -> Result<(), CopyError> {
        let target = match self.vfs.read_link(self.root, path) {
            Ok(target) => target,
            Err(error) => {
                self.copied.skip(path, &error.to_string());
                return Ok(());
            }
        };
        if !stays_inside(Path::new(name), Path::new(&target), 1) {
            self.copied.skip(path, "a link that may lead out of what is copied");
            return Ok(());
        }
        let mut header = header(EntryType::Symlink, 0o777, 0, 0);
        Ok(self.archive.append_link(&mut header, name, target)?)
    }
}

fn header(kind: EntryType, mode: u32, size: u64, modified: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified / 1_000_000_000);
    header
}

/// A closure that is read from.
struct ReadWith<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for ReadWith<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (self.0)(into)
    }
}

/// Puts what is in an archive into `folder`, a folder beneath the root. `name` takes the place of the first component of
/// each path. What is there already is replaced file by file; a folder stays, with what is in it.
///
/// # Errors
///
/// [`CopyError::Refused`] for absolute paths and `..`, links that may lead out, hard links and devices; [`CopyError::Tree`],
/// with what came before it in place.
pub fn unpack(
    vfs: &mut Vfs,
    folder: &str,
    name: Option<&str>,
    input: &mut dyn Read,
) -> Result<Copied, CopyError> {
    let root = of("/", vfs.open_root("/"))?;
    let left = Cell::new(HEADER_BYTES_MAX);
    let metered = ReadWith(|into: &mut [u8]| {
        let most = into.len().min(usize::try_from(left.get()).unwrap_or(usize::MAX));
        if most == 0 && !into.is_empty() {
            return Err(io::Error::other("the archive has names or other headers of more than 1 MiB"));
        }
        let count = input.read(&mut into[..most])?;
        left.set(left.get() - count as u64);
        Ok(count)
    });
    let mut archive = Archive::new(metered);
    let mut copied = Copied::default();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).chars().take(200).collect::<String>();
        let refused = |why| CopyError::Refused { path: shown.clone(), why };
        let own = inside(&entry.path()?, name).map_err(refused)?;
        let place = if folder.is_empty() { own.clone() } else { format!("{folder}/{own}") };
        let modified = entry.header().mtime()?.checked_mul(1_000_000_000);
        match entry.header().entry_type() {
            EntryType::Directory => folders(vfs, root, &place, own.is_empty())?,
            _ if own.is_empty() => return Err(refused("it has no name")),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                left.set(size.saturating_add(HEADER_BYTES_MAX));
                parent(vfs, root, &place)?;
                file(vfs, root, &place, &mut entry, modified)?;
                copied.files += 1;
                copied.bytes += size;
            }
            EntryType::Symlink => {
                let target =
                    entry.link_name()?.ok_or_else(|| refused("it is a link to nothing"))?.into_owned();
                // Beneath a name of its own, that is all that is copied; otherwise the folder is.
                let kept = usize::from(name.is_some());
                let Some(text) = target.to_str().filter(|_| stays_inside(Path::new(&own), &target, kept))
                else {
                    return Err(refused(
                        "it is a link that may lead out; `..` may only stand at a target's beginning",
                    ));
                };
                parent(vfs, root, &place)?;
                clear(vfs, root, &place)?;
                of(&place, vfs.symlink(text, root, &place))?;
            }
            EntryType::XGlobalHeader => {}
            EntryType::Link => {
                return Err(refused("hard links are not copied; pack it as a file of its own"));
            }
            _ => return Err(refused("it is neither a file nor a folder nor a link")),
        }
        left.set(HEADER_BYTES_MAX);
    }
    Ok(copied)
}

/// Makes a folder, unless it is there. `known` is one that must be.
fn folders(vfs: &mut Vfs, root: Node, place: &str, known: bool) -> Result<(), CopyError> {
    match vfs.attributes_at(root, or_root(place), false) {
        Ok(about) if about.kind == FileType::Directory => Ok(()),
        Ok(_) => of(place, Err(qyv_vfs::Error::NOTDIR)),
        Err(qyv_vfs::Error::NOENT) if !known => {
            parent(vfs, root, place)?;
            of(place, vfs.create_dir(root, place))
        }
        Err(error) => of(place, Err(error)),
    }
}

/// Makes the folder that `place` stands in, for archives that name files alone.
fn parent(vfs: &mut Vfs, root: Node, place: &str) -> Result<(), CopyError> {
    match place.rsplit_once('/') {
        Some((above, _)) => folders(vfs, root, above, false),
        None => Ok(()),
    }
}

/// Takes a file or link away that stands where another one is to be: nothing is written through a link.
fn clear(vfs: &mut Vfs, root: Node, place: &str) -> Result<(), CopyError> {
    match vfs.unlink(root, place) {
        Err(qyv_vfs::Error::NOENT) => Ok(()),
        done => of(place, done),
    }
}

fn file(
    vfs: &mut Vfs,
    root: Node,
    place: &str,
    content: &mut dyn Read,
    modified: Option<u64>,
) -> Result<(), CopyError> {
    clear(vfs, root, place)?;
    let options = OpenOptions { write: true, create: true, exclusive: true, ..OpenOptions::default() };
    let (node, _) = of(place, vfs.open(root, place, false, &options))?;
    let written = fill(vfs, node, place, content, modified);
    vfs.close(node);
    if written.is_err() {
        // A part of a file is worth nothing, and would take the room of others.
        let _ = vfs.unlink(root, place);
    }
    written
}

fn fill(
    vfs: &mut Vfs,
    node: Node,
    place: &str,
    content: &mut dyn Read,
    modified: Option<u64>,
) -> Result<(), CopyError> {
    let (mut buffer, mut offset) = (vec![0; PIECE_BYTES], 0);
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = of(place, vfs.write_at(node, offset, &[rest]))?;
            if written == 0 {
                return of(place, Err(qyv_vfs::Error::NOSPC));
            }
            offset += written as u64;
            rest = &rest[written..];
        }
    }
    if let Some(modified) = modified {
        of(place, vfs.set_times(node, SetTime::Keep, SetTime::At(modified)))?;
    }
    Ok(())
}

/// A path of an archive beneath the folder that it is put into, with its first component replaced by `name`.
fn inside(path: &Path, name: Option<&str>) -> Result<String, &'static str> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or("its name is not UTF-8")?),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path has `..` in it"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    if parts.len() > DEPTH_MAX {
        return Err("it is more than 128 folders deep");
    }
    match (parts.first_mut(), name) {
        (Some(first), Some(name)) => *first = name,
        (None, Some(name)) => parts.push(name),
        (_, None) => {}
    }
    Ok(parts.join("/"))
}

/// Whether a link at `path` stays within the first `kept` components of it, whatever other links are there, when all of
/// them pass this test: `..` stands at the beginning only, where it counts folders that are no links, and not more often
/// than there are.
fn stays_inside(path: &Path, target: &Path, kept: usize) -> bool {
    let Some(mut depth) = path.components().count().checked_sub(1 + kept) else { return false };
    let mut parts = target.components().peekable();
    while parts.next_if_eq(&Component::ParentDir).is_some() {
        match depth.checked_sub(1) {
            Some(less) => depth = less,
            None => return false,
        }
    }
    let rest: PathBuf = parts.collect();
    !target.as_os_str().is_empty()
        && rest.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyv_vfs::{Access, Budget, MemFs, MemFsOptions};
    use qyvol_fs::{DiskFs, DiskFsOptions, DiskQuota};
    use std::fs;
    use std::sync::Arc;

    fn disk(folder: &Path, bytes: u64) -> Vfs {
        let quota = DiskQuota { bytes: Budget::new(bytes), inodes: Budget::new(100) };
        let options = DiskFsOptions { quota: Some(quota), ..DiskFsOptions::default() };
        let mut vfs = Vfs::new();
        let packaged = MemFsOptions {
            bytes: Budget::new(0),
            inodes: Budget::new(10),
            memory: Budget::new(1 << 20),
            clock: Arc::new(crate::SystemClock),
            max_file: 0,
        };
        vfs.mount("/", Box::new(MemFs::new(packaged)), Access::ReadOnly).unwrap();
        vfs.mount("/data", Box::new(DiskFs::open(folder, options).unwrap()), Access::ReadWrite).unwrap();
        vfs
    }

    fn archive(build: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    /// An entry whose name is not looked at by who writes it.
    fn raw(builder: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, target: &str) {
        let mut header = header(kind, 0o644, 0, 0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }

    #[test]
    fn a_folder_goes_into_an_archive_and_out_again() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("a/b")).unwrap();
        let long = "n".repeat(200);
        fs::write(from.path().join("a/b").join(&long), vec![7; 200_000]).unwrap();
        for number in 0..60 {
            fs::write(from.path().join(format!("a/{number}")), "x").unwrap();
        }
        std::os::unix::fs::symlink("../1", from.path().join("a/b/link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.path().join("a/out")).unwrap();
        std::os::unix::fs::symlink("../b", from.path().join("a/beside")).unwrap();
        let mut bytes = Vec::new();
        let packed = pack(&mut disk(from.path(), 1 << 20), "data/a", "a", &mut bytes).unwrap();
        assert_eq!(
            (packed.files, packed.bytes, packed.skipped.len()),
            (61, 200_060, 2),
            "{:?}",
            packed.skipped
        );
        let mut target = disk(to.path(), 1 << 20);
        // A name in place of its own, over what is there.
        fs::create_dir(to.path().join("c")).unwrap();
        fs::write(to.path().join("outside"), "as before").unwrap();
        std::os::unix::fs::symlink("../outside", to.path().join("c/1")).unwrap();
        let unpacked = unpack(&mut target, "data", Some("c"), &mut &bytes[..]).unwrap();
        assert_eq!((unpacked.files, unpacked.bytes), (61, 200_060));
        assert_eq!(fs::read(to.path().join("c/b").join(&long)).unwrap(), vec![7; 200_000]);
        assert_eq!(fs::read(to.path().join("c/1")).unwrap(), b"x");
        assert_eq!(fs::read(to.path().join("outside")).unwrap(), b"as before", "not through the link");
        assert_eq!(fs::read_link(to.path().join("c/b/link")).unwrap(), Path::new("../1"));
    }

    #[test]
    fn what_an_archive_must_not_do_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut vfs = disk(folder.path(), 1000);
        let mut refused = |bytes: Vec<u8>, words: &str| {
            let error = unpack(&mut vfs, "data", None, &mut &bytes[..]).unwrap_err().to_string();
            assert!(error.contains(words), "`{words}` is missing in {error}");
        };
        let entry =
            |name: &'static str, kind, target: &'static str| archive(|tar| raw(tar, name, kind, target));
        refused(entry("../up", EntryType::Regular, ""), "`..`");
        refused(entry("/etc/x", EntryType::Regular, ""), "absolute");
        refused(entry("l", EntryType::Symlink, "/etc"), "lead out");
        refused(entry("d/l", EntryType::Symlink, "../../x"), "lead out");
        refused(entry("d/l", EntryType::Symlink, "a/../../.."), "lead out");
        refused(entry("h", EntryType::Link, "x"), "hard link");
        refused(entry("f", EntryType::Fifo, ""), "neither");
        refused(entry("c", EntryType::Char, ""), "neither");
        let large = archive(|tar| {
            let mut header = header(EntryType::Regular, 0o644, 2000, 0);
            tar.append_data(&mut header, "large", io::repeat(1).take(2000)).unwrap();
        });
        refused(large, "large");
        assert!(!folder.path().join("large").exists(), "a part of it is left");
        // A name that would fill the memory.
        let name = archive(|tar| {
            let mut header = header(EntryType::GNULongName, 0o644, 8 << 20, 0);
            header.set_cksum();
            tar.append(&header, io::repeat(b'x').take(8 << 20)).unwrap();
        });
        refused(name, "1 MiB");
        assert!(
            unpack(&mut vfs, "", None, &mut &entry("x", EntryType::Regular, "")[..]).is_err(),
            "read-only"
        );
        let cut = &archive(|tar| {
            let mut header = header(EntryType::Regular, 0o644, 900, 0);
            tar.append_data(&mut header, "cut", io::repeat(1).take(900)).unwrap();
        })[..700];
        assert!(unpack(&mut vfs, "data", None, &mut &cut[..]).is_err());
    }

    #[test]
    fn a_path_is_one_beneath_the_root() {
        for (path, found) in
            [("/", Some("")), ("//data/./x/", Some("data/x")), ("/a/../b", None), ("data", None)]
        {
            assert_eq!(beneath_root(path).as_deref(), found, "{path}");
        }
    }
}
