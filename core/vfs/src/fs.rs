//! What a file system offers to the mount table.

use alloc::string::String;

use crate::Result;

/// A directory, file or link that a file system keeps for its caller, until [`FileSystem::close`].
///
/// The number means something to the file system that gave it alone. A file system answers a number it did not give,
/// or one that was closed, with `BADF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// What a directory entry is. Devices, FIFOs and sockets of a host are not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The file system: (device, inode) names a file for as long as it exists.
    pub device: u64,
    /// The file within its file system.
    pub inode: u64,
    /// What it is.
    pub kind: FileType,
    /// How many directory entries name it.
    pub links: u64,
    /// Bytes in a file or in a link's target; unspecified for a directory.
    pub size: u64,
    /// When it was last read, changed, or had its attributes changed.
    pub times: Times,
}

/// Times in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Last read.
    pub accessed: u64,
    /// Last change of the contents.
    pub modified: u64,
    /// Last change of the contents or the attributes.
    pub changed: u64,
}

/// What to do with one time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// Set it to the present.
    Now,
    /// Set it to this many nanoseconds since 1970-01-01T00:00:00Z.
    At(u64),
}

/// How to open a file. All `false` opens for attributes only, as a directory is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the independent flags of open(2)")]
pub struct OpenOptions {
    /// For reading.
    pub read: bool,
    /// For writing. On a directory: `ISDIR`.
    pub write: bool,
    /// Create a regular file when there is none. Never together with `directory`: the mount table refuses that.
    pub create: bool,
    /// With `create`: `EXIST` when something is there, a link included.
    pub exclusive: bool,
    /// Empty a regular file. Needs write access to the mount, not the `write` flag.
    pub truncate: bool,
    /// `NOTDIR` unless it is a directory.
    pub directory: bool,
}

impl OpenOptions {
    /// Whether opening so may change the file system, or lets the holder change it.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        self.write || self.create || self.truncate
    }
}

/// What was opened. `kind` is `Regular` or `Directory`: links are never opened, they are followed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// To be closed by the receiver.
    pub handle: Handle,
    /// What it is.
    pub kind: FileType,
}

/// An entry of a directory; `.` and `..` are never among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Where to go on after this entry; never 0 and below 2^63. See [`FileSystem::read_dir`].
    pub next: u64,
    /// As in [`Attributes::inode`].
    pub inode: u64,
    /// What it is.
    pub kind: FileType,
    /// Its name, without any path.
    pub name: String,
}

/// Takes the entries of a directory; returns `false` when it wants no more.
pub type ReadDir<'a> = &'a mut dyn FnMut(DirEntry) -> bool;

/// How much a [`FileSystem::sync`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// The contents, and what is needed to find them.
    Data,
    /// Everything.
    All,
}

/// How a range of a file will be used. A hint: an unknown range or a refusal is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of posix_fadvise(2)")]
pub enum Advice {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// Tells the time to a file system that has no clock of its own.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;
}

/// A tree of files.
///
/// Every `name` is **one component**: valid UTF-8, 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`. The mount
/// table guarantees it, resolves paths component by component, follows links, forbids changes to read-only mounts
/// and keeps mount points; a file system sees none of that. Operations never follow a link that `name` names.
///
/// The errors are those of Linux for the same call, where nothing else is said.
///
/// A file system on a host that resolves whole paths safely in one call (openat2 with `RESOLVE_BENEATH`) offers the
/// three `*_path` operations too; they must give the same results as resolution by components would.
pub trait FileSystem: Send {
    /// The root directory. Never closed; valid for as long as the file system is.
    fn root(&self) -> Handle;

    /// Finds `name` in `dir`, whatever its kind.
    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle>;

    /// Ends the use of a handle that [`lookup`](Self::lookup) or an open gave. A file without a name lives until its
    /// last handle is closed.
    fn close(&mut self, handle: Handle);

    /// What is known of an open handle.
    fn attributes(&mut self, handle: Handle) -> Result<Attributes>;

    /// What is known of `name` in `dir`, a link itself included.
    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        let handle = self.lookup(dir, name)?;
        let attributes = self.attributes(handle);
        self.close(handle);
        attributes
    }

    /// The target of the link `name` in `dir`. `INVAL` when it is no link.
    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String>;

    /// Opens `name` in `dir`. A link is `LOOP` (also with `create` unless `exclusive`, which gives `EXIST`), and
    /// `NOTDIR` with `directory`, as Linux has it for `O_DIRECTORY | O_NOFOLLOW`.
    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened>;

    /// Opens the directory that a handle already names a second time (`.`), `ISDIR` with `write`, `create` or
    /// `truncate`.
    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle>;

    /// Reads at `offset` into the buffers, in order. Returns the bytes read: 0 at the end, fewer than asked is legal.
    /// `BADF` unless opened for reading; `ISDIR` for a directory.
    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize>;

    /// Writes the buffers in order at `offset`, filling a gap with zeros that are charged as they are stored.
    /// Returns the bytes written: fewer than asked when the quota ends, `NOSPC` when not even one fits.
    /// `BADF` unless opened for writing; `FBIG` when the end would pass the file system's largest file.
    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize>;

    /// As [`write_at`](Self::write_at), at the end of the file in one step. Returns also the new end.
    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)>;

    /// Makes the file `size` bytes long, with zeros at the end or without its tail. `BADF` unless opened for writing.
    fn set_size(&mut self, file: Handle, size: u64) -> Result<()>;

    /// Makes sure that the range is stored and the file at least as long; never shortens it. `NOSPC` when it does not
    /// fit. `INVAL` when `length` is 0.
    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()>;

    /// Says how a range will be used.
    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let _ = (file, offset, length, advice);
        Ok(())
    }

    /// Returns when the file, or the directory's entries, would survive a loss of power.
    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()>;

    /// Sets the times of an open handle.
    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()>;

    /// Sets the times of `name` in `dir`, of a link itself included.
    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()>;

    /// Hands the entries of `dir` after `cookie` to `sink`, until it has enough. 0 starts at the first entry,
    /// otherwise `cookie` is the `next` of an entry that was handed out. An entry that stays throughout is seen
    /// exactly once whatever is created or removed meanwhile; an unknown cookie is `INVAL` or simply the end. A
    /// directory that was removed has no entries.
    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()>;

    /// Creates a directory.
    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()>;

    /// Removes an empty directory. `NOTDIR` for anything else, `NOTEMPTY` when it has entries.
    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()>;

    /// Removes a file or a link. `ISDIR` for a directory.
    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()>;

    /// Renames, replacing a file by a file or an empty directory by a directory, in one step. `INVAL` when a
    /// directory would move into itself.
    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()>;

    /// Gives a file (or a link, itself) a second name. `PERM` for a directory, `EXIST` when the name is taken.
    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()>;

    /// Creates a link with this target (1 to 4095 bytes, stored as it is).
    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()>;

    /// Whether the three operations below are offered. The mount table calls them only where nothing is mounted
    /// beneath, with a path that is not empty, holds no NUL, does not begin with `/` and has at most 4096 bytes.
    fn resolves_paths(&self) -> bool {
        false
    }

    /// Finds what `path` names beneath `dir`, following links but the last unless `follow`; a path or link that
    /// leaves `dir` is `NOTCAPABLE`. Only offered with [`resolves_paths`](Self::resolves_paths).
    fn lookup_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Handle> {
        let _ = (dir, path, follow);
        Err(crate::Error::NOSYS)
    }

    /// As [`lookup_path`](Self::lookup_path), for the attributes alone.
    fn attributes_path(&mut self, dir: Handle, path: &str, follow: bool) -> Result<Attributes> {
        let _ = (dir, path, follow);
        Err(crate::Error::NOSYS)
    }

    /// As [`lookup_path`](Self::lookup_path), and opens. Without `follow`, a last link is `LOOP`, or `NOTDIR` with
    /// `directory`.
    fn open_path(&mut self, dir: Handle, path: &str, follow: bool, options: &OpenOptions) -> Result<Opened> {
        let _ = (dir, path, follow, options);
        Err(crate::Error::NOSYS)
    }
}
