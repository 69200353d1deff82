//! An archive into a tree.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::{Component, Path};

use qyv_vfs::{FileType, Node, OpenOptions, SetTime, Vfs};
use tar::{Archive, EntryType};

use super::{Copied, CopyError, DEPTH_MAX, ReadWith, of, or_root, stays_inside};

/// The most bytes before a file's content: long names and the like, which are read into memory.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// How much is copied at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

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
