//! The folder of the cache: whose it must be, how entries come into it, who may compile.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::entry::{self, Record, hex};
use crate::{Error, Result};

pub(super) const ENTRY_SUFFIX: &str = ".native";
pub(super) const LOCK_SUFFIX: &str = ".lock";
pub(super) const PARTIAL_SUFFIX: &str = ".partial";
const KEY_FILE: &str = "host.key";
/// How old an entry's time stamp may be before a use renews it, so that a start seldom writes.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A cache of native code in a folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    host_key: [u8; 32],
}

/// A file that is being written; removed when dropped before it is published.
pub(crate) struct Partial {
    pub(crate) file: File,
    path: PathBuf,
    key: [u8; 32],
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Cache {
    /// Opens the cache in `folder`, which is made when absent.
    ///
    /// # Errors
    ///
    /// When the folder is a link, belongs to another user, or is open to others.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| Error::cache(&folder, error))?;
        check_owner(&folder)?;
        let host_key = host_key(&folder)?;
        Ok(Self { folder, host_key })
    }

    /// Where the cache lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn host_key(&self) -> &[u8; 32] {
        &self.host_key
    }

    pub(super) fn path(&self, key: &[u8; 32], suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", hex(key)))
    }

    /// The entry of a key, when there is one that verifies.
    pub(crate) fn find(&self, key: &[u8; 32]) -> Result<Option<(File, Record)>> {
        let path = self.path(key, ENTRY_SUFFIX);
        let Some(file) = open_own(&path) else { return Ok(None) };
        match entry::open(&file, &self.host_key, key) {
            Ok(Ok(record)) => {
                touch(&file);
                Ok(Some((file, record)))
            }
            // Compiled again, and replaced.
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Waits to be the only process that compiles `key`; `pause` is called between looks.
    pub(super) fn lock(&self, key: &[u8; 32], pause: impl Fn() -> Result<()>) -> Result<File> {
        let path = self.path(key, LOCK_SUFFIX);
        let file = own_options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::cache(&path, error))?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => pause()?,
                Err(error) => return Err(Error::cache(&path, error)),
            }
        }
    }

    /// A file for the compiler to write to.
    pub(super) fn partial(&self, key: &[u8; 32]) -> Result<Partial> {
        let path = self.folder.join(format!(".{}.{}{PARTIAL_SUFFIX}", hex(key), std::process::id()));
        // Left by a process of the same number that was killed.
        let _ = fs::remove_file(&path);
        let file = own_options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| Error::cache(&path, error))?;
        Ok(Partial { file, path, key: *key })
    }

    /// Makes a finished file an entry.
    pub(super) fn publish(&self, mut partial: Partial, record: Record) -> Result<(File, Record)> {
        let path = self.path(&partial.key, ENTRY_SUFFIX);
        let published = entry::seal(&mut partial.file, record, &self.host_key).and_then(|record| {
            partial.file.sync_all()?;
            fs::rename(&partial.path, &path)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(record)
        });
        let record = published.map_err(|error| Error::cache(&path, error))?;
        // Opened anew: what is mapped must not be open for writing.
        let file = open_own(&path).ok_or_else(|| Error::cache(&path, "it vanished while it was written"))?;
        Ok((file, record))
    }
}

fn own_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed());
    options
}

/// Opens a file that is regular, this user's, and not writable by others; anything else counts as absent.
pub(super) fn open_own(path: &Path) -> Option<File> {
    let file = own_options().read(true).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    (metadata.is_file() && own && metadata.mode() & 0o022 == 0).then_some(file)
}

fn check_owner(folder: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(folder).map_err(|error| Error::cache(folder, error))?;
    if !metadata.is_dir() {
        return Err(Error::cache(
            folder,
            "it is no folder (links are not followed); remove it or choose another",
        ));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::cache(folder, "it belongs to another user; choose another with QYVOL_CACHE_DIR"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let mend = format!("others may enter it; run `chmod 700 {}`", folder.display());
        return Err(Error::cache(folder, mend));
    }
    Ok(())
}

/// The key under which this host's entries verify: the folder's secret, bound to the machine, so that a home folder
/// shared by two machines does not share native code.
fn host_key(folder: &Path) -> Result<[u8; 32]> {
    let path = folder.join(KEY_FILE);
    let secret = match read_secret(&path) {
        Some(secret) => secret,
        None => create_secret(folder, &path)?,
    };
    let mut hasher = blake3::Hasher::new_derive_key("qyvol compile cache host key 1");
    hasher.update(&secret);
    hasher.update(&fs::read("/etc/machine-id").unwrap_or_default());
    Ok(*hasher.finalize().as_bytes())
}

fn read_secret(path: &Path) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    open_own(path)?.read_exact(&mut secret).ok()?;
    Some(secret)
}

fn create_secret(folder: &Path, path: &Path) -> Result<[u8; 32]> {
    let fail = |error| Error::cache(path, error);
    let mut secret = [0; 32];
    let got = rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty());
    if got.map_err(|error| fail(error.into()))? != secret.len() {
        return Err(Error::cache(path, "the system gave too little randomness"));
    }
    let partial = folder.join(format!(".{KEY_FILE}.{}{PARTIAL_SUFFIX}", std::process::id()));
    let _ = fs::remove_file(&partial);
    let mut file = own_options().create_new(true).write(true).open(&partial).map_err(fail)?;
    file.write_all(&secret).and_then(|()| file.sync_all()).map_err(fail)?;
    // `link` does not replace: of two processes that start at once, both use the first one's key.
    let linked = fs::hard_link(&partial, path);
    let _ = fs::remove_file(&partial);
    match linked {
        Ok(()) => Ok(secret),
        Err(_) if read_secret(path).is_some() => {
            read_secret(path).ok_or_else(|| Error::cache(path, "it changed"))
        }
        // Something that is no key of ours lies there.
        Err(_) => {
            Err(Error::cache(path, "it is not a key of this user; remove it (the cache is then made anew)"))
        }
    }
}

fn touch(file: &File) {
    let old = file
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .is_some_and(|age| age > TOUCH_AFTER);
    if old {
        let _ = file.set_modified(SystemTime::now());
    }
}
