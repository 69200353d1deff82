//! Listing a directory.

use std::os::fd::BorrowedFd;

use qyv_vfs::{DirEntry, FileType, ReadDir, Result};
use rustix::fs::{Dir, DirEntry as HostEntry, FileType as HostType, Mode, OFlags};

use super::attributes::{kind, served};
use super::resolve::stat_name;
use crate::sys::errno::{call, error};

/// A reader of one directory that goes on where it stopped.
///
/// Cookies are the kernel's. On some file systems (tmpfs before Linux 6.6) they are positions, which shift when
/// entries before them are removed: a reader that seeks to one may miss an entry. So the stream stays open with the
/// handle and is only moved for a cookie that is neither of the two it can serve from where it is.
pub(super) struct Listing {
    dir: Dir,
    /// The cookie that the stream's next entry comes after: that of the last entry handed out, or the one sought.
    at: u64,
    last: Option<Last>,
}

/// The last entry handed out. A guest whose buffer could not hold it asks for it again.
struct Last {
    /// The cookie it comes after.
    after: u64,
    entry: HostEntry,
    kind: FileType,
}

impl Listing {
    /// Opens the directory `dir` for reading, whatever it was opened for itself.
    pub(super) fn new(dir: BorrowedFd<'_>) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = call(|| rustix::fs::openat(dir, ".", flags, Mode::empty()))?;
        Ok(Self { dir: Dir::new(fd).map_err(error)?, at: 0, last: None })
    }

    /// See `FileSystem::read_dir`. Names that are not UTF-8 are left out, as are kinds that are not served.
    pub(super) fn read(&mut self, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        match &self.last {
            // 0 asks for the directory as it is now.
            Some(last) if last.after == cookie && cookie != 0 => {
                if !last.guest_entry().is_none_or(&mut *sink) {
                    return Ok(());
                }
            }
            _ if self.at == cookie && cookie != 0 => {}
            _ => self.seek(cookie)?,
        }
        while let Some(entry) = self.dir.read() {
            let entry = entry.map_err(error)?;
            let Some(kind) = self.kind(&entry) else { continue };
            let last = Last { after: self.at, entry, kind };
            let Some(entry) = last.guest_entry() else { continue };
            self.at = entry.next;
            self.last = Some(last);
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }

    /// The kind, if it is served; asked of the file itself where the file system's directories do not tell.
    fn kind(&self, entry: &HostEntry) -> Option<FileType> {
        match entry.file_type() {
            HostType::Unknown => {
                kind(&stat_name(self.dir.fd().ok()?, entry.file_name().to_str().ok()?).ok()?)
            }
            known => served(known),
        }
    }

    fn seek(&mut self, cookie: u64) -> Result<()> {
        self.last = None;
        self.dir.seek(cookie as i64).map_err(error)?;
        self.at = cookie;
        Ok(())
    }
}

impl Last {
    /// The entry as a guest sees it, if it may.
    fn guest_entry(&self) -> Option<DirEntry> {
        let name = self.entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | ".."))?;
        // 0 would start the guest again. No file system gives it to an entry, but a broken FUSE server may.
        let next = match self.entry.offset() as u64 {
            0 => u64::MAX,
            offset => offset,
        };
        Some(DirEntry { next, inode: self.entry.ino(), kind: self.kind, name: name.to_owned() })
    }
}
