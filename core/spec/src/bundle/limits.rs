//! The sizes that a reader accepts, and the constants of the layout. Every number a bundle can choose is here.

/// What a bundle begins with. The first byte is not ASCII and the line endings are mixed, so that a transfer in text
/// mode shows at once.
pub const MAGIC: [u8; 8] = *b"\x89QYV\r\n\x1a\n";

/// The version of the format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// Counts the changes of the writer's output for one and the same input. It informs; no reader decides by it.
pub const WRITER_VERSION: u32 = 1;

/// Sections begin at multiples of this many bytes.
pub const PAGE_BYTES: u64 = 4096;

/// Contents are stored in chunks of this many bytes; only the last one of a content is shorter.
pub const CHUNK_BYTES: u64 = 1 << 20;

/// The fixed first part of the header.
pub const PRELUDE_BYTES: usize = 40;

/// The fixed first part of a section record.
pub const SECTION_RECORD_BYTES: usize = 66;

/// One chunk record: its stored length and its hash.
pub const CHUNK_RECORD_BYTES: usize = 36;

/// The fixed first part of the trailer: the header's hash, the number of signatures, four zeros.
pub const TRAILER_BYTES: usize = 40;

/// One signature in the trailer: key id, public key, signature.
pub const SIGNATURE_BYTES: usize = 8 + 32 + 64;

/// The largest header. 16 MiB hold the records of some 150,000 files with paths of usual length.
pub const MAX_HEADER_BYTES: u32 = 16 << 20;

/// The most packaged files.
pub const MAX_FILES: u32 = 250_000;

/// The most modules: the app's own, and language runtimes.
pub const MAX_MODULES: usize = 64;

/// The most sections: one App, the modules, the files, one SBOM.
pub const MAX_SECTIONS: usize = MAX_MODULES + 3;

/// The largest App section, uncompressed.
pub const MAX_APP_BYTES: u64 = crate::app::APP_JSON_BYTES_MAX as u64;

/// The largest module, uncompressed. The largest program known to be in use has 75 MiB.
pub const MAX_MODULE_BYTES: u64 = 512 << 20;

/// The largest SBOM, uncompressed.
pub const MAX_SBOM_BYTES: u64 = 64 << 20;

/// The longest path of a packaged file and the longest name of a module, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// The longest component of a path, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// The latest time, in seconds since 1970-01-01T00:00:00Z: its nanoseconds still fit into 64 bits (the year 2554).
pub const MAX_TIME_SECONDS: u64 = u64::MAX / 1_000_000_000;

/// The most signatures on one bundle.
pub const MAX_SIGNATURES: usize = 16;

/// How many chunks a content of `plain` bytes has.
pub(crate) const fn chunk_count(plain: u64) -> u64 {
    plain.div_ceil(CHUNK_BYTES)
}

/// The first multiple of a page that is not below `offset`.
pub(crate) const fn next_page(offset: u64) -> Option<u64> {
    offset.checked_next_multiple_of(PAGE_BYTES)
}
