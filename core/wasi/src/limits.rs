//! Every size that a guest, or who starts it, may choose. `docs/abi.md` has the same table for people.

/// Descriptors that a process may hold when nothing else is said, the standard streams included.
pub const FDS_DEFAULT: u32 = 256;

/// The largest number of descriptors that may be configured.
pub const FDS_MAX: u32 = 65_536;

/// Entries in one vector of buffers, as on Linux (`IOV_MAX`). More is `INVAL`.
pub const IOVECS_MAX: u32 = 1024;

/// Buffers that are handed to a file system in one call. More are handed on in several calls.
pub const IOVECS_AT_ONCE: usize = 16;

/// Bytes that are copied at once where an engine cannot lend the guest's memory.
pub const SCRATCH_BYTES: u32 = 64 * 1024;

/// Bytes in a path. More is `NAMETOOLONG`.
pub const PATH_BYTES_MAX: u32 = 4096;

/// Bytes of one `random_get`. More is `INVAL`: the call cannot be interrupted.
pub const RANDOM_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Random bytes that are asked from the host at once.
pub const RANDOM_BYTES_AT_ONCE: usize = 1024;

/// Subscriptions of one `poll_oneoff`. More is `INVAL`.
pub const SUBSCRIPTIONS_MAX: u32 = 4096;

/// Bytes of all arguments, or of all environment variables, with their terminators.
pub const STRINGS_BYTES_MAX: usize = 1024 * 1024;

/// Number of arguments, or of environment variables.
pub const STRINGS_MAX: usize = 65_536;

/// Refusals that are remembered; later ones of another kind are dropped.
pub const DENIALS_MAX: usize = 64;

/// Bytes of a path that are kept with a refusal.
pub const DENIAL_BYTES_MAX: usize = 256;

/// What a process may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Open descriptors, 3 to [`FDS_MAX`]; default [`FDS_DEFAULT`]. The next one is `MFILE`.
    pub fds: u32,
}

impl Limits {
    /// The defaults with another number of descriptors.
    #[must_use]
    pub const fn with_fds(fds: u32) -> Self {
        Self { fds }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { fds: FDS_DEFAULT }
    }
}
