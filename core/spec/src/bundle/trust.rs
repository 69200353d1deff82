//! The trust store: which key may sign for which app names. Format: `docs/formats/trust.md`.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Write};

use super::key::{KeyError, KeyId, MAX_NOTE_BYTES, PublicKey, is_one_line};
use super::pattern::{NamePattern, PatternError};
use super::read::Bundle;
use super::source::Source;

/// The first line of a trust store.
const HEADER: &str = "qyvol-trust";
const VERSION: u32 = 1;

/// The largest trust store, in bytes.
pub const MAX_TRUST_BYTES: usize = 4 << 20;

/// The most keys in a trust store.
pub const MAX_TRUSTED_KEYS: usize = 4096;

/// What a trust store says about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The whole key.
    pub key: PublicKey,
    /// The names of the apps that it may sign for; none: it is known and trusted for nothing.
    pub names: Vec<NamePattern>,
    /// What apps signed by it are granted without a question, in the words of `--grant`.
    pub grants: Option<String>,
    /// The operator's words.
    pub comment: Option<String>,
    /// Whether everything that it signed is refused, unless another key vouches for it.
    pub revoked: bool,
}

/// The keys that an operator knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustStore {
    keys: Vec<TrustedKey>,
}

/// What a trust store says about a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A key that may sign for this name signed exactly this bundle.
    Trusted {
        /// The key.
        key: PublicKey,
        /// The pattern that the name matched.
        pattern: NamePattern,
        /// The key's standing grants.
        grants: Option<String>,
    },
    /// The signatures fit, but no key of theirs may sign for this name.
    Unbound {
        /// The keys, to be trusted by an operator who has a reason to.
        keys: Vec<PublicKey>,
    },
    /// A key that was revoked signed it, and no trusted one did.
    Revoked {
        /// The key.
        key: PublicKey,
    },
    /// Nobody signed it.
    Unsigned,
    /// A signature does not fit: the bundle was changed, whatever its other signatures say.
    BadSignature {
        /// The key that the signature names.
        key: KeyId,
    },
}

/// Checks every signature of a bundle and tells what `store` says about it, for an app named `app_name`.
///
/// `app_name` must be the name in the bundle's App. The contents are covered as they are read: the signed header holds
/// their hashes. With several trusted keys the first signature counts.
pub fn verify<S: Source>(bundle: &Bundle<S>, app_name: &str, store: &TrustStore) -> Verdict {
    let mut keys = Vec::with_capacity(bundle.signatures().len());
    for signature in bundle.signatures() {
        match signature.check(bundle.header()) {
            Ok(key) => keys.push(key),
            Err(_) => return Verdict::BadSignature { key: signature.key_id() },
        }
    }
    if keys.is_empty() {
        return Verdict::Unsigned;
    }
    let known = || keys.iter().filter_map(|key| store.get(key));
    for entry in known().filter(|entry| !entry.revoked) {
        if let Some(pattern) = entry.names.iter().find(|pattern| pattern.matches(app_name)) {
            return Verdict::Trusted {
                key: entry.key,
                pattern: pattern.clone(),
                grants: entry.grants.clone(),
            };
        }
    }
    let revoked = known().find(|entry| entry.revoked).map(|entry| entry.key);
    revoked.map_or(Verdict::Unbound { keys }, |key| Verdict::Revoked { key })
}

/// Why a trust store is refused. Nothing of a store that is refused is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustError {
    /// It does not begin with its header line.
    NotATrustStore,
    /// It was made by a newer qyvol.
    NewerVersion {
        /// The version found.
        found: u32,
    },
    /// It is larger than [`MAX_TRUST_BYTES`].
    TooLarge,
    /// It has more keys than [`MAX_TRUSTED_KEYS`].
    TooManyKeys,
    /// A line begins with an unknown word, or says again what was said.
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A line stands before the first key.
    NoKeyYet {
        /// Counted from 1.
        line: usize,
    },
    /// A key is malformed.
    Key {
        /// Counted from 1.
        line: usize,
        /// Why.
        reason: KeyError,
    },
    /// A pattern is malformed.
    Pattern {
        /// Counted from 1.
        line: usize,
        /// Why.
        reason: PatternError,
    },
    /// A key stands twice.
    Duplicate {
        /// Its short name.
        key: KeyId,
    },
    /// A comment or the grants have more than one line, a control character, or too many bytes.
    Text,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrustStore => {
                write!(f, "this is no trust store: its first line is not `{HEADER} {VERSION}`")
            }
            Self::NewerVersion { found } => {
                write!(f, "the trust store was made by a newer qyvol (version {found}): update qyvol")
            }
            Self::TooLarge => write!(f, "the trust store is larger than {MAX_TRUST_BYTES} bytes"),
            Self::TooManyKeys => write!(f, "the trust store has more than {MAX_TRUSTED_KEYS} keys"),
            Self::Line { line } => {
                write!(f, "line {line} of the trust store is unknown, repeated or malformed")
            }
            Self::NoKeyYet { line } => {
                write!(f, "line {line} of the trust store stands before the first `key`")
            }
            Self::Key { line, reason } => write!(f, "line {line} of the trust store: {reason}"),
            Self::Pattern { line, reason } => write!(f, "line {line} of the trust store: {reason}"),
            Self::Duplicate { key } => write!(f, "the trust store has the key `{key}` twice"),
            Self::Text => write!(
                f,
                "a comment or grants in the trust store have more than {MAX_NOTE_BYTES} bytes, a line break or a control character"
            ),
        }
    }
}

impl core::error::Error for TrustError {}

impl TrustStore {
    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &TrustedKey> {
        self.keys.iter()
    }

    /// What is said about `key`.
    #[must_use]
    pub fn get(&self, key: &PublicKey) -> Option<&TrustedKey> {
        self.keys.iter().find(|entry| entry.key == *key)
    }

    /// The keys with a short name: one, unless somebody went to great lengths.
    pub fn by_id(&self, id: KeyId) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter().filter(move |entry| entry.key.id() == id)
    }

    /// Puts in what is said about a key, in place of what was said before, which is returned.
    ///
    /// # Errors
    ///
    /// [`TrustError::Text`] and [`TrustError::TooManyKeys`].
    pub fn insert(&mut self, entry: TrustedKey) -> Result<Option<TrustedKey>, TrustError> {
        if ![&entry.comment, &entry.grants].into_iter().flatten().all(|text| is_one_line(text)) {
            return Err(TrustError::Text);
        }
        if let Some(old) = self.keys.iter_mut().find(|old| old.key == entry.key) {
            return Ok(Some(core::mem::replace(old, entry)));
        }
        if self.keys.len() >= MAX_TRUSTED_KEYS {
            return Err(TrustError::TooManyKeys);
        }
        self.keys.push(entry);
        Ok(None)
    }

    /// Takes out a key and what was said about it.
    pub fn remove(&mut self, key: &PublicKey) -> Option<TrustedKey> {
        let at = self.keys.iter().position(|entry| entry.key == *key)?;
        Some(self.keys.remove(at))
    }

    /// Writes the store.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = alloc::format!("{HEADER} {VERSION}\n");
        for entry in &self.keys {
            // Writing into a `String` does not fail.
            let _ = write!(text, "\nkey {}\n", entry.key);
            for name in &entry.names {
                let _ = writeln!(text, "name {name}");
            }
            for (word, value) in [("grants", &entry.grants), ("comment", &entry.comment)] {
                if let Some(value) = value {
                    let _ = writeln!(text, "{word} {value}");
                }
            }
            if entry.revoked {
                text.push_str("revoked\n");
            }
        }
        text
    }

    /// Reads a store.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and on which line.
    pub fn from_text(text: &str) -> Result<Self, TrustError> {
        if text.len() > MAX_TRUST_BYTES {
            return Err(TrustError::TooLarge);
        }
        let mut lines = text.lines();
        let version =
            lines.next().and_then(|first| first.strip_prefix(HEADER)?.strip_prefix(' ')?.parse().ok());
        match version {
            Some(VERSION) => {}
            Some(found) if found > VERSION => return Err(TrustError::NewerVersion { found }),
            _ => return Err(TrustError::NotATrustStore),
        }
        let mut keys = Vec::new();
        for (line, text) in (2..).zip(lines) {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                parse_line(&mut keys, line, text)?;
            }
        }
        let mut sorted: Vec<_> = keys.iter().map(|entry| *entry.key.as_bytes()).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(TrustError::Duplicate { key: super::key::key_id(&pair[0]) });
        }
        Ok(Self { keys })
    }
}

fn parse_line(keys: &mut Vec<TrustedKey>, line: usize, text: &str) -> Result<(), TrustError> {
    let (word, value) = text.split_once(' ').map_or((text, ""), |(word, value)| (word, value.trim_start()));
    if word == "key" {
        if keys.len() >= MAX_TRUSTED_KEYS {
            return Err(TrustError::TooManyKeys);
        }
        let key = PublicKey::from_hex(value).map_err(|reason| TrustError::Key { line, reason })?;
        keys.push(TrustedKey { key, names: Vec::new(), grants: None, comment: None, revoked: false });
        return Ok(());
    }
    let entry = keys.last_mut().ok_or(TrustError::NoKeyYet { line })?;
    let one_line =
        || if is_one_line(value) { Ok(Some(value.to_string())) } else { Err(TrustError::Line { line }) };
    match word {
        "name" => entry.names.push(value.parse().map_err(|reason| TrustError::Pattern { line, reason })?),
        "grants" if entry.grants.is_none() => entry.grants = one_line()?,
        "comment" if entry.comment.is_none() => entry.comment = one_line()?,
        "revoked" if value.is_empty() && !entry.revoked => entry.revoked = true,
        _ => return Err(TrustError::Line { line }),
    }
    Ok(())
}
