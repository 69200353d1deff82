//! One entry of the cache: native code, a record of what it is, and a MAC.
//!
//! ```text
//! native code (ELF)      record.code_bytes
//! record                 JSON
//! MAC                    32 bytes: BLAKE3 under the host's key over the record, its length, the version and the
//!                        first page of the code
//! record length          u32, little-endian
//! version                u32, little-endian
//! magic                  "QYVNATIV"
//! ```
//!
//! The code comes first because wasmtime maps the file from its start. The MAC does not cover all of the code, so that
//! a start does not read 200 MB: the folder belongs to the user alone, and whoever can write there can run code as
//! that user already. `qyvol cache verify` checks the whole.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::config::{ENGINE_VERSION, Settings};

const MAGIC: [u8; 8] = *b"QYVNATIV";
/// 2: with `instance_bytes`.
const VERSION: u32 = 2;
const FOOTER_BYTES: u64 = 48;
const RECORD_BYTES_MAX: u32 = 4096;
/// How much of the code the MAC covers.
const COVERED_BYTES: usize = 4096;

/// What was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The entry's key, in hexadecimal digits, as in its file name.
    pub key: String,
    /// BLAKE3 of the portable bytes, in hexadecimal digits.
    pub source: String,
    /// The size of the portable bytes.
    pub source_bytes: u64,
    /// Module or component.
    pub kind: Kind,
    /// The version of wasmtime.
    pub engine: String,
    /// With or without interruption points.
    pub flavour: String,
    /// The target triple.
    pub target: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The size of the native code.
    pub code_bytes: u64,
    /// BLAKE3 of the native code, in hexadecimal digits.
    pub code: String,
    /// What the engine allocates for one run besides memories and tables, in bytes: charged before it.
    pub instance_bytes: u64,
}

impl Record {
    pub(crate) fn new(
        key: &[u8; 32],
        source: &[u8; 32],
        source_bytes: u64,
        kind: Kind,
        settings: &Settings,
    ) -> Self {
        Self {
            key: hex(key),
            source: hex(source),
            source_bytes,
            kind,
            engine: ENGINE_VERSION.into(),
            flavour: settings.code_flavour().into(),
            target: super::target().into(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            code_bytes: 0,
            code: String::new(),
            instance_bytes: 0,
        }
    }
}

/// Why an entry is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is cut short, or no entry at all.
    NotAnEntry,
    /// Another version of qyvol wrote it.
    OtherVersion,
    /// It was written on another host, or changed since.
    WrongMac,
    /// It is in order, but of another key.
    OtherKey,
    /// Its native code was changed.
    Changed,
}

impl Flaw {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::NotAnEntry => "cut short or not an entry",
            Self::OtherVersion => "written by another version of qyvol",
            Self::WrongMac => "written on another host or changed",
            Self::OtherKey => "under a wrong name",
            Self::Changed => "its code was changed",
        }
    }
}

/// Ends a file of native code with its record and MAC.
pub(crate) fn seal(file: &mut File, mut record: Record, host_key: &[u8; 32]) -> std::io::Result<Record> {
    record.code_bytes = file.metadata()?.len();
    record.code = hash_code(file, record.code_bytes)?;
    let text = serde_json::to_vec(&record)?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mac = mac(host_key, &first_page(file, record.code_bytes)?, &text, length);
    let mut tail = text;
    tail.extend_from_slice(mac.as_bytes());
    tail.extend_from_slice(&length.to_le_bytes());
    tail.extend_from_slice(&VERSION.to_le_bytes());
    tail.extend_from_slice(&MAGIC);
    file.write_all_at(&tail, record.code_bytes)?;
    file.flush()?;
    Ok(record)
}

/// Reads the record of an entry and checks everything but the whole of the code.
pub(crate) fn open(
    file: &File,
    host_key: &[u8; 32],
    key: &[u8; 32],
) -> std::io::Result<Result<Record, Flaw>> {
    let size = file.metadata()?.len();
    let Some(footer_at) = size.checked_sub(FOOTER_BYTES) else { return Ok(Err(Flaw::NotAnEntry)) };
    let mut footer = [0; FOOTER_BYTES as usize];
    file.read_exact_at(&mut footer, footer_at)?;
    let (stored_mac, rest) = footer.split_at(32);
    let (length, rest) = rest.split_at(4);
    let (version, magic) = rest.split_at(4);
    if magic != MAGIC {
        return Ok(Err(Flaw::NotAnEntry));
    }
    if version != VERSION.to_le_bytes() {
        return Ok(Err(Flaw::OtherVersion));
    }
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
    let text_at = footer_at.checked_sub(u64::from(length)).filter(|_| length <= RECORD_BYTES_MAX);
    let Some(text_at) = text_at else { return Ok(Err(Flaw::NotAnEntry)) };
    let mut text = vec![0; length as usize];
    file.read_exact_at(&mut text, text_at)?;
    let expected = mac(host_key, &first_page(file, text_at)?, &text, length);
    // `blake3::Hash` compares in constant time.
    if expected != *stored_mac {
        return Ok(Err(Flaw::WrongMac));
    }
    Ok(match serde_json::from_slice::<Record>(&text) {
        Ok(record) if record.code_bytes != text_at => Err(Flaw::NotAnEntry),
        Ok(record) if record.key != hex(key) => Err(Flaw::OtherKey),
        Ok(record) => Ok(record),
        Err(_) => Err(Flaw::NotAnEntry),
    })
}

/// As [`open`], and reads all of the code.
pub(crate) fn open_whole(
    file: &File,
    host_key: &[u8; 32],
    key: &[u8; 32],
) -> std::io::Result<Result<Record, Flaw>> {
    match open(file, host_key, key)? {
        Ok(record) if hash_code(file, record.code_bytes)? != record.code => Ok(Err(Flaw::Changed)),
        other => Ok(other),
    }
}

fn mac(host_key: &[u8; 32], first_page: &[u8], record: &[u8], length: u32) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(host_key);
    hasher.update(&VERSION.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(record);
    hasher.update(first_page);
    hasher.finalize()
}

fn first_page(file: &File, code_bytes: u64) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(code_bytes).unwrap_or(usize::MAX).min(COVERED_BYTES);
    let mut page = vec![0; length];
    file.read_exact_at(&mut page, 0)?;
    Ok(page)
}

fn hash_code(file: &File, code_bytes: u64) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < code_bytes {
        let want = usize::try_from(code_bytes - offset).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..want], offset)?;
        hasher.update(&buffer[..want]);
        offset += want as u64;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}
