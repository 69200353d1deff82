//! What one component may make the host hold or do.

/// Bytes that one read of a file gives at most; a guest that asks for more reads again.
pub(super) const MAX_READ: usize = 256 << 10;

/// Bytes that a stream to a file or to stdout and stderr takes in one write.
pub(super) const WRITE_PERMIT: usize = 64 << 10;

/// Directory entries that are fetched at once.
pub(super) const ENTRIES_AT_ONCE: usize = 64;

/// Bytes of one set of header fields, as the host keeps them: names and values, and for each field about 70 more, so that
/// there are no more than about a thousand.
pub(super) const FIELDS_BYTES_MAX: usize = 64 << 10;

/// Bytes that a body on its way out takes in one write.
pub(super) const BODY_WRITE: usize = 64 << 10;

/// The limits of one component. Linear memories and tables are the store's limiter's business, descriptors that of their
/// counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentLimits {
    /// Handles of all kinds (streams, pollables, errors, descriptors …). Past it, opening a file is `quota`; making
    /// a pollable or an error ends the guest.
    pub resources: usize,
    /// Bytes that one call may pass from the guest to the host. Past it the guest is stopped.
    pub call_bytes: usize,
    /// Bytes of randomness that one call may ask for. Past it the guest is stopped.
    pub random_bytes: u64,
    /// Sets of header fields of `wasi:http` that may be held at once, alone or as a part of a request or an answer. Who adds
    /// a field to one more is stopped.
    pub field_sets: usize,
}

/// Handles of other kinds that an open file needs at once in the libraries that we know: two streams, their pollables.
const HANDLES_A_FILE: usize = 8;
/// Handles that an instance which answers one request may have: it is one of many.
const HANDLES_A_REQUEST: usize = 512;
/// Handles that a program has without any file.
const HANDLES_AT_LEAST: usize = 1024;
/// Bytes that a handle is charged: an estimate of its slot in the table and the small object behind it.
const HANDLE_BYTES: u64 = 256;
/// The part of an app's memory that its handles may be charged.
const HANDLES_SHARE: u64 = 16;
/// Sets of header fields that a program may hold at once.
const FIELD_SETS: usize = 256;
/// The same of an instance that answers one request, for its answer and for requests of its own.
const FIELD_SETS_A_REQUEST: usize = 32;
/// Sets of header fields for which every program has room.
const FIELD_SETS_AT_LEAST: usize = 4;
/// The part of an app's memory that all its sets of header fields would fill.
const FIELD_SETS_SHARE: u64 = 16;

impl ComponentLimits {
    /// The defaults for a program that may hold `descriptors` files and connections open.
    #[must_use]
    pub fn with_descriptors(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let resources = descriptors.saturating_mul(HANDLES_A_FILE).saturating_add(HANDLES_AT_LEAST);
        Self { resources, call_bytes: 16 << 20, random_bytes: 1 << 20, field_sets: FIELD_SETS }
    }

    /// The limits of a process with `descriptors`, with no more handles than a sixteenth of its memory pays for.
    #[must_use]
    pub(crate) fn of_process(descriptors: u64, memory_bytes: u64) -> Self {
        let mut limits = Self::with_descriptors(descriptors);
        let most = usize::try_from(memory_bytes / HANDLES_SHARE / HANDLE_BYTES).unwrap_or(usize::MAX);
        limits.resources = limits.resources.min(most);
        let sets = memory_bytes / FIELD_SETS_SHARE / FIELDS_BYTES_MAX as u64;
        let sets = usize::try_from(sets).unwrap_or(usize::MAX).max(FIELD_SETS_AT_LEAST);
        limits.field_sets = limits.field_sets.min(sets);
        limits
    }

    /// The same for an instance that answers one request.
    #[must_use]
    pub(crate) fn for_a_request(mut self) -> Self {
        self.resources = self.resources.min(HANDLES_A_REQUEST);
        self.field_sets = self.field_sets.min(FIELD_SETS_A_REQUEST);
        self
    }

    /// What all handles together are charged, in bytes, before the program starts.
    pub(crate) fn handle_bytes(&self) -> u64 {
        (self.resources as u64).saturating_mul(HANDLE_BYTES)
    }
}

impl Default for ComponentLimits {
    fn default() -> Self {
        Self::with_descriptors(256)
    }
}
