//! Numbers and layouts of `wasi_snapshot_preview1`. Everything is little-endian; sizes are in bytes.

use qyv_vfs::{Attributes, Error, FileType, Result};

use crate::Clock;

/// What a descriptor may be used for: a set of `RIGHT_*` bits.
pub(crate) mod rights {
    pub(crate) const FD_DATASYNC: u64 = 1 << 0;
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_SEEK: u64 = 1 << 2;
    pub(crate) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub(crate) const FD_SYNC: u64 = 1 << 4;
    pub(crate) const FD_TELL: u64 = 1 << 5;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    pub(crate) const FD_ADVISE: u64 = 1 << 7;
    pub(crate) const FD_ALLOCATE: u64 = 1 << 8;
    pub(crate) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(crate) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(crate) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(crate) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(crate) const PATH_OPEN: u64 = 1 << 13;
    pub(crate) const FD_READDIR: u64 = 1 << 14;
    pub(crate) const PATH_READLINK: u64 = 1 << 15;
    pub(crate) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(crate) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(crate) const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub(crate) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(crate) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(crate) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(crate) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(crate) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(crate) const PATH_SYMLINK: u64 = 1 << 24;
    pub(crate) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(crate) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(crate) const POLL_FD_READWRITE: u64 = 1 << 27;
    pub(crate) const SOCK_SHUTDOWN: u64 = 1 << 28;
    pub(crate) const SOCK_ACCEPT: u64 = 1 << 29;

    /// A directory, in itself. Without `FD_READ` and `FD_WRITE`, so that opening it again with what it has is legal.
    pub(crate) const DIRECTORY: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_DATASYNC
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE;

    /// A file however it was opened.
    pub(crate) const FILE: u64 = FD_DATASYNC
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_ADVISE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;

    /// What writing brings along.
    pub(crate) const FILE_WRITE: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;

    /// What a directory passes on to what is opened in it.
    pub(crate) const INHERITING: u64 = DIRECTORY | FILE | FILE_WRITE | FD_READ | SOCK_SHUTDOWN;

    /// The description of a service.
    pub(crate) const INFO: u64 = FD_READ | FD_SEEK | FD_TELL | STREAM;

    /// A standard stream, beside its direction. Neither `FD_SEEK` nor `FD_TELL`: `isatty` looks at them.
    pub(crate) const STREAM: u64 = FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;

    /// A connection, beside its directions.
    pub(crate) const SOCKET: u64 = STREAM | SOCK_SHUTDOWN;

    /// A listener, and what it passes on.
    pub(crate) const LISTENER: u64 = STREAM | SOCK_ACCEPT;
    pub(crate) const ACCEPTED: u64 = SOCKET | FD_READ | FD_WRITE;
}

/// `fdflags`: how a descriptor behaves.
pub(crate) mod fdflags {
    pub(crate) const APPEND: u16 = 1;
    pub(crate) const DSYNC: u16 = 2;
    pub(crate) const NONBLOCK: u16 = 4;
    pub(crate) const RSYNC: u16 = 8;
    pub(crate) const SYNC: u16 = 16;
    pub(crate) const ALL: u16 = APPEND | DSYNC | NONBLOCK | RSYNC | SYNC;
    /// Those that mean something for a socket; the others are ignored.
    pub(crate) const SOCKET: u16 = NONBLOCK;
}

/// `oflags`: how to open.
pub(crate) mod oflags {
    pub(crate) const CREAT: u16 = 1;
    pub(crate) const DIRECTORY: u16 = 2;
    pub(crate) const EXCL: u16 = 4;
    pub(crate) const TRUNC: u16 = 8;
    pub(crate) const ALL: u16 = CREAT | DIRECTORY | EXCL | TRUNC;
}

/// `riflags`: how to receive.
pub(crate) mod riflags {
    pub(crate) const PEEK: u16 = 1;
    pub(crate) const WAITALL: u16 = 2;
    pub(crate) const ALL: u16 = PEEK | WAITALL;
}

/// `sdflags`: which ways of a connection to end.
pub(crate) mod sdflags {
    pub(crate) const RD: u16 = 1;
    pub(crate) const WR: u16 = 2;
    pub(crate) const ALL: u16 = RD | WR;
}

/// `fstflags`: which times to set.
pub(crate) mod fstflags {
    pub(crate) const ATIM: u16 = 1;
    pub(crate) const ATIM_NOW: u16 = 2;
    pub(crate) const MTIM: u16 = 4;
    pub(crate) const MTIM_NOW: u16 = 8;
    pub(crate) const ALL: u16 = ATIM | ATIM_NOW | MTIM | MTIM_NOW;
}

/// `lookupflags`: follow a last link.
pub(crate) const SYMLINK_FOLLOW: u16 = 1;

/// `subclockflags`: the timeout is a time, not a span.
pub(crate) const ABSTIME: u16 = 1;

/// `eventrwflags`: the other side left.
pub(crate) const HANGUP: u16 = 1;

/// `eventtype` and the tag of a subscription.
pub(crate) mod event {
    pub(crate) const CLOCK: u8 = 0;
    pub(crate) const FD_READ: u8 = 1;
    pub(crate) const FD_WRITE: u8 = 2;
}

/// `filetype`: what a descriptor or a directory entry is.
pub(crate) mod filetype {
    pub(crate) const UNKNOWN: u8 = 0;
    pub(crate) const CHARACTER_DEVICE: u8 = 2;
    pub(crate) const DIRECTORY: u8 = 3;
    pub(crate) const REGULAR_FILE: u8 = 4;
    pub(crate) const SOCKET_STREAM: u8 = 6;
    pub(crate) const SYMBOLIC_LINK: u8 = 7;
}

pub(crate) const FDSTAT_SIZE: u32 = 24;
pub(crate) const FILESTAT_SIZE: u32 = 64;
pub(crate) const DIRENT_SIZE: usize = 24;
pub(crate) const IOVEC_SIZE: u32 = 8;
pub(crate) const SUBSCRIPTION_SIZE: u32 = 48;
pub(crate) const EVENT_SIZE: u32 = 32;

/// A set of flags that arrives in a core `i32`. `INVAL` when a bit is set that has no meaning.
pub(crate) fn flags(value: u32, all: u16) -> Result<u16> {
    u16::try_from(value).ok().filter(|flags| flags & !all == 0).ok_or(Error::INVAL)
}

/// `clockid`. `INVAL` for any other number.
pub(crate) fn clock(id: u32) -> Result<Clock> {
    match id {
        0 => Ok(Clock::Realtime),
        1 => Ok(Clock::Monotonic),
        2 => Ok(Clock::ProcessCpu),
        3 => Ok(Clock::ThreadCpu),
        _ => Err(Error::INVAL),
    }
}

/// `filetype` of a file.
pub(crate) const fn file_type(kind: FileType) -> u8 {
    match kind {
        FileType::Regular => filetype::REGULAR_FILE,
        FileType::Directory => filetype::DIRECTORY,
        FileType::Symlink => filetype::SYMBOLIC_LINK,
    }
}

/// Bytes of a structure, written field by field; what is never written stays 0, padding included.
pub(crate) struct Layout<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Layout<SIZE> {
    pub(crate) const fn new() -> Self {
        Self([0; SIZE])
    }

    /// Writes `field` at `offset`. Both are constants of this crate, so it cannot be out of range.
    pub(crate) fn put<const N: usize>(mut self, offset: usize, field: [u8; N]) -> Self {
        if let Some(place) = self.0.get_mut(offset..offset + N) {
            place.copy_from_slice(&field);
        }
        self
    }

    pub(crate) const fn bytes(self) -> [u8; SIZE] {
        self.0
    }
}

/// `fdstat`.
pub(crate) fn fdstat(filetype: u8, flags: u16, base: u64, inheriting: u64) -> [u8; FDSTAT_SIZE as usize] {
    Layout::new()
        .put(0, [filetype])
        .put(2, flags.to_le_bytes())
        .put(8, base.to_le_bytes())
        .put(16, inheriting.to_le_bytes())
        .bytes()
}

/// `filestat` of a file.
pub(crate) fn filestat(attributes: &Attributes) -> [u8; FILESTAT_SIZE as usize] {
    Layout::new()
        .put(0, attributes.device.to_le_bytes())
        .put(8, attributes.inode.to_le_bytes())
        .put(16, [file_type(attributes.kind)])
        .put(24, attributes.links.to_le_bytes())
        .put(32, attributes.size.to_le_bytes())
        .put(40, attributes.times.accessed.to_le_bytes())
        .put(48, attributes.times.modified.to_le_bytes())
        .put(56, attributes.times.changed.to_le_bytes())
        .bytes()
}

/// `filestat` of what is no file: a type and one link.
pub(crate) fn filestat_bare(filetype: u8) -> [u8; FILESTAT_SIZE as usize] {
    Layout::new().put(16, [filetype]).put(24, 1u64.to_le_bytes()).bytes()
}

/// `filestat` of a regular file that is nothing but a text of so many bytes.
pub(crate) fn filestat_text(size: u64) -> [u8; FILESTAT_SIZE as usize] {
    Layout::new()
        .put(16, [filetype::REGULAR_FILE])
        .put(24, 1u64.to_le_bytes())
        .put(32, size.to_le_bytes())
        .bytes()
}

/// `dirent`, to be followed by the name.
pub(crate) fn dirent(next: u64, inode: u64, name_bytes: u32, filetype: u8) -> [u8; DIRENT_SIZE] {
    Layout::new()
        .put(0, next.to_le_bytes())
        .put(8, inode.to_le_bytes())
        .put(16, name_bytes.to_le_bytes())
        .put(20, [filetype])
        .bytes()
}

/// `prestat` of a directory whose name has so many bytes.
pub(crate) fn prestat(name_bytes: u32) -> [u8; 8] {
    Layout::new().put(4, name_bytes.to_le_bytes()).bytes()
}
