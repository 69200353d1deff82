//! Packing a bundle. One input has one output, byte for byte, in one [`WRITER_VERSION`].

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use alloc::{boxed::Box, string::String, vec::Vec};

use super::error::{Error, Result as BundleResult};
use super::frame;
use super::header::{Header, ModuleKind, SectionKind, file_text, section_text};
use super::key::SecretKey;
use super::limits::{
    CHUNK_BYTES, CHUNK_RECORD_BYTES, FORMAT_VERSION, MAGIC, MAX_FILES, MAX_HEADER_BYTES, PAGE_BYTES,
    PRELUDE_BYTES, SECTION_RECORD_BYTES, WRITER_VERSION, chunk_count,
};
use super::path::{check_neighbours, compare_paths, parse_path};
use super::signature::{Signature, check_set, write_trailer};

/// Balances size and time: 70 MB take about two seconds. Part of what [`WRITER_VERSION`] counts.
const ZSTD_LEVEL: i32 = 9;

/// The same for a bundle that is read once, where it was made: a tenth of the time, a quarter more bytes.
const ZSTD_LEVEL_QUICK: i32 = 1;

/// A chunk is stored compressed when that saves at least one part in this many; less is not worth the decompression.
const WORTHWHILE: usize = 16;

/// Bytes to be packed: their number, and how to come by them when it is their turn.
pub struct Input<'a> {
    size: u64,
    open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + 'a>> + 'a>,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes)", self.size)
    }
}

impl<'a> Input<'a> {
    /// Takes bytes in memory.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::reader(bytes.len() as u64, move || Ok(bytes))
    }

    /// Takes exactly `size` bytes from the reader that `open` gives, once, when they are written.
    pub fn reader<R: Read + 'a>(size: u64, open: impl FnOnce() -> io::Result<R> + 'a) -> Self {
        Self { size, open: Box::new(move || open().map(|reader| Box::new(reader) as Box<dyn Read + 'a>)) }
    }
}

/// Why packing failed. What was written until then is no bundle.
#[derive(Debug)]
pub enum WriteError {
    /// A bundle may not be so.
    Refused(Error),
    /// An input cannot be read, or its size was not the one given.
    Input {
        /// Which.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// The output failed.
    Output(io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Input { what, error } => write!(f, "{what} cannot be packed: {error}"),
            Self::Output(error) => write!(f, "the bundle cannot be written: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

enum FileContent<'a> {
    Own(Input<'a>),
    Module { number: u16, size: u64 },
}

struct PendingFile<'a> {
    path: String,
    modified: u64,
    content: FileContent<'a>,
}

/// Collects what a bundle shall hold, then writes it. Times are left out unless they are given.
pub struct Writer<'a> {
    app: Vec<u8>,
    sbom: Option<Vec<u8>>,
    created: u64,
    level: i32,
    modules: Vec<(String, Input<'a>)>,
    files: Vec<PendingFile<'a>>,
}

impl<'a> Writer<'a> {
    /// Begins with the App, canonical JSON.
    #[must_use]
    pub const fn new(app: Vec<u8>) -> Self {
        Self { app, sbom: None, created: 0, level: ZSTD_LEVEL, modules: Vec::new(), files: Vec::new() }
    }

    /// Adds a software bill of materials.
    pub fn sbom(&mut self, sbom: Vec<u8>) {
        self.sbom = Some(sbom);
    }

    /// Sets when it was packed, in seconds since 1970-01-01T00:00:00Z.
    pub const fn created(&mut self, seconds: u64) {
        self.created = seconds;
    }

    /// Compresses for speed: for a bundle that goes no further than this host.
    pub const fn quick(&mut self) {
        self.level = ZSTD_LEVEL_QUICK;
    }

    /// Adds a module under the name by which the App refers to it; returns its index.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] for the name.
    pub fn module(&mut self, name: &str, input: Input<'a>) -> BundleResult<usize> {
        parse_path(name.as_bytes())?;
        self.modules.push((name.into(), input));
        Ok(self.modules.len() - 1)
    }

    /// Adds a packaged file; `modified` in seconds since 1970-01-01T00:00:00Z, or 0.
    ///
    /// # Errors
    ///
    /// [`Error::Path`].
    pub fn file(&mut self, path: &str, modified: u64, input: Input<'a>) -> BundleResult<()> {
        self.add(path, modified, FileContent::Own(input))
    }

    /// Adds a packaged file with the content of a module, which is not stored a second time.
    ///
    /// # Errors
    ///
    /// [`Error::Path`], and [`Error::NoSuchEntry`] for the module.
    pub fn module_file(&mut self, path: &str, modified: u64, module: usize) -> BundleResult<()> {
        let size = self.modules.get(module).ok_or(Error::NoSuchEntry)?.1.size;
        let number = u16::try_from(module + 1).map_err(|_| Error::NoSuchEntry)?;
        self.add(path, modified, FileContent::Module { number, size })
    }

    fn add(&mut self, path: &str, modified: u64, content: FileContent<'a>) -> BundleResult<()> {
        parse_path(path.as_bytes())?;
        self.files.push(PendingFile { path: path.into(), modified, content });
        Ok(())
    }

    /// Writes the bundle to `output`, from its position 0 on, signed by each of `keys`; returns the bundle's id.
    ///
    /// Holds the header and two chunks in memory. `output` should be empty; it is not flushed to disk.
    ///
    /// # Errors
    ///
    /// See [`WriteError`].
    pub fn write(
        mut self,
        output: &mut (impl Write + Seek),
        keys: &[&SecretKey],
    ) -> Result<[u8; 32], WriteError> {
        self.files.sort_by(|left, right| compare_paths(&left.path, &right.path));
        for pair in self.files.windows(2) {
            check_neighbours(&pair[0].path, &pair[1].path)?;
        }
        let header_bytes = self.header_bytes()?;
        let mut body = Body::new(output, header_bytes, self.level)?;
        let sections =
            1 + self.modules.len() + usize::from(!self.files.is_empty()) + usize::from(self.sbom.is_some());

        let mut header = Vec::with_capacity(header_bytes as usize);
        header.extend_from_slice(&MAGIC);
        for number in
            [FORMAT_VERSION, header_bytes, sections as u32, self.files.len() as u32, WRITER_VERSION, 0]
        {
            header.extend_from_slice(&number.to_le_bytes());
        }
        header.extend_from_slice(&self.created.to_le_bytes());

        let app = Input::bytes(&self.app);
        body.section(&mut header, SectionKind::App, "", app, &section_text(SectionKind::App))?;
        for (name, input) in self.modules {
            let what = alloc::format!("the module `{}`", name.escape_debug());
            body.section(&mut header, SectionKind::Module, &name, input, &what)?;
        }
        let mut file_records = Vec::new();
        if !self.files.is_empty() {
            body.files(&mut header, &mut file_records, self.files)?;
        }
        if let Some(sbom) = &self.sbom {
            let sbom = Input::bytes(sbom);
            body.section(&mut header, SectionKind::Sbom, "", sbom, &section_text(SectionKind::Sbom))?;
        }
        header.extend_from_slice(&file_records);
        body.finish(header, keys)
    }

    /// How long the header will be; known before any content is read, so that contents can be written behind it.
    fn header_bytes(&self) -> BundleResult<u32> {
        if self.files.len() > MAX_FILES as usize {
            let (found, limit) = (self.files.len() as u64, u64::from(MAX_FILES));
            return Err(Error::Limit { what: "file count", found, limit });
        }
        let chunks = |size| chunk_count(size).saturating_mul(CHUNK_RECORD_BYTES as u64);
        let section = |name: usize, size| (SECTION_RECORD_BYTES + name) as u64 + chunks(size);
        let mut total = PRELUDE_BYTES as u64 + section(0, self.app.len() as u64);
        for (name, input) in &self.modules {
            total = total.saturating_add(section(name.len(), input.size));
        }
        if !self.files.is_empty() {
            total = total.saturating_add(section(0, 0));
        }
        for file in &self.files {
            let own = match &file.content {
                FileContent::Own(input) => chunks(input.size),
                FileContent::Module { .. } => 0,
            };
            total = total.saturating_add(20 + file.path.len() as u64).saturating_add(own);
        }
        if let Some(sbom) = &self.sbom {
            total = total.saturating_add(section(0, sbom.len() as u64));
        }
        let limit = u64::from(MAX_HEADER_BYTES);
        let fitting = u32::try_from(total).ok().filter(|_| total <= limit);
        fitting.ok_or(Error::Limit { what: "header", found: total, limit })
    }
}

/// A content as it was written.
struct Stored {
    bytes: u64,
    plain: u64,
    hash: [u8; 32],
    records: Vec<u8>,
    /// The first bytes, by which modules are known.
    beginning: Vec<u8>,
}

/// What stands behind the header.
struct Body<'o, O> {
    output: &'o mut O,
    at: u64,
    compressor: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

impl<'o, O: Write + Seek> Body<'o, O> {
    fn new(output: &'o mut O, header_bytes: u32, level: i32) -> Result<Self, WriteError> {
        let compressor = zstd::bulk::Compressor::new(level).map_err(WriteError::Output)?;
        output.seek(SeekFrom::Start(0)).map_err(WriteError::Output)?;
        let mut body = Self { output, at: 0, compressor, buffer: Vec::new() };
        // The place of the header, filled last: until then this is no bundle.
        let mut left = header_bytes as usize;
        while left > 0 {
            let count = left.min(PAGE_BYTES as usize);
            body.put(&[0; PAGE_BYTES as usize][..count])?;
            left -= count;
        }
        Ok(body)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.output.write_all(bytes).map_err(WriteError::Output)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), WriteError> {
        let missing = (PAGE_BYTES - self.at % PAGE_BYTES) % PAGE_BYTES;
        self.put(&[0; PAGE_BYTES as usize][..missing as usize])
    }

    fn section(
        &mut self,
        header: &mut Vec<u8>,
        kind: SectionKind,
        name: &str,
        input: Input<'_>,
        what: &str,
    ) -> Result<(), WriteError> {
        self.pad()?;
        let offset = self.at;
        let stored = self.content(input, what)?;
        let mut flavour = 0;
        if kind == SectionKind::Module {
            let module = ModuleKind::of(&stored.beginning);
            flavour = module.ok_or_else(|| Error::NotWasm { name: name.into() })? as u32;
        }
        put_section(header, kind, flavour, [offset, stored.bytes, stored.plain], &stored.hash, name);
        header.extend_from_slice(&stored.records);
        Ok(())
    }

    fn files(
        &mut self,
        header: &mut Vec<u8>,
        records: &mut Vec<u8>,
        files: Vec<PendingFile<'_>>,
    ) -> Result<(), WriteError> {
        self.pad()?;
        let offset = self.at;
        let mut plain = 0_u64;
        for file in files {
            // A checked path has at most 4096 bytes.
            records.extend_from_slice(&(file.path.len() as u16).to_le_bytes());
            let (module, size, chunks) = match file.content {
                FileContent::Module { number, size } => (number, size, Vec::new()),
                FileContent::Own(input) => {
                    let stored = self.content(input, &file_text(&file.path))?;
                    plain = plain.saturating_add(stored.plain);
                    (0, stored.plain, stored.records)
                }
            };
            records.extend_from_slice(&module.to_le_bytes());
            records.extend_from_slice(&size.to_le_bytes());
            records.extend_from_slice(&file.modified.to_le_bytes());
            records.extend_from_slice(file.path.as_bytes());
            records.extend_from_slice(&chunks);
        }
        put_section(header, SectionKind::Files, 0, [offset, self.at - offset, plain], &[0; 32], "");
        Ok(())
    }

    fn content(&mut self, input: Input<'_>, what: &str) -> Result<Stored, WriteError> {
        let failed = |error| WriteError::Input { what: what.into(), error };
        let changed = || failed(io::Error::other("its size changed meanwhile"));
        let mut reader = (input.open)().map_err(failed)?;
        let mut whole = blake3::Hasher::new();
        let mut stored =
            Stored { bytes: 0, plain: input.size, hash: [0; 32], records: Vec::new(), beginning: Vec::new() };
        let mut left = input.size;
        while left > 0 {
            let mut chunk = core::mem::take(&mut self.buffer);
            chunk.resize(left.min(CHUNK_BYTES) as usize, 0);
            reader.read_exact(&mut chunk).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => failed(error),
            })?;
            left -= chunk.len() as u64;
            whole.update(&chunk);
            if stored.beginning.is_empty() {
                stored.beginning.extend_from_slice(&chunk[..chunk.len().min(8)]);
            }
            let frame = self.compress(&chunk)?;
            let bytes = frame.as_ref().unwrap_or(&chunk);
            self.put(bytes)?;
            stored.bytes += bytes.len() as u64;
            // A chunk has at most 1 MiB.
            stored.records.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            stored.records.extend_from_slice(blake3::hash(bytes).as_bytes());
            self.buffer = chunk;
        }
        if reader.read(&mut [0]).map_err(failed)? != 0 {
            return Err(changed());
        }
        stored.hash = *whole.finalize().as_bytes();
        Ok(stored)
    }

    /// The frame of a chunk, when it is worthwhile and such as readers accept.
    fn compress(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, WriteError> {
        let frame = self.compressor.compress(chunk).map_err(WriteError::Output)?;
        let worthwhile = frame.len() < chunk.len() - chunk.len() / WORTHWHILE;
        Ok(Some(frame).filter(|frame| worthwhile && frame::check(frame, chunk.len()).is_ok()))
    }

    fn finish(mut self, header: Vec<u8>, keys: &[&SecretKey]) -> Result<[u8; 32], WriteError> {
        self.pad()?;
        let hash = *blake3::hash(&header).as_bytes();
        // The reader's own checks, so that nothing is written that could not be read.
        let header = Header::parse(header)?;
        let signatures: Vec<_> = keys.iter().map(|key| Signature::make(&header.bytes, key)).collect();
        check_set(&signatures)?;
        let trailer = write_trailer(&hash, &signatures);
        self.put(&trailer)?;
        self.output.seek(SeekFrom::Start(0)).map_err(WriteError::Output)?;
        self.output.write_all(&header.bytes).map_err(WriteError::Output)?;
        Ok(hash)
    }
}

fn put_section(
    header: &mut Vec<u8>,
    kind: SectionKind,
    flavour: u32,
    offset_stored_plain: [u64; 3],
    hash: &[u8; 32],
    name: &str,
) {
    header.extend_from_slice(&(kind as u32).to_le_bytes());
    header.extend_from_slice(&flavour.to_le_bytes());
    for number in offset_stored_plain {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend_from_slice(hash);
    header.extend_from_slice(&(name.len() as u16).to_le_bytes());
    header.extend_from_slice(name.as_bytes());
}
