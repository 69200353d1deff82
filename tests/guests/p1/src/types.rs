//! Numbers and layouts of preview 1.

use core::fmt;

macro_rules! errors {
    ($($name:ident = $code:literal),* $(,)?) => {
        $(pub const $name: Errno = Errno($code);)*

        impl fmt::Debug for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($code => f.write_str(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

errors! {
    SUCCESS = 0, ACCES = 2, AGAIN = 6, BADF = 8, BUSY = 10, EXIST = 20, FAULT = 21, FBIG = 22, ILSEQ = 25, INVAL = 28,
    IO = 29, ISDIR = 31, LOOP = 32, MFILE = 33, NAMETOOLONG = 37, NOENT = 44, NOSPC = 51, NOSYS = 52, NOTDIR = 54,
    NOTEMPTY = 55, NOTSOCK = 57, NOTSUP = 58, OVERFLOW = 61, PERM = 63, ROFS = 69, SPIPE = 70, XDEV = 75,
    NOTCAPABLE = 76,
}

/// A descriptor.
pub type Fd = u32;

/// What a call gave, or why it failed.
pub type Result<T> = core::result::Result<T, Errno>;

pub mod clock {
    pub const REALTIME: u32 = 0;
    pub const MONOTONIC: u32 = 1;
    pub const PROCESS_CPU: u32 = 2;
    pub const THREAD_CPU: u32 = 3;
}

pub mod rights {
    pub const FD_DATASYNC: u64 = 1;
    pub const FD_READ: u64 = 1 << 1;
    pub const FD_SEEK: u64 = 1 << 2;
    pub const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub const FD_SYNC: u64 = 1 << 4;
    pub const FD_TELL: u64 = 1 << 5;
    pub const FD_WRITE: u64 = 1 << 6;
    pub const FD_ADVISE: u64 = 1 << 7;
    pub const FD_ALLOCATE: u64 = 1 << 8;
    pub const PATH_OPEN: u64 = 1 << 13;
    pub const FD_READDIR: u64 = 1 << 14;
    pub const FD_FILESTAT_GET: u64 = 1 << 21;
    pub const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub const POLL_FD_READWRITE: u64 = 1 << 27;

    pub const READ: u64 = FD_READ | FD_SEEK | FD_TELL | FD_FILESTAT_GET | FD_ADVISE | POLL_FD_READWRITE;
    pub const WRITE: u64 = FD_WRITE
        | FD_SEEK
        | FD_TELL
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | FD_ALLOCATE
        | FD_ADVISE
        | FD_DATASYNC
        | FD_SYNC
        | FD_FDSTAT_SET_FLAGS
        | POLL_FD_READWRITE;
    pub const BOTH: u64 = READ | WRITE;
    /// Every `path_*` right, and those that directories have besides.
    pub const DIRECTORY: u64 = 0xfff << 9
        | 7 << 24
        | FD_READDIR
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC;
}

pub mod oflags {
    pub const CREAT: u32 = 1;
    pub const DIRECTORY: u32 = 2;
    pub const EXCL: u32 = 4;
    pub const TRUNC: u32 = 8;
}

pub mod fdflags {
    pub const APPEND: u32 = 1;
    pub const DSYNC: u32 = 2;
    pub const NONBLOCK: u32 = 4;
    pub const RSYNC: u32 = 8;
    pub const SYNC: u32 = 16;
}

pub mod fstflags {
    pub const ATIM: u32 = 1;
    pub const ATIM_NOW: u32 = 2;
    pub const MTIM: u32 = 4;
    pub const MTIM_NOW: u32 = 8;
}

/// The flag of a path call that follows a link in the last place.
pub const FOLLOW: u32 = 1;

pub mod filetype {
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SYMBOLIC_LINK: u8 = 7;
}

pub mod whence {
    pub const SET: u32 = 0;
    pub const CUR: u32 = 1;
    pub const END: u32 = 2;
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fdstat {
    pub filetype: u8,
    pub flags: u16,
    pub rights: u64,
    pub inheriting: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filestat {
    pub device: u64,
    pub inode: u64,
    pub filetype: u8,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Iovec {
    pub buffer: u32,
    pub length: u32,
}

impl Iovec {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { buffer: bytes.as_ptr() as u32, length: bytes.len() as u32 }
    }

    #[must_use]
    pub fn of_mut(bytes: &mut [u8]) -> Self {
        Self { buffer: bytes.as_mut_ptr() as u32, length: bytes.len() as u32 }
    }
}

/// The 24 bytes before a name in the answer of `fd_readdir`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Dirent {
    pub next: u64,
    pub inode: u64,
    pub name_length: u32,
    pub filetype: u8,
}

/// A subscription: `tag` 0 is a clock, 1 readable, 2 writable.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscription {
    pub userdata: u64,
    pub tag: u8,
    pub source: Source,
}

/// The union of a subscription: of a descriptor there is the `id` alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    /// The clock's number, or the descriptor.
    pub id: u32,
    pub timeout: u64,
    pub precision: u64,
    /// 1: the timeout is a time, not a duration.
    pub flags: u16,
}

impl Subscription {
    #[must_use]
    pub fn after(userdata: u64, clock: u32, nanoseconds: u64) -> Self {
        Self { userdata, tag: 0, source: Source { id: clock, timeout: nanoseconds, ..Source::default() } }
    }

    #[must_use]
    pub fn at(userdata: u64, clock: u32, time: u64) -> Self {
        Self { userdata, tag: 0, source: Source { id: clock, timeout: time, flags: 1, ..Source::default() } }
    }

    #[must_use]
    pub fn readable(userdata: u64, fd: Fd) -> Self {
        Self { userdata, tag: 1, source: Source { id: fd, ..Source::default() } }
    }

    #[must_use]
    pub fn writable(userdata: u64, fd: Fd) -> Self {
        Self { userdata, tag: 2, source: Source { id: fd, ..Source::default() } }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    pub userdata: u64,
    pub error: u16,
    pub tag: u8,
    pub bytes: u64,
    pub flags: u16,
}

const _: () = {
    assert!(size_of::<Fdstat>() == 24);
    assert!(size_of::<Filestat>() == 64);
    assert!(size_of::<Dirent>() == 24);
    assert!(size_of::<Subscription>() == 48);
    assert!(size_of::<Event>() == 32);
};
