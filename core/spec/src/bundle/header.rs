//! The header: what is in a bundle, where, and with which hashes. Parsed once, kept as it is stored.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use super::error::{Error, Result};
use super::limits::{
    CHUNK_BYTES, CHUNK_RECORD_BYTES, FORMAT_VERSION, MAGIC, MAX_APP_BYTES, MAX_FILES, MAX_HEADER_BYTES,
    MAX_MODULE_BYTES, MAX_MODULES, MAX_SBOM_BYTES, MAX_SECTIONS, MAX_TIME_SECONDS, PRELUDE_BYTES,
    chunk_count, next_page,
};
use super::path::{check_neighbours, parse_path};

/// What a section holds. In a bundle they stand in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum SectionKind {
    App = 1,
    Module = 2,
    Files = 3,
    Sbom = 4,
}

impl SectionKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::Module => "module",
            Self::Files => "files",
            Self::Sbom => "SBOM",
        }
    }

    const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::App,
            2 => Self::Module,
            3 => Self::Files,
            4 => Self::Sbom,
            _ => return None,
        })
    }

    /// The largest content; that of the files has no limit of its own.
    const fn max_bytes(self) -> u64 {
        match self {
            Self::App => MAX_APP_BYTES,
            Self::Module => MAX_MODULE_BYTES,
            Self::Files => u64::MAX,
            Self::Sbom => MAX_SBOM_BYTES,
        }
    }
}

/// What a module is for an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ModuleKind {
    /// A core module (WASI preview 1, or none).
    Core = 1,
    /// A component (WASI 0.2).
    Component = 2,
}

impl ModuleKind {
    const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Core),
            2 => Some(Self::Component),
            _ => None,
        }
    }

    /// Tells from the first eight bytes what a module is; `None` when it is no WebAssembly that is known here.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.get(..8)? {
            b"\0asm\x01\0\0\0" => Some(Self::Core),
            b"\0asm\x0d\0\x01\0" => Some(Self::Component),
            _ => None,
        }
    }
}

/// A run of chunks: where the stored bytes are, and where the chunk records are in the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) offset: u64,
    pub(crate) plain: u64,
    pub(crate) records: usize,
    /// The index of its first chunk in [`Header::starts`].
    first: usize,
}

/// One chunk of a content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) offset: u64,
    pub(crate) stored: usize,
    pub(crate) plain: usize,
    pub(crate) hash: &'a [u8; 32],
    /// Unique in the bundle: where its record is.
    pub(crate) key: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: SectionKind,
    pub(crate) module_kind: Option<ModuleKind>,
    /// Of the content, uncompressed.
    pub(crate) hash: [u8; 32],
    name: Range<usize>,
    pub(crate) stored: u64,
    pub(crate) content: Content,
}

impl Section {
    /// Where its stored bytes end. Checked not to overflow when it was parsed.
    pub(crate) const fn end(&self) -> u64 {
        self.content.offset + self.stored
    }
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    path: Range<usize>,
    pub(crate) modified: u64,
    /// The module that has this content, if one does.
    pub(crate) module: Option<usize>,
    pub(crate) content: Content,
}

/// The parsed header. It refers into its own bytes.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) bytes: Vec<u8>,
    pub(crate) writer: u32,
    pub(crate) created: u64,
    pub(crate) sections: Vec<Section>,
    pub(crate) files: Vec<File>,
    /// Where the stored bytes of each chunk begin, so that no reader adds up the lengths before it. At most one number for
    /// each of the 2^24 / 36 records that fit into a header: 4 MiB.
    starts: Vec<u64>,
    /// Where the trailer begins.
    pub(crate) end: u64,
}

/// Reads the header's length from the first bytes of a bundle, refusing what is no bundle and other versions.
pub(crate) fn parse_length(prelude: &[u8; PRELUDE_BYTES]) -> Result<u32> {
    let mut cursor = Cursor { bytes: prelude, at: 0, starts: Vec::new() };
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(Error::NotABundle);
    }
    match cursor.u32()? {
        FORMAT_VERSION => {}
        found if found > FORMAT_VERSION => return Err(Error::NewerFormat { found }),
        found => return Err(Error::UnknownFormat { found }),
    }
    let length = cursor.u32()?;
    limit("header", u64::from(length), u64::from(MAX_HEADER_BYTES))?;
    if (length as usize) < PRELUDE_BYTES {
        return Err(Error::HeaderLength { declared: u64::from(length), found: PRELUDE_BYTES as u64 });
    }
    Ok(length)
}

impl Header {
    /// Parses the whole header, which has the length that [`parse_length`] gave.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self> {
        let mut cursor = Cursor { bytes: &bytes, at: 16, starts: Vec::new() };
        let section_count = cursor.u32()?;
        limit("section count", u64::from(section_count), MAX_SECTIONS as u64)?;
        let file_count = cursor.u32()?;
        limit("file count", u64::from(file_count), u64::from(MAX_FILES))?;
        let writer = cursor.u32()?;
        cursor.zeros(4, "header")?;
        let created = cursor.time()?;

        let mut sections = Vec::with_capacity(section_count as usize);
        for _ in 0..section_count {
            sections.push(cursor.section(&sections, bytes.len() as u64)?);
        }
        if sections.is_empty() {
            return Err(Error::NoApp);
        }
        let files = cursor.files(file_count, &sections)?;
        if cursor.at != bytes.len() {
            return Err(Error::HeaderLength { declared: bytes.len() as u64, found: cursor.at as u64 });
        }
        let end = sections.last().map_or(Some(0), |last| next_page(last.end()));
        let end = end.ok_or(Error::Limit { what: "length", found: u64::MAX, limit: i64::MAX as u64 })?;
        let starts = cursor.starts;
        Ok(Self { bytes, writer, created, sections, files, starts, end })
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.kind == SectionKind::Module)
    }

    pub(crate) fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    pub(crate) fn name(&self, section: &Section) -> &str {
        text(&self.bytes, &section.name)
    }

    pub(crate) fn path(&self, file: &File) -> &str {
        text(&self.bytes, &file.path)
    }

    /// The chunk `index` of `content`; `None` after its end.
    pub(crate) fn chunk(&self, content: &Content, index: u64) -> Option<Chunk<'_>> {
        if index >= chunk_count(content.plain) {
            return None;
        }
        let number = usize::try_from(index).ok()?;
        let key = content.records + number * CHUNK_RECORD_BYTES;
        let record = self.bytes.get(key..)?.get(..CHUNK_RECORD_BYTES)?;
        Some(Chunk {
            offset: *self.starts.get(content.first + number)?,
            stored: record_length(record)? as usize,
            plain: chunk_bytes(content.plain, index) as usize,
            hash: record.last_chunk()?,
            key,
        })
    }
}

/// A path or name that was checked when it was parsed.
fn text<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    bytes.get(range.clone()).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
}

fn record_length(record: &[u8]) -> Option<u64> {
    record.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)))
}

/// How many bytes the chunk `index` of a content of `plain` bytes has, uncompressed.
const fn chunk_bytes(plain: u64, index: u64) -> u64 {
    let left = plain - index * CHUNK_BYTES;
    if left < CHUNK_BYTES { left } else { CHUNK_BYTES }
}

const fn limit(what: &'static str, found: u64, limit: u64) -> Result<()> {
    if found > limit { Err(Error::Limit { what, found, limit }) } else { Ok(()) }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// See [`Header::starts`]: of the chunks that were read so far.
    starts: Vec<u64>,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(Error::Truncated {
            what: "header",
            needed: (self.at as u64).saturating_add(count as u64),
            available: self.bytes.len() as u64,
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn zeros(&mut self, count: usize, what: &'static str) -> Result<()> {
        if self.take(count)?.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Error::NotZero { what }) }
    }

    fn time(&mut self) -> Result<u64> {
        match self.u64()? {
            found if found > MAX_TIME_SECONDS => Err(Error::Time { found }),
            seconds => Ok(seconds),
        }
    }

    fn path(&mut self, length: u16) -> Result<Range<usize>> {
        let start = self.at;
        parse_path(self.take(usize::from(length))?)?;
        Ok(start..self.at)
    }

    /// Reads the chunk records of a content of `plain` bytes that is stored at `offset`; returns the content and how many
    /// bytes are stored. The records must be there, so the header's length bounds `plain`: to 2^24 / 36 MiB.
    fn chunks(&mut self, offset: u64, plain: u64, what: impl Fn() -> String) -> Result<(Content, u64)> {
        let content = Content { offset, plain, records: self.at, first: self.starts.len() };
        let count = chunk_count(plain);
        let length =
            count.checked_mul(CHUNK_RECORD_BYTES as u64).and_then(|length| usize::try_from(length).ok());
        let table = self.take(length.unwrap_or(usize::MAX))?;
        let mut total = 0;
        self.starts.reserve(count as usize);
        for (index, record) in (0..count).zip(table.chunks_exact(CHUNK_RECORD_BYTES)) {
            let stored = record_length(record).unwrap_or(0);
            let plain = chunk_bytes(plain, index);
            if stored == 0 || stored > plain {
                return Err(Error::ChunkLength { what: what(), chunk: index, stored, plain });
            }
            // Saturates only in a section that is then refused: its declared end was checked, and is compared with this.
            self.starts.push(offset.saturating_add(total));
            // At most 2^20 bytes for each of the at most 2^24 / 36 records of a header.
            total += stored;
        }
        Ok((content, total))
    }

    /// Reads the section record after `before`, in a header of `header_bytes` bytes.
    fn section(&mut self, before: &[Section], header_bytes: u64) -> Result<Section> {
        let code = self.u32()?;
        let kind = SectionKind::from_code(code).ok_or(Error::UnknownSection { kind: code })?;
        let in_order = match before.last() {
            None if kind == SectionKind::App => true,
            None => return Err(Error::NoApp),
            Some(last) => kind > last.kind || (kind == last.kind && kind == SectionKind::Module),
        };
        if !in_order {
            return Err(Error::SectionOrder { kind: kind.name() });
        }
        let flavour = self.u32()?;
        let offset = self.u64()?;
        let stored = self.u64()?;
        let plain = self.u64()?;
        let hash = self.array()?;
        let name_bytes = self.u16()?;

        let previous_end = before.last().map_or(header_bytes, Section::end);
        let expected = next_page(previous_end).unwrap_or(u64::MAX);
        if offset != expected {
            return Err(Error::SectionOffset { kind: kind.name(), found: offset, expected });
        }
        if offset.checked_add(stored).is_none() {
            return Err(Error::Limit { what: "section length", found: stored, limit: u64::MAX - offset });
        }
        limit(kind.name(), plain, kind.max_bytes())?;

        let (name, module_kind) = if kind == SectionKind::Module {
            let name = self.path(name_bytes)?;
            (name.clone(), Some(self.module_kind(flavour, name, before)?))
        } else if flavour != 0 || name_bytes != 0 {
            return Err(Error::NotZero { what: "section record" });
        } else {
            (0..0, None)
        };
        let content = if kind == SectionKind::Files {
            if hash != [0; 32] {
                return Err(Error::NotZero { what: "files section record" });
            }
            // Its files have the chunks.
            Content { offset, plain, records: self.at, first: self.starts.len() }
        } else {
            if plain == 0 {
                return Err(Error::Empty { kind: kind.name() });
            }
            let (content, found) = self.chunks(offset, plain, || section_text(kind))?;
            if found != stored {
                return Err(Error::SectionLength { kind: kind.name(), declared: stored, found });
            }
            content
        };
        Ok(Section { kind, module_kind, hash, name, stored, content })
    }

    fn module_kind(&self, code: u32, name: Range<usize>, before: &[Section]) -> Result<ModuleKind> {
        let modules = || before.iter().filter(|section| section.kind == SectionKind::Module);
        limit("module count", modules().count() as u64 + 1, MAX_MODULES as u64)?;
        let own = self.bytes.get(name);
        let text = || String::from_utf8_lossy(own.unwrap_or_default()).into_owned();
        if modules().any(|section| self.bytes.get(section.name.clone()) == own) {
            return Err(Error::DuplicateModule { name: text() });
        }
        ModuleKind::from_code(code).ok_or_else(|| Error::UnknownModuleKind { name: text(), found: code })
    }

    fn files(&mut self, count: u32, sections: &[Section]) -> Result<Vec<File>> {
        const SMALLEST_RECORD: usize = 2 + 2 + 8 + 8 + 1;
        let section = sections.iter().find(|section| section.kind == SectionKind::Files);
        let Some(section) = section else {
            limit("file count without a files section", u64::from(count), 0)?;
            return Ok(Vec::new());
        };
        if count == 0 {
            return Err(Error::Empty { kind: SectionKind::Files.name() });
        }
        // The records must be there before memory is taken for them.
        let left = self.bytes.len() - self.at;
        limit("file count for its header", u64::from(count), (left / SMALLEST_RECORD) as u64)?;

        let mut files: Vec<File> = Vec::with_capacity(count as usize);
        let (mut offset, mut plain) = (section.content.offset, 0_u64);
        for _ in 0..count {
            let file = self.file(offset, sections)?;
            if let Some(last) = files.last() {
                check_neighbours(text(self.bytes, &last.path), text(self.bytes, &file.0.path))?;
            }
            if file.0.module.is_none() {
                plain = plain.saturating_add(file.0.content.plain);
            }
            // Bounded as in `chunks`, after an offset that is itself bounded by the section table.
            offset = offset.saturating_add(file.1);
            files.push(file.0);
        }
        let found = offset - section.content.offset;
        let kind = SectionKind::Files.name();
        if found != section.stored {
            return Err(Error::SectionLength { kind, declared: section.stored, found });
        }
        if plain != section.content.plain {
            return Err(Error::SectionLength { kind, declared: section.content.plain, found: plain });
        }
        Ok(files)
    }

    /// Reads a file record whose own content would begin at `offset`; returns it and how much of that it took.
    fn file(&mut self, offset: u64, sections: &[Section]) -> Result<(File, u64)> {
        let path_bytes = self.u16()?;
        let module = self.u16()?;
        let size = self.u64()?;
        let modified = self.time()?;
        let path = self.path(path_bytes)?;
        let bytes = self.bytes;
        if module == 0 {
            let (content, stored) = self.chunks(offset, size, || file_text(text(bytes, &path)))?;
            return Ok((File { path, modified, module: None, content }, stored));
        }
        let mut modules = sections.iter().filter(|section| section.kind == SectionKind::Module);
        match modules.nth(usize::from(module) - 1) {
            Some(section) if section.content.plain == size => {
                let module = Some(usize::from(module) - 1);
                Ok((File { path, modified, module, content: section.content }, 0))
            }
            _ => Err(Error::ModuleReference { path: text(bytes, &path).into(), module: u32::from(module) }),
        }
    }
}

/// A section in words.
pub(crate) fn section_text(kind: SectionKind) -> String {
    alloc::format!("the {} section", kind.name())
}

/// A file in words.
pub(crate) fn file_text(path: &str) -> String {
    alloc::format!("the file `{}`", path.escape_debug())
}
