//! The disk of the machine.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;

use super::{Disk, DiskFile, Entry};

/// How many files are synced at the same time.
const SYNCS_AT_ONCE: usize = 8;

/// Files beneath a folder of the machine. Links are not followed.
#[derive(Clone, Debug)]
pub struct OsDisk {
    folder: PathBuf,
}

impl OsDisk {
    /// The disk beneath `folder`, which is there and which nobody else may enter.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
}

impl Disk for OsDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = options().read(true).write(true).create_new(true).open(self.folder.join(path))?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(options().read(true).write(write).open(self.folder.join(path))?)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let names = match std::fs::read_dir(self.folder.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let mut entries = Vec::new();
        for entry in names {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                size: metadata.len(),
                modified: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_folder(&self, path: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(path))
    }

    /// A file that is synced alone waits for a turn of the file system's journal of its own; those that wait at the same time
    /// share one.
    fn sync_files(&self, files: &[Box<dyn DiskFile>]) -> io::Result<()> {
        let sync = |files: &[Box<dyn DiskFile>]| files.iter().try_for_each(|file| file.sync());
        let (first, others) = files.split_at(files.len().div_ceil(SYNCS_AT_ONCE));
        if others.is_empty() {
            return sync(first);
        }
        thread::scope(|scope| {
            let (mut running, mut done) = (Vec::new(), Ok(()));
            for part in others.chunks(first.len()) {
                match thread::Builder::new().name("sync".into()).spawn_scoped(scope, move || sync(part)) {
                    Ok(thread) => running.push(thread),
                    // No thread is left: this one does it.
                    Err(_) => done = done.and(sync(part)),
                }
            }
            done = done.and(sync(first));
            for thread in running {
                done = done.and(thread.join().unwrap_or_else(|_| Err(io::Error::other("a sync panicked"))));
            }
            done
        })
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        File::open(self.folder.join(path))?.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed());
    options
}

#[derive(Debug)]
struct OsFile(File);

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn set_read_only(&self) -> io::Result<()> {
        self.0.set_permissions(Permissions::from_mode(0o400))
    }

    fn sync(&self) -> io::Result<()> {
        // Sizes reach the disk too; times and rights need not.
        self.0.sync_data()
    }
}
