//! Why a file operation failed. One set of names for the whole core.

use core::fmt;

/// The result of a file operation.
pub type Result<T> = core::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a file operation failed. Each number is the one of `errno` in WASI preview 1, so that the WASI layer
        /// passes it on unchanged; the names are the POSIX ones without their `E`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Error { $($(#[$doc])* $name = $code,)* }

        impl Error {
            /// The POSIX name without its `E`, in capitals: `NOENT`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

errors! {
    /// Not granted: the operator did not allow it.
    ACCES = 2,
    /// The resource is not ready and the descriptor is non-blocking.
    AGAIN = 6,
    /// The descriptor or handle is not open, or not open for this.
    BADF = 8,
    /// In use: a mount point, or a directory that holds one.
    BUSY = 10,
    /// The connection was ended because its grant was revoked.
    CONNABORTED = 13,
    /// The service is down or its backlog is full; nobody listens at that port of the host outside.
    CONNREFUSED = 14,
    /// The peer died.
    CONNRESET = 15,
    /// The path already exists.
    EXIST = 20,
    /// A guest address is outside the guest's memory.
    FAULT = 21,
    /// The file would become larger than the file system allows.
    FBIG = 22,
    /// No way leads to the host outside.
    HOSTUNREACH = 23,
    /// The name is not UTF-8.
    ILSEQ = 25,
    /// The wait was interrupted.
    INTR = 27,
    /// An argument makes no sense.
    INVAL = 28,
    /// The device below failed.
    IO = 29,
    /// A directory, where none may be.
    ISDIR = 31,
    /// More than 40 symbolic links, or a link where none may be followed.
    LOOP = 32,
    /// Too many descriptors are open.
    MFILE = 33,
    /// Too many links to one file.
    MLINK = 34,
    /// A name of more than 255 bytes or a path of more than 4096.
    NAMETOOLONG = 37,
    /// The path does not exist.
    NOENT = 44,
    /// The host's memory, or what the app may use of it, is exhausted.
    NOMEM = 48,
    /// The quota in bytes or inodes, or the disk, is full.
    NOSPC = 51,
    /// The host does not know this call.
    NOSYS = 52,
    /// Not a directory, where one is needed.
    NOTDIR = 54,
    /// The directory is not empty.
    NOTEMPTY = 55,
    /// Not a socket.
    NOTSOCK = 57,
    /// The file system has no such operation.
    NOTSUP = 58,
    /// The number does not fit.
    OVERFLOW = 61,
    /// Not permitted for this kind of file.
    PERM = 63,
    /// The other end is closed.
    PIPE = 64,
    /// The mount is read-only.
    ROFS = 69,
    /// Not seekable.
    SPIPE = 70,
    /// The host outside, or whoever answers for its name, took too long.
    TIMEDOUT = 73,
    /// The two paths lie in different mounts.
    XDEV = 75,
    /// The path leaves its mount or its starting directory, or the descriptor lacks the right.
    NOTCAPABLE = 76,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Error {}
