//! An app's private volume.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use qyvol_fs::Folder;

use crate::failure::{Failure, Result};
use crate::target::Target;

/// The folder behind an app's `/data`, which one run holds at a time: two would each have the whole of `limits.disk`, and
/// count what they store without the other.
pub(crate) struct Volume {
    pub(crate) folder: Folder,
    pub(crate) path: PathBuf,
    lock: File,
}

impl Volume {
    /// Opens the volume of the app, made when it is missing, unless another run has it.
    pub(crate) fn open(target: &Target) -> Result<Self> {
        let (data, identity) = (crate::folders::data()?, crate::run::grants::identity(target)?);
        let (path, locks) = (data.join("volumes").join(&identity), data.join("locks"));
        crate::atomic::private_folder(&path)?;
        crate::atomic::private_folder(&locks)?;
        let lock = lock(&locks.join(identity), target)?;
        let folder = Folder::open(&path).map_err(|error| Failure::at_path("open", &path, &error))?;
        Ok(Self { folder, path, lock })
    }
}

impl Drop for Volume {
    /// The lock goes with its descriptor; nobody shall read the number of a process that has ended.
    fn drop(&mut self) {
        let _ = self.lock.set_len(0);
    }
}

/// Takes the lock of a volume. It belongs to the open file, so it ends with the process however that ends; the file
/// itself stays, as removing it would let two processes hold locks on two files of one name.
fn lock(path: &Path, target: &Target) -> Result<File> {
    let fail = |error: &std::io::Error| Failure::at_path("lock", path, error);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(path)
        .map_err(|error| fail(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(&mut file, target)),
        Err(TryLockError::Error(error)) => return Err(fail(&error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|error| fail(&error))?;
    Ok(file)
}

fn in_use(file: &mut File, target: &Target) -> Failure {
    let mut text = String::new();
    let _ = file.take(16).read_to_string(&mut text);
    let volume = format!("the private volume of `{}` is in use by", target.app.name);
    match text.trim().parse::<u32>() {
        Ok(process) => Failure::refused(format!("{volume} process {process}"))
            .hint(format!("wait until that run ends, or stop it with `kill {process}`")),
        Err(_) => Failure::refused(format!("{volume} another run")).hint("wait until that run ends"),
    }
}
