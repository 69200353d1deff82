//! What `qyvol cache` does: list, verify, prune, clear.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::Cache;
use super::entry::{self, Record};
use super::folder::{ENTRY_SUFFIX, LOCK_SUFFIX, PARTIAL_SUFFIX, open_own};
use crate::{Error, Result};

/// An entry that was found.
#[derive(Debug)]
pub struct Listed {
    /// What it is; absent when it does not verify.
    pub record: Option<Record>,
    /// Its file.
    pub path: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was last used, to the day.
    pub used: SystemTime,
}

/// An entry that was checked as a whole.
#[derive(Debug)]
pub struct Verified {
    /// Its file.
    pub path: PathBuf,
    /// Why it would be compiled again; `None` when it is in order.
    pub flaw: Option<&'static str>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries.
    pub entries: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl Cache {
    /// All entries, the last used first.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        for (path, name) in self.files()? {
            if !name.ends_with(ENTRY_SUFFIX) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let record = self.check(&path, &name, entry::open).ok();
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Listed { record, path, bytes: metadata.len(), used });
        }
        found.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        Ok(found)
    }

    /// Reads every entry as a whole and says which are in order.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn verify(&self) -> Result<Vec<Verified>> {
        let mut checked: Vec<_> = self
            .files()?
            .into_iter()
            .filter(|(_, name)| name.ends_with(ENTRY_SUFFIX))
            .map(|(path, name)| Verified { flaw: self.check(&path, &name, entry::open_whole).err(), path })
            .collect();
        checked.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(checked)
    }

    /// Removes entries that would not be used, those unused for `unused`, and then the longest unused until at most
    /// `keep_bytes` remain.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or a file cannot be removed.
    pub fn prune(&self, unused: Option<Duration>, keep_bytes: Option<u64>) -> Result<Pruned> {
        self.sweep()?;
        let mut pruned = Pruned::default();
        let mut kept = 0;
        for listed in self.list()? {
            let age = SystemTime::now().duration_since(listed.used).unwrap_or_default();
            let stale = unused.is_some_and(|unused| age > unused);
            let over = keep_bytes.is_some_and(|keep| kept + listed.bytes > keep);
            if listed.record.is_none() || stale || over {
                fs::remove_file(&listed.path).map_err(|error| Error::cache(&listed.path, error))?;
                pruned.entries += 1;
                pruned.bytes += listed.bytes;
            } else {
                kept += listed.bytes;
            }
        }
        Ok(pruned)
    }

    /// Removes every entry.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or a file cannot be removed.
    pub fn clear(&self) -> Result<Pruned> {
        self.prune(None, Some(0))
    }

    fn files(&self) -> Result<Vec<(PathBuf, String)>> {
        let entries = fs::read_dir(self.folder()).map_err(|error| Error::cache(self.folder(), error))?;
        Ok(entries
            .flatten()
            .filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
            .collect())
    }

    fn check(
        &self,
        path: &std::path::Path,
        name: &str,
        open: impl Fn(&File, &[u8; 32], &[u8; 32]) -> std::io::Result<std::result::Result<Record, entry::Flaw>>,
    ) -> std::result::Result<Record, &'static str> {
        let key = name
            .strip_suffix(ENTRY_SUFFIX)
            .and_then(|digits| blake3::Hash::from_hex(digits).ok())
            .ok_or("under a wrong name")?;
        let file = open_own(path).ok_or("not a file of this user alone")?;
        match open(&file, self.host_key(), key.as_bytes()) {
            Ok(Ok(record)) => Ok(record),
            Ok(Err(flaw)) => Err(flaw.describe()),
            Err(_) => Err("cannot be read"),
        }
    }

    /// Removes what killed processes left: partial files, and locks that nobody holds.
    fn sweep(&self) -> Result<()> {
        for (path, name) in self.files()? {
            let abandoned = if name.ends_with(LOCK_SUFFIX) {
                File::open(&path)
                    .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
            } else {
                name.ends_with(PARTIAL_SUFFIX) && !writer_is_alive(&name)
            };
            if abandoned {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }
}

/// Whether the process that a partial file names still runs.
fn writer_is_alive(name: &str) -> bool {
    name.strip_suffix(PARTIAL_SUFFIX)
        .and_then(|name| name.rsplit('.').next()?.parse().ok())
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
