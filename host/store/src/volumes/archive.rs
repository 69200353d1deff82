//! A volume as a tar archive (POSIX pax): files, folders and links, their rights and times, not their owners.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tar::{Builder, EntryType, Header};

use super::restore::stays_inside;
use super::{Item, Kind, Volumes, walk};
use crate::{Error, Result};

/// How many things that cannot be saved are named.
const SKIPPED_MAX: usize = 1000;

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// How many files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// How many folders and links.
    pub others: u64,
    /// What could not be saved, with the reason; a thousand at most.
    pub skipped: Vec<String>,
}

impl Volumes {
    /// Writes the volume `identity` to `output` as a tar archive. The app is stopped first by who wants all files of one
    /// moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; the disk's and `output`'s.
    pub fn backup(&self, identity: &str, output: &mut dyn Write) -> Result<Backup> {
        let failed = || Error::io(format!("save the volume `{identity}`"));
        let root = self.open_volume(identity)?;
        let mut backup = Backup::default();
        let mut archive = Builder::new(output);
        walk(root, &mut |item| save(item, &mut archive, &mut backup).map(|()| true)).map_err(failed())?;
        archive.finish().map_err(failed())?;
        Ok(backup)
    }
}

fn save(item: &Item<'_>, archive: &mut Builder<&mut dyn Write>, backup: &mut Backup) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(item.mode);
    header.set_mtime(u64::try_from(item.modified).unwrap_or(0));
    header.set_size(0);
    match item.kind {
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            backup.others += 1;
            archive.append_data(&mut header, item.path, io::empty())
        }
        Kind::Link => {
            let target = rustix::fs::readlinkat(item.folder, item.name, Vec::new())?;
            let target = Path::new(std::ffi::OsStr::from_bytes(target.as_bytes()));
            if !stays_inside(item.path, target) {
                backup.skip(item, "a link that may lead out of the volume");
                return Ok(());
            }
            header.set_entry_type(EntryType::Symlink);
            backup.others += 1;
            archive.append_link(&mut header, item.path, target)
        }
        Kind::File { .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(item.folder, item.name, flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(error) => {
                    backup.skip(item, &io::Error::from(error).to_string());
                    return Ok(());
                }
            };
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                backup.skip(item, "it changed into something else");
                return Ok(());
            }
            // As long as it was: one that is cut meanwhile is filled up with zeros, or the archive would be broken.
            let size = metadata.len();
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            backup.files += 1;
            backup.bytes += size;
            archive.append_data(&mut header, item.path, file.chain(io::repeat(0)).take(size))
        }
        Kind::Other => {
            backup.skip(item, "neither a file nor a folder nor a link");
            Ok(())
        }
        Kind::TooDeep => {
            backup.skip(item, "it is more than 128 folders deep");
            Ok(())
        }
    }
}

impl Backup {
    fn skip(&mut self, item: &Item<'_>, reason: &str) {
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(format!("`{}`: {reason}", item.path.display()));
        }
    }
}
