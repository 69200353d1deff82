//! A tree as an archive.

use std::io::{self, Read, Write};
use std::path::Path;

use qyv_vfs::{DirEntry, FileType, Node, OpenOptions, Vfs};
use tar::{Builder, EntryType, Header};

use super::{Copied, CopyError, DEPTH_MAX, ReadWith, of, or_root, stays_inside};

/// How many entries of a folder are looked at in one go.
const BATCH: usize = 256;

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

pub(super) fn header(kind: EntryType, mode: u32, size: u64, modified: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified / 1_000_000_000);
    header
}
