//! The folder of the state, and who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags};

use crate::disk::{Disk, OsDisk};
use crate::{Error, Result};

/// The file that a daemon locks.
const LOCK: &str = "lock";

/// The folder of a daemon's state, held: nobody else holds it until this is dropped or the process ends, in whatever way.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    disk: Arc<OsDisk>,
    _lock: File,
}

impl StateFolder {
    /// Holds the folder at `path`, which is made (0700, with its parents) when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when another process holds it; [`Error::Unsafe`] when others may enter it.
    pub fn open(path: &Path) -> Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(Error::io(format!("make the state folder `{}`", path.display())))?;
        check_private(path, 0o700)?;
        let lock = hold(path)?;
        Ok(Self { path: path.to_owned(), disk: Arc::new(OsDisk::new(path)), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it lies on.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }
}

fn hold(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let failed = || Error::io(format!("lock `{}`", path.display()));
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed());
    let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(failed())?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = file.take(32).read_to_string(&mut text);
            return Err(Error::Locked { folder: folder.to_owned(), pid: text.trim().parse().ok() });
        }
        held => held.map_err(io::Error::from).map_err(failed())?,
    }
    let said = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    said.map_err(failed())?;
    Ok(file)
}

/// Refuses what belongs to somebody else, or has more rights than `mode`.
pub(crate) fn check_private(path: &Path, mode: u32) -> Result<()> {
    let metadata = std::fs::symlink_metadata(path);
    let metadata = metadata.map_err(Error::io(format!("look at `{}`", path.display())))?;
    let problem = |problem: String, mend: String| Error::Unsafe { path: path.to_owned(), problem, mend };
    if metadata.is_symlink() {
        return Err(problem("is a link".to_owned(), "name what it leads to".to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(problem(
            format!("belongs to user {}", metadata.uid()),
            "run as that user, or choose another path".to_owned(),
        ));
    }
    if metadata.mode() & 0o777 & !mode != 0 {
        return Err(problem(
            format!("is open to others (mode {:o})", metadata.mode() & 0o777),
            format!("run `chmod {mode:o} {}`", path.display()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_daemon_holds_a_state_and_the_second_is_told_which() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state");
        let held = StateFolder::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(path.join(LOCK)).unwrap().mode() & 0o777, 0o600);
        let error = StateFolder::open(&path).unwrap_err();
        assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(error.to_string().contains(&format!("held by process {}", std::process::id())), "{error}");
        drop(held);
        StateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_state_that_others_may_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
        let error = StateFolder::open(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(matches!(StateFolder::open(&link), Err(Error::Unsafe { .. })));
    }
}
