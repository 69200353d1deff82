//! Opening a bundle and reading what is in it.

use alloc::{string::String, vec, vec::Vec};

use super::cache::{ChunkCache, resize};
use super::error::{Error, Result};
use super::frame;
use super::header::{
    Chunk, Content, File, Header, ModuleKind, Section, SectionKind, file_text, parse_length, section_text,
};
use super::key::SecretKey;
use super::limits::{CHUNK_BYTES, PRELUDE_BYTES, SIGNATURE_BYTES, TRAILER_BYTES};
use super::path::compare_paths;
use super::signature::{Signature, check_set, parse_signatures, parse_trailer, write_trailer};
use super::source::Source;

/// An opened bundle.
///
/// That it could be opened proves that its header is well-formed, within the limits and undamaged, and that the file
/// ends where it says. It does **not** prove who made it (see [`verify`](super::verify)) nor that the contents
/// are undamaged: these are checked as they are read, each chunk against its hash in the header before anything is
/// decompressed. [`Bundle::check_contents`] reads everything.
#[derive(Debug)]
pub struct Bundle<S> {
    source: S,
    header: Header,
    hash: [u8; 32],
    signatures: Vec<Signature>,
}

/// A module in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// For [`Bundle::read_module`].
    pub index: usize,
    /// A relative path, by which the App refers to it.
    pub name: &'a str,
    /// As the bundle says; checked when the module is read.
    pub kind: ModuleKind,
    /// Bytes, uncompressed.
    pub size: u64,
    /// The BLAKE3 hash of the uncompressed module, as the bundle says; checked when the module is read.
    pub hash: [u8; 32],
}

/// A packaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry<'a> {
    /// For [`Bundle::read_at`].
    pub index: usize,
    /// Relative and normalised: see [`check_path`](super::check_path).
    pub path: &'a str,
    /// Bytes, uncompressed.
    pub size: u64,
    /// Seconds since 1970-01-01T00:00:00Z; 0 when the packer gave none.
    pub modified: u64,
    /// The module that has the same content, when the file is stored as that.
    pub module: Option<usize>,
}

/// A new end for a bundle file: its first `offset` bytes stay, everything after them is replaced by `bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Where it begins.
    pub offset: u64,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl<S: Source> Bundle<S> {
    /// Reads and checks the header, the trailer, and the padding between the sections.
    ///
    /// Takes memory for the header (at most 16 MiB), 8 bytes for each chunk, and about 72 bytes for each packaged
    /// file.
    ///
    /// # Errors
    ///
    /// Why it is refused; nothing is read past the first reason.
    pub fn open(source: S) -> Result<Self> {
        let available = length(&source)?;
        let mut prelude = [0; PRELUDE_BYTES];
        if available < PRELUDE_BYTES as u64 {
            return Err(short(&source, available));
        }
        read(&source, 0, &mut prelude)?;
        let header_length = u64::from(parse_length(&prelude)?);
        if header_length > available {
            return Err(Error::Truncated { what: "header", needed: header_length, available });
        }
        let mut bytes = Vec::new();
        reserve(&mut bytes, header_length)?;
        bytes.resize(header_length as usize, 0);
        read(&source, 0, &mut bytes)?;
        // Read twice: the length must still be the one that was checked.
        if bytes.get(..PRELUDE_BYTES) != Some(&prelude) {
            return Err(Error::HeaderDamaged);
        }
        let hash = *blake3::hash(&bytes).as_bytes();
        let header = Header::parse(bytes)?;

        let end = header.end.saturating_add(TRAILER_BYTES as u64);
        if available < end {
            return Err(Error::Truncated { what: "sections", needed: end, available });
        }
        let mut trailer = [0; TRAILER_BYTES];
        read(&source, header.end, &mut trailer)?;
        let count = parse_trailer(&trailer, &hash)?;
        let mut signatures = vec![0; count * SIGNATURE_BYTES];
        let needed = end + signatures.len() as u64;
        if available < needed {
            return Err(Error::Truncated { what: "signatures", needed, available });
        }
        if available > needed {
            return Err(Error::TrailingBytes { end: needed, available });
        }
        read(&source, end, &mut signatures)?;
        let signatures = parse_signatures(&signatures)?;
        check_padding(&source, &header)?;
        Ok(Self { source, header, hash, signatures })
    }

    /// The bundle's identity: the BLAKE3 hash of its header, and so of everything but the signatures.
    #[must_use]
    pub const fn id(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The version of the writer, counted by the writer.
    #[must_use]
    pub const fn writer_version(&self) -> u32 {
        self.header.writer
    }

    /// When it was packed, in seconds since 1970-01-01T00:00:00Z; 0 when the packer gave no time.
    #[must_use]
    pub const fn created(&self) -> u64 {
        self.header.created
    }

    /// The source, given back.
    #[must_use]
    pub fn into_source(self) -> S {
        self.source
    }

    /// Reads the App: canonical JSON.
    ///
    /// # Errors
    ///
    /// When it is damaged or the source fails.
    pub fn read_app(&self) -> Result<Vec<u8>> {
        self.read_only_section(SectionKind::App)?.ok_or(Error::NoApp)
    }

    /// Reads the software bill of materials, if there is one.
    ///
    /// # Errors
    ///
    /// When it is damaged or the source fails.
    pub fn read_sbom(&self) -> Result<Option<Vec<u8>>> {
        self.read_only_section(SectionKind::Sbom)
    }

    /// The modules, in the order in which they were packed.
    pub fn modules(&self) -> impl Iterator<Item = Module<'_>> {
        self.header.modules().enumerate().map(|(index, section)| Module {
            index,
            name: self.header.name(section),
            // Always `Some` for a module section.
            kind: section.module_kind.unwrap_or(ModuleKind::Core),
            size: section.content.plain,
            hash: section.hash,
        })
    }

    /// Reads a whole module, at most [`MAX_MODULE_BYTES`](super::limits::MAX_MODULE_BYTES).
    ///
    /// # Errors
    ///
    /// When it is damaged, does not begin with `\0asm` and a known version, or is not of the kind the bundle says.
    pub fn read_module(&self, index: usize) -> Result<Vec<u8>> {
        let section = self.header.modules().nth(index).ok_or(Error::NoSuchEntry)?;
        let name = || String::from(self.header.name(section));
        let bytes = self.read_section(section)?;
        match ModuleKind::of(&bytes) {
            None => Err(Error::NotWasm { name: name() }),
            kind if kind != section.module_kind => Err(Error::WrongModuleKind { name: name() }),
            Some(_) => Ok(bytes),
        }
    }

    /// The packaged files, in the order of [`compare_paths`].
    pub fn files(&self) -> impl ExactSizeIterator<Item = FileEntry<'_>> {
        self.header.files.iter().enumerate().map(|(index, file)| self.entry(index, file))
    }

    /// The packaged file `index`.
    #[must_use]
    pub fn file(&self, index: usize) -> Option<FileEntry<'_>> {
        self.header.files.get(index).map(|file| self.entry(index, file))
    }

    fn entry(&self, index: usize, file: &File) -> FileEntry<'_> {
        FileEntry {
            index,
            path: self.header.path(file),
            size: file.content.plain,
            modified: file.modified,
            module: file.module,
        }
    }

    /// The index of the file at `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<usize> {
        let files = &self.header.files;
        files.binary_search_by(|file| compare_paths(self.header.path(file), path)).ok()
    }

    /// Reads from the file `index`, beginning at `offset`, as much as fits into `buffer`; returns how much that was:
    /// less than the buffer holds only at the end of the file.
    ///
    /// Reads, checks and decompresses the chunks of 1 MiB that are touched and not in `cache`.
    ///
    /// # Errors
    ///
    /// When a touched chunk is damaged or the source fails. The buffer is unspecified then.
    pub fn read_at(
        &self,
        index: usize,
        offset: u64,
        buffer: &mut [u8],
        cache: &mut ChunkCache,
    ) -> Result<usize> {
        let file = self.header.files.get(index).ok_or(Error::NoSuchEntry)?;
        let what = || file_text(self.header.path(file));
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            let number = at / CHUNK_BYTES;
            let Some(chunk) = self.header.chunk(&file.content, number) else { break };
            let plain = cache.get(&self.hash, chunk.key, chunk.plain, |scratch, plain| {
                self.read_chunk(&chunk, number, scratch, plain, what)
            })?;
            // Below CHUNK_BYTES, so the cast loses nothing.
            let available = plain.get((at % CHUNK_BYTES) as usize..).unwrap_or_default();
            let count = available.len().min(rest.len());
            if count == 0 {
                break;
            }
            rest[..count].copy_from_slice(&available[..count]);
            done += count;
        }
        Ok(done)
    }

    /// Reads and checks everything: App, modules, SBOM and every file.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn check_contents(&self) -> Result<()> {
        self.read_app()?;
        self.read_sbom()?;
        for index in 0..self.modules().count() {
            self.read_module(index)?;
        }
        let (mut scratch, mut plain) = (Vec::new(), Vec::new());
        for file in self.header.files.iter().filter(|file| file.module.is_none()) {
            let mut number = 0;
            while let Some(chunk) = self.header.chunk(&file.content, number) {
                resize(&mut plain, chunk.plain)?;
                self.read_chunk(&chunk, number, &mut scratch, &mut plain, || {
                    file_text(self.header.path(file))
                })?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Checks every stored byte against its hash, without decompressing any.
    ///
    /// Costs one reading of the bundle and memory for one chunk. Proves that the bundle is the one that its header
    /// describes; that what is stored can be decompressed is only found when it is read.
    ///
    /// # Errors
    ///
    /// The first damage found.
    pub fn check_stored(&self) -> Result<()> {
        let mut scratch = Vec::new();
        for section in self.header.sections.iter().filter(|section| section.kind != SectionKind::Files) {
            self.check_chunks(&section.content, &mut scratch, || self.section_text(section))?;
        }
        for file in self.header.files.iter().filter(|file| file.module.is_none()) {
            self.check_chunks(&file.content, &mut scratch, || file_text(self.header.path(file)))?;
        }
        Ok(())
    }

    fn check_chunks(
        &self,
        content: &Content,
        scratch: &mut Vec<u8>,
        what: impl Fn() -> String,
    ) -> Result<()> {
        let mut number = 0;
        while let Some(chunk) = self.header.chunk(content, number) {
            self.read_stored(&chunk, number, scratch, &what)?;
            number += 1;
        }
        Ok(())
    }

    /// The signatures, as stored. Only [`verify`](super::verify) tells what they are worth.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The header as it is stored: what is signed.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header.bytes
    }

    /// Signs the bundle with one more key, or again with one that signed it. All contents should be checked before
    /// ([`Bundle::check_contents`]), so that nobody signs what cannot be read.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`] when a signature that is there does not fit, [`Error::Limit`] when there are too many.
    pub fn sign(&self, key: &SecretKey) -> Result<Trailer> {
        let mut signatures = self.signatures.clone();
        for signature in &signatures {
            signature.check(self.header())?;
        }
        let id = key.public().id();
        signatures.retain(|signature| signature.key_id() != id);
        signatures.push(Signature::make(self.header(), key));
        check_set(&signatures)?;
        Ok(Trailer { offset: self.header.end, bytes: write_trailer(&self.hash, &signatures) })
    }

    fn read_only_section(&self, kind: SectionKind) -> Result<Option<Vec<u8>>> {
        self.header.section(kind).map(|section| self.read_section(section)).transpose()
    }

    fn read_section(&self, section: &Section) -> Result<Vec<u8>> {
        let what = || self.section_text(section);
        let content = self.read_content(&section.content, what)?;
        if *blake3::hash(&content).as_bytes() == section.hash {
            Ok(content)
        } else {
            Err(Error::ContentDamaged { what: what() })
        }
    }

    fn section_text(&self, section: &Section) -> String {
        match section.kind {
            SectionKind::Module => {
                alloc::format!("the module `{}`", self.header.name(section).escape_debug())
            }
            kind => section_text(kind),
        }
    }

    /// Reads a content whose size the header's limits bound.
    fn read_content(&self, content: &Content, what: impl Fn() -> String) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reserve(&mut bytes, content.plain)?;
        let mut scratch = Vec::new();
        let mut number = 0;
        while let Some(chunk) = self.header.chunk(content, number) {
            let start = bytes.len();
            bytes.resize(start + chunk.plain, 0);
            self.read_chunk(&chunk, number, &mut scratch, &mut bytes[start..], &what)?;
            number += 1;
        }
        Ok(bytes)
    }

    /// Reads one chunk into `plain`, which has its size: the stored bytes, their hash, and only then the frame.
    fn read_chunk(
        &self,
        chunk: &Chunk<'_>,
        number: u64,
        scratch: &mut Vec<u8>,
        plain: &mut [u8],
        what: impl Fn() -> String,
    ) -> Result<()> {
        if chunk.stored == chunk.plain {
            read(&self.source, chunk.offset, plain)?;
            return check_hash(chunk, number, plain, what);
        }
        self.read_stored(chunk, number, scratch, &what)?;
        frame::decode(scratch, plain).map_err(|reason| Error::Frame { what: what(), chunk: number, reason })
    }

    /// Reads the stored bytes of one chunk, and checks their hash.
    fn read_stored(
        &self,
        chunk: &Chunk<'_>,
        number: u64,
        into: &mut Vec<u8>,
        what: impl Fn() -> String,
    ) -> Result<()> {
        resize(into, chunk.stored)?;
        read(&self.source, chunk.offset, into)?;
        check_hash(chunk, number, into, what)
    }
}

fn check_hash(chunk: &Chunk<'_>, number: u64, stored: &[u8], what: impl Fn() -> String) -> Result<()> {
    if blake3::hash(stored).as_bytes() == chunk.hash {
        Ok(())
    } else {
        Err(Error::ChunkDamaged { what: what(), chunk: number })
    }
}

fn length(source: &impl Source) -> Result<u64> {
    source.len().map_err(|reason| Error::Source { reason })
}

fn read(source: &impl Source, offset: u64, buffer: &mut [u8]) -> Result<()> {
    source.read_at(offset, buffer).map_err(|reason| Error::Source { reason })
}

/// Takes memory for `bytes` bytes, or fails without ending the process.
fn reserve(buffer: &mut Vec<u8>, bytes: u64) -> Result<()> {
    let reserved = usize::try_from(bytes).ok().and_then(|bytes| buffer.try_reserve_exact(bytes).ok());
    reserved.ok_or(Error::OutOfMemory { bytes })
}

/// Tells a beginning of a bundle from something else.
fn short(source: &impl Source, available: u64) -> Error {
    let mut magic = super::limits::MAGIC;
    let begun = (available as usize).min(magic.len());
    match read(source, 0, &mut magic[..begun]) {
        Ok(()) if begun > 0 && magic == super::limits::MAGIC => {
            Error::Truncated { what: "header", needed: PRELUDE_BYTES as u64, available }
        }
        Ok(()) => Error::NotABundle,
        Err(error) => error,
    }
}

/// Checks that the bytes between the header, the sections and the trailer are zero.
fn check_padding(source: &impl Source, header: &Header) -> Result<()> {
    let mut from = header.bytes.len() as u64;
    let begins = header.sections.iter().map(|section| (section.content.offset, section.end()));
    for (begin, end) in begins.chain([(header.end, header.end)]) {
        let mut padding = [0; super::limits::PAGE_BYTES as usize];
        // Less than a page: offsets were checked to be the next multiple of one.
        let padding = &mut padding[..(begin - from) as usize];
        read(source, from, padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::NotZero { what: "padding" });
        }
        from = end;
    }
    Ok(())
}
