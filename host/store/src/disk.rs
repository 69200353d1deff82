//! What the state needs of a disk: little enough that a simulated one can stand for it.
//!
//! Paths are relative to the state folder, parted by `/`, without `.` and `..`; the folder itself is the empty path.
//! Bytes are safe after [`DiskFile::sync`], and a name, its absence or its change is after [`Disk::sync_folder`] of the
//! folder that it stands in; not before.

use std::fmt::Debug;
use std::io;

mod os;
#[cfg(feature = "sim")]
pub mod sim;

pub use os::OsDisk;

/// Files and folders beneath the state folder.
pub trait Disk: Debug + Send + Sync {
    /// Makes a file (0600), to be read and written.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when something has the name.
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to be read, and to be written too when `write` is set.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is not there.
    fn open(&self, path: &str, write: bool) -> io::Result<Box<dyn DiskFile>>;

    /// What is in a folder, by name; nothing when the folder is not there.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn list(&self, folder: &str) -> io::Result<Vec<Entry>>;

    /// Makes a folder (0700) unless it is there.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn create_folder(&self, path: &str) -> io::Result<()>;

    /// Gives a file another name in the same folder, in one step; what had that name is gone.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is not there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is not there.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Waits until the bytes of all these files are safe: [`DiskFile::sync`] of each.
    ///
    /// # Errors
    ///
    /// The disk's; which of them are safe is not known then.
    fn sync_files(&self, files: &[Box<dyn DiskFile>]) -> io::Result<()> {
        files.iter().try_for_each(|file| file.sync())
    }

    /// Waits until what names stand in a folder is safe.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// An open file.
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait DiskFile: Debug + Send + Sync {
    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn len(&self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when they are not all there.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on; the file grows as needed.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes the right to write from everybody (0400).
    ///
    /// # Errors
    ///
    /// The disk's.
    fn set_read_only(&self) -> io::Result<()>;

    /// Waits until its bytes are safe.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn sync(&self) -> io::Result<()>;
}

/// A bundle is read where it lies.
impl qyv_spec::bundle::Source for dyn DiskFile + '_ {
    fn len(&self) -> Result<u64, String> {
        DiskFile::len(self).map_err(|error| error.to_string())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        DiskFile::read_at(self, offset, buffer).map_err(|error| error.to_string())
    }
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Its size in bytes; of a folder, nothing meaningful.
    pub size: u64,
    /// When its bytes were last changed, in milliseconds since 1970.
    pub modified: u64,
}

/// Writes a file whole or not at all, and makes it safe. `draft` stands in the same folder and is no name of anything.
pub(crate) fn write_whole(
    disk: &dyn Disk,
    folder: &str,
    draft: &str,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let draft = format!("{folder}/{draft}");
    match disk.remove(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = disk.create(&draft).and_then(|file| {
        file.write_at(0, bytes)?;
        file.sync()?;
        disk.rename(&draft, &format!("{folder}/{name}"))
    });
    if written.is_err() {
        let _ = disk.remove(&draft);
    }
    written.and_then(|()| disk.sync_folder(folder))
}
