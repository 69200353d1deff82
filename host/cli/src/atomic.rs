//! Files that appear whole or not at all.
//!
//! A [`Draft`] has no name until it is complete: on Linux not even a temporary one, so that a process which is killed in
//! the middle leaves nothing behind. File systems without nameless files get a hidden temporary name instead.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

use crate::failure::{Failure, Result};

/// Who may read and write a file, before the process's mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever the mask lets.
    Usual,
    /// The owner alone.
    Owner,
}

/// Whether a file that exists is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// A regular file is replaced. Anything else is refused: a device or a link is not what somebody meant to lose.
    Replaced,
    /// Refused.
    Kept,
}

/// A file that is being written.
pub(crate) struct Draft {
    file: File,
    folder: OwnedFd,
    /// Its temporary name, when it has one; removed when the draft is given up.
    name: Option<String>,
}

impl Draft {
    /// Begins a file that will stand in `folder`.
    pub(crate) fn new(folder: BorrowedFd<'_>, readers: Readers) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(if readers == Readers::Owner { 0o600 } else { 0o666 });
        let folder = folder.try_clone_to_owned()?;
        #[cfg(target_os = "linux")]
        if let Some(file) = nameless(&folder, mode) {
            return Ok(Self { file, folder, name: None });
        }
        let name = temporary_name()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&folder, name.as_str(), flags, mode)?);
        Ok(Self { file, folder, name: Some(name) })
    }

    /// What is written to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, after its bytes are on disk.
    pub(crate) fn keep(mut self, name: &OsStr, existing: Existing) -> io::Result<()> {
        self.file.sync_all()?;
        match self.link(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && existing == Existing::Replaced => {
                self.replace(name)?;
            }
            // A file system without links: the name is free, as far as can be known.
            Err(_) if self.name.is_some() && !self.is_taken(name) => self.replace(name)?,
            linked => linked?,
        }
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    fn is_taken(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Takes the place of the regular file that has the name.
    fn replace(&mut self, name: &OsStr) -> io::Result<()> {
        check_replaceable(&self.folder, name)?;
        let temporary = if let Some(own) = self.name.take() {
            own
        } else {
            let temporary = temporary_name()?;
            self.link(OsStr::new(&temporary))?;
            temporary
        };
        // From here on it has that name, and `drop` removes it unless it is renamed.
        let temporary = self.name.insert(temporary);
        rustix::fs::renameat(&self.folder, temporary.as_str(), &self.folder, name)?;
        self.name = None;
        Ok(())
    }

    /// One more name for the file, which must be free.
    fn link(&self, name: &OsStr) -> io::Result<()> {
        match &self.name {
            Some(own) => {
                rustix::fs::linkat(&self.folder, own.as_str(), &self.folder, name, AtFlags::empty())?;
            }
            None => {
                use std::os::fd::AsRawFd as _;
                let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, own.as_str(), &self.folder, name, AtFlags::SYMLINK_FOLLOW)?;
            }
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = rustix::fs::unlinkat(&self.folder, name.as_str(), AtFlags::empty());
        }
    }
}

/// A file without a name, where the file system can.
#[cfg(target_os = "linux")]
fn nameless(folder: &OwnedFd, mode: Mode) -> Option<File> {
    // It gets its name through `/proc`.
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(folder, ".", flags, mode).ok().map(File::from)
}

fn temporary_name() -> io::Result<String> {
    let bytes = random::<8>()?;
    Ok(format!(".qyvol-{:016x}", u64::from_le_bytes(bytes)))
}

fn is_temporary_name(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix(".qyvol-"));
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The lock on a folder, unless another process has it, or it is no folder.
fn lock_folder(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => File::from(folder),
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    use std::io::Read as _;
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn check_replaceable(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(()),
        Ok(_) => Err(io::Error::other("what is there is not a regular file")),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder, made with its parents when it is missing.
pub(crate) fn folder(path: &Path) -> Result<OwnedFd> {
    let open = || {
        std::fs::create_dir_all(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?)
    };
    open().map_err(|error: io::Error| Failure::at_path("open", path, &error))
}

/// The folder of a file, and its name in it.
pub(crate) fn split(path: &Path) -> Result<(PathBuf, &OsStr)> {
    let name = path
        .file_name()
        .ok_or_else(|| Failure::usage(format!("`{}` is not the name of a file", path.display())))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")).to_owned(), name))
}

/// Writes a file at `path`: `fill` writes its bytes.
pub(crate) fn write_with<T>(
    path: &Path,
    readers: Readers,
    existing: Existing,
    fill: impl FnOnce(&mut File) -> Result<T>,
) -> Result<T> {
    let failed = |error: io::Error| Failure::at_path("write", path, &error);
    let (parent, name) = split(path)?;
    let parent = folder(&parent)?;
    // Found before the work is done, and again when it is done.
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
    if existing == Existing::Kept && stat.is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    check_replaceable(&parent, name).map_err(failed)?;
    let mut draft = Draft::new(parent.as_fd(), readers).map_err(failed)?;
    let filled = fill(draft.file())?;
    draft.keep(name, existing).map_err(failed)?;
    Ok(filled)
}

/// A draft in the folder of `path`, for the owner alone, to be given up at the end.
pub(crate) fn beside(path: &Path) -> Result<Draft> {
    let parent = folder(&split(path)?.0)?;
    Draft::new(parent.as_fd(), Readers::Owner).map_err(|error| Failure::at_path("write", path, &error))
}

/// Whether a new folder can stand at `path`: nothing is there (`None`), or a folder that is empty or not.
pub(crate) fn is_empty_folder(path: &Path) -> io::Result<Option<bool>> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(Some(entries.next().is_none())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes `bytes` to a file at `path`.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers, existing: Existing) -> Result<()> {
    use std::io::Write as _;
    write_with(path, readers, existing, |file| {
        file.write_all(bytes).map_err(|error| Failure::at_path("write", path, &error))
    })
}

/// Makes a folder that others may not look into, with its parents, unless it is there.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::at_path("make the folder", path, &error))
}

/// A hidden folder in which something is put together; removed in the end with everything that is still in it.
///
/// It is locked as long as somebody works in it, so that one whose maker was killed is known for what it is.
pub(crate) struct Workshop {
    path: PathBuf,
    _lock: File,
}

impl Workshop {
    /// Makes one in `folder`.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(temporary_name()?);
        std::fs::create_dir(&path)?;
        let lock = File::open(&path)?;
        lock.try_lock()?;
        Ok(Self { path, _lock: lock })
    }

    /// Removes what killed processes left in `folder`, if nothing else is in it.
    pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
        let mut abandoned = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let lock = is_temporary_name(&entry.file_name()).then(|| lock_folder(&entry.path()));
            match lock.transpose()?.flatten() {
                Some(lock) => abandoned.push((entry.path(), lock)),
                None => return Ok(()),
            }
        }
        abandoned.iter().try_for_each(|(path, _)| std::fs::remove_dir_all(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves everything in it out into `folder`, where nothing of the same name may be.
    pub(crate) fn deliver(self, folder: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            std::fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        File::open(folder)?.sync_all()
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_abandoned_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let abandoned = folder.path().join(".qyvol-00000000000000aa");
        std::fs::create_dir_all(abandoned.join("deep")).unwrap();
        std::fs::write(abandoned.join("deep/file"), "half").unwrap();
        // Somebody else is at work.
        let workshop = Workshop::new(folder.path()).unwrap();
        Workshop::sweep(folder.path()).unwrap();
        assert_eq!(names(), 2);
        drop(workshop);
        // A file, a link and other names are somebody's own, and then all stays.
        let own = folder.path().join(".qyvol-00000000000000ab");
        for make in [(|path| std::fs::write(path, "mine")) as fn(&Path) -> io::Result<()>, |path| {
            std::os::unix::fs::symlink("/", path)
        }] {
            make(&own).unwrap();
            Workshop::sweep(folder.path()).unwrap();
            assert_eq!(names(), 2);
            std::fs::remove_file(&own).unwrap();
        }
        let named = folder.path().join(".qyvol-mine");
        std::fs::create_dir(&named).unwrap();
        Workshop::sweep(folder.path()).unwrap();
        assert_eq!(names(), 2);
        std::fs::remove_dir(&named).unwrap();
        Workshop::sweep(folder.path()).unwrap();
        assert_eq!(names(), 0);
    }
}
