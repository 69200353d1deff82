//! Why a bundle is refused.

use alloc::string::String;
use core::fmt;

use super::key::KeyId;
use super::limits::{FORMAT_VERSION, MAX_COMPONENT_BYTES, MAX_PATH_BYTES};

/// The result of an operation on a bundle.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a bundle, a key file or a trust store is refused. The text says what is wrong, and how to mend it where that
/// can be known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named like what the texts say")]
pub enum Error {
    /// The source failed.
    Source { reason: String },
    /// It does not begin like a bundle.
    NotABundle,
    /// Its format is newer than this reader.
    NewerFormat { found: u32 },
    /// Its format has a version that never was.
    UnknownFormat { found: u32 },
    /// The bytes end too early.
    Truncated { what: &'static str, needed: u64, available: u64 },
    /// Bytes follow the end.
    TrailingBytes { end: u64, available: u64 },
    /// A number is larger than a reader accepts.
    Limit { what: &'static str, found: u64, limit: u64 },
    /// The header's tables do not fill it exactly.
    HeaderLength { declared: u64, found: u64 },
    /// The header does not have the hash in the trailer.
    HeaderDamaged,
    /// A byte that must be zero is not.
    NotZero { what: &'static str },
    /// A section has a kind that this version does not know.
    UnknownSection { kind: u32 },
    /// A section is missing, stands twice, or stands before its place.
    SectionOrder { kind: &'static str },
    /// There is no App section.
    NoApp,
    /// A section does not begin on the first page after the one before it: a gap or an overlap.
    SectionOffset { kind: &'static str, found: u64, expected: u64 },
    /// The lengths of a section's chunks do not add up to the section's.
    SectionLength { kind: &'static str, declared: u64, found: u64 },
    /// A content that may not be empty is.
    Empty { kind: &'static str },
    /// A module is marked as something unknown.
    UnknownModuleKind { name: String, found: u32 },
    /// Two modules have one name.
    DuplicateModule { name: String },
    /// A file shares its content with a module that does not exist or has another size.
    ModuleReference { path: String, module: u32 },
    /// A path or name that a bundle may not hold.
    Path { path: String, reason: PathError },
    /// A path stands twice.
    DuplicatePath { path: String },
    /// The paths are not in order.
    PathOrder { path: String },
    /// A path is a file and also a folder of another file.
    FileIsFolder { path: String },
    /// A time is too far in the future.
    Time { found: u64 },
    /// A chunk is stored in more bytes than it has, or in none.
    ChunkLength { what: String, chunk: u64, stored: u64, plain: u64 },
    /// A chunk's stored bytes do not have their hash.
    ChunkDamaged { what: String, chunk: u64 },
    /// A chunk is not the zstd frame that it must be.
    Frame { what: String, chunk: u64, reason: FrameError },
    /// A content does not have its hash.
    ContentDamaged { what: String },
    /// A module does not begin with `\0asm` and a known version.
    NotWasm { name: String },
    /// A module is a core module but marked as a component, or the reverse.
    WrongModuleKind { name: String },
    /// The App section is no App that this version knows.
    App { reason: String },
    /// A file is not as the App says, or one of them does not have it.
    AppFile { path: String },
    /// The App's program is not stored as a module.
    NoModule { path: String },
    /// There is no such module, file or section.
    NoSuchEntry,
    /// The memory for a content is not available.
    OutOfMemory { bytes: u64 },
    /// A signature does not name the key it carries.
    KeyIdMismatch { declared: KeyId, found: KeyId },
    /// Two signatures are of one key.
    DuplicateSignature { key: KeyId },
    /// A signature does not fit the header.
    BadSignature { key: KeyId },
}

/// Why a path may not stand in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum PathError {
    Empty,
    TooLong,
    ComponentTooLong,
    NotUtf8,
    Absolute,
    EmptyComponent,
    Dot,
    DotDot,
    Character,
}

/// Why a chunk is no acceptable zstd frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum FrameError {
    Header,
    Size,
    Blocks,
    Content,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => write!(f, "it is longer than {MAX_PATH_BYTES} bytes"),
            Self::ComponentTooLong => write!(f, "a name in it is longer than {MAX_COMPONENT_BYTES} bytes"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::Absolute => f.write_str("it begins with `/`"),
            Self::EmptyComponent => f.write_str("it has an empty name between or after slashes"),
            Self::Dot => f.write_str("it has a `.`"),
            Self::DotDot => f.write_str("it climbs with `..`"),
            Self::Character => f.write_str("it has a control character or a backslash"),
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "its frame header is not the one that a bundle may have",
            Self::Size => "its frame declares another size",
            Self::Blocks => "its blocks do not fill it exactly",
            Self::Content => "it does not decompress to its size",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { reason } => write!(f, "the bundle cannot be read: {reason}"),
            Self::NotABundle => f.write_str("this is not a `.qyvbin` bundle"),
            Self::NewerFormat { found } => write!(
                f,
                "the bundle was made by a newer qyvol (format {found}, this one reads up to {FORMAT_VERSION}): update qyvol"
            ),
            Self::UnknownFormat { found } => write!(f, "the bundle has an unknown format: {found}"),
            Self::Truncated { what, needed, available } => {
                write!(
                    f,
                    "the bundle is cut off in its {what}: {needed} bytes are needed, {available} are there"
                )
            }
            Self::TrailingBytes { end, available } => {
                write!(f, "the bundle ends at byte {end}, but {available} bytes are there")
            }
            Self::Limit { what, found, limit } => {
                write!(f, "the bundle has too much in its {what}: {found}, at most {limit} are read")
            }
            Self::HeaderLength { declared, found } => {
                write!(f, "the bundle's header has {found} bytes and declares {declared}")
            }
            Self::HeaderDamaged => f.write_str("the bundle's header is damaged: it does not have its hash"),
            Self::NotZero { what } => write!(f, "the bundle has bytes that are not zero in its {what}"),
            Self::UnknownSection { kind } => write!(f, "the bundle has a section of unknown kind {kind}"),
            Self::SectionOrder { kind } => {
                write!(f, "the bundle's {kind} section is repeated or out of order")
            }
            Self::NoApp => f.write_str("the bundle has no App section"),
            Self::SectionOffset { kind, found, expected } => {
                write!(f, "the bundle's {kind} section begins at byte {found} instead of {expected}")
            }
            Self::SectionLength { kind, declared, found } => {
                write!(f, "the bundle's {kind} section declares {declared} bytes, its parts have {found}")
            }
            Self::Empty { kind } => write!(f, "the bundle's {kind} section is empty"),
            Self::UnknownModuleKind { name, found } => {
                write!(f, "the module `{}` is of unknown kind {found}", name.escape_debug())
            }
            Self::DuplicateModule { name } => {
                write!(f, "the bundle has two modules named `{}`", name.escape_debug())
            }
            Self::ModuleReference { path, module } => {
                write!(f, "the file `{}` is not the module {module} that it refers to", path.escape_debug())
            }
            Self::Path { path, reason } => {
                write!(f, "the path `{}` may not stand in a bundle: {reason}", path.escape_debug())
            }
            Self::DuplicatePath { path } => {
                write!(f, "the bundle has the path `{}` twice", path.escape_debug())
            }
            Self::PathOrder { path } => {
                write!(f, "the bundle's paths are not in order at `{}`", path.escape_debug())
            }
            Self::FileIsFolder { path } => {
                write!(f, "the bundle has `{}` as a file and as a folder", path.escape_debug())
            }
            Self::Time { found } => write!(f, "the bundle has a time after the year 2554: {found} seconds"),
            Self::ChunkLength { what, chunk, stored, plain } => {
                write!(f, "{what}: chunk {chunk} of {plain} bytes is stored in {stored}")
            }
            Self::ChunkDamaged { what, chunk } => {
                write!(f, "{what} is damaged: chunk {chunk} does not have its hash")
            }
            Self::Frame { what, chunk, reason } => write!(f, "{what}: chunk {chunk} is refused: {reason}"),
            Self::ContentDamaged { what } => write!(f, "{what} does not have its hash"),
            Self::NotWasm { name } => {
                write!(f, "the module `{}` is not WebAssembly", name.escape_debug())
            }
            Self::WrongModuleKind { name } => write!(
                f,
                "the module `{}` is not of the kind (core module or component) that the bundle says",
                name.escape_debug()
            ),
            Self::App { reason } => write!(f, "the bundle's App cannot be read: {reason}"),
            Self::AppFile { path } => {
                write!(f, "the bundle's App and its files do not agree about `{}`", path.escape_debug())
            }
            Self::NoModule { path } => {
                write!(f, "the program `{}` is not stored as a module of the bundle", path.escape_debug())
            }
            Self::NoSuchEntry => f.write_str("the bundle has no such part"),
            Self::OutOfMemory { bytes } => write!(f, "there is no memory for {bytes} bytes of the bundle"),
            Self::KeyIdMismatch { declared, found } => {
                write!(f, "a signature says key `{declared}` and carries key `{found}`")
            }
            Self::DuplicateSignature { key } => write!(f, "the bundle is signed twice by key `{key}`"),
            Self::BadSignature { key } => {
                write!(
                    f,
                    "the signature of key `{key}` does not fit the bundle: it was changed after it was signed"
                )
            }
        }
    }
}

impl core::error::Error for Error {}
