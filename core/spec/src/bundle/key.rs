//! Ed25519 keys, their names, and the text files they are kept in.

use alloc::string::String;
use core::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// The first line of a public key file.
const PUBLIC_HEADER: &str = "qyvol-public-key";
/// The first line of a secret key file.
const SECRET_HEADER: &str = "qyvol-secret-key";
const KEY_FILE_VERSION: u32 = 1;

/// The largest key file, in bytes.
pub const MAX_KEY_FILE_BYTES: usize = 4096;

/// The longest note or comment, in bytes.
pub const MAX_NOTE_BYTES: usize = 512;

/// The short name of a public key: the first 8 bytes of its BLAKE3 hash, written as 16 hexadecimal digits.
///
/// It helps to find and show a key. It proves nothing: what is trusted is always the whole key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why a key or its file is refused. Never tells any of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It does not begin with the header line of such a file.
    NotAKeyFile {
        /// The header that was expected.
        expected: &'static str,
    },
    /// A secret key file was given where a public one is wanted.
    SecretGiven,
    /// It was made by a newer qyvol.
    NewerVersion {
        /// The version found.
        found: u32,
    },
    /// A line is unknown, repeated or malformed.
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The line with the key is missing.
    Missing,
    /// The file is larger than [`MAX_KEY_FILE_BYTES`].
    TooLarge,
    /// The note is longer than [`MAX_NOTE_BYTES`] or holds a control character.
    Note,
    /// The bytes are no Ed25519 key, or one with which anybody can sign.
    Weak,
    /// The two halves of a secret key file do not belong together: it is damaged.
    Damaged,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeyFile { expected } => {
                write!(f, "this is no key file: its first line is not `{expected} 1`")
            }
            Self::SecretGiven => {
                f.write_str("this is a secret key: give the public one, the file that ends in `.pub`")
            }
            Self::NewerVersion { found } => {
                write!(f, "the key file was made by a newer qyvol (version {found}): update qyvol")
            }
            Self::Line { line } => write!(f, "line {line} of the key file is unknown, repeated or malformed"),
            Self::Missing => f.write_str("the key file holds no key"),
            Self::TooLarge => write!(f, "the key file is larger than {MAX_KEY_FILE_BYTES} bytes"),
            Self::Note => {
                write!(f, "a note has at most {MAX_NOTE_BYTES} bytes and no line break or control character")
            }
            Self::Weak => f.write_str("the key is no usable Ed25519 key"),
            Self::Damaged => {
                f.write_str("the secret key file is damaged: its two keys do not belong together")
            }
        }
    }
}

impl core::error::Error for KeyError {}

/// A public key that [`SecretKey`] signatures are checked with. Known to be usable: on the curve and not weak.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl fmt::Display for PublicKey {
    /// The 64 hexadecimal digits that stand in files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.0.as_bytes())
    }
}

impl PublicKey {
    /// Takes the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Weak`] when they are no key, or one for which signatures can be made up.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(KeyError::Weak),
        }
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its short name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(self.as_bytes())
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`KeyError::Missing`] when they are not that, [`KeyError::Weak`] as for [`PublicKey::from_bytes`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        read_hex(text, &mut bytes).ok_or(KeyError::Missing)?;
        Self::from_bytes(&bytes)
    }

    /// Whether `signature` is this key's for `message`, by the strict rules: exactly one encoding is accepted.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }

    /// Writes a public key file.
    ///
    /// # Errors
    ///
    /// [`KeyError::Note`].
    pub fn to_text(&self, note: Option<&str>) -> Result<String, KeyError> {
        let note = note_line(note)?;
        Ok(alloc::format!("{PUBLIC_HEADER} {KEY_FILE_VERSION}\n{note}public {self}\n"))
    }

    /// Reads a public key file: the key and its note.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_text(text: &str) -> Result<(Self, Option<String>), KeyError> {
        if text.starts_with(SECRET_HEADER) {
            return Err(KeyError::SecretGiven);
        }
        let fields = Fields::parse(text, PUBLIC_HEADER)?;
        if let Some((line, _)) = fields.secret {
            return Err(KeyError::Line { line });
        }
        let key = fields.public.ok_or(KeyError::Missing)?;
        Ok((key, fields.note.map(String::from)))
    }
}

/// A key to sign with. Its memory is cleared when it is dropped, and it cannot be printed.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    note: Option<String>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, ..)", self.public().id())
    }
}

impl SecretKey {
    /// Makes the key of 32 random bytes; the caller takes them from the system's generator.
    ///
    /// # Errors
    ///
    /// [`KeyError::Note`].
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>, note: Option<&str>) -> Result<Self, KeyError> {
        note_line(note)?;
        Ok(Self { key: SigningKey::from_bytes(seed), note: note.map(String::from) })
    }

    /// The key that checks its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// What its owner wrote beside it.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Writes a secret key file; it must be readable by its owner alone.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let note = note_line(self.note()).unwrap_or_default();
        let seed = Zeroizing::new(self.key.to_bytes());
        let public = self.public();
        let seed = Hex(&*seed);
        Zeroizing::new(alloc::format!(
            "{SECRET_HEADER} {KEY_FILE_VERSION}\n{note}public {public}\nsecret {seed}\n"
        ))
    }

    /// Reads a secret key file. The caller clears `text`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let fields = Fields::parse(text, SECRET_HEADER)?;
        let (_, seed) = fields.secret.as_ref().ok_or(KeyError::Missing)?;
        let key = Self { key: SigningKey::from_bytes(seed), note: fields.note.map(String::from) };
        if fields.public.ok_or(KeyError::Missing)? == key.public() { Ok(key) } else { Err(KeyError::Damaged) }
    }
}

/// The lines of either file after the first.
#[derive(Default)]
struct Fields<'a> {
    note: Option<&'a str>,
    public: Option<PublicKey>,
    /// With the line it stands on.
    secret: Option<(usize, Zeroizing<[u8; 32]>)>,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str, expected: &'static str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_FILE_BYTES {
            return Err(KeyError::TooLarge);
        }
        let mut lines = text.lines();
        let version =
            lines.next().and_then(|first| first.strip_prefix(expected)?.strip_prefix(' ')?.parse().ok());
        match version {
            Some(KEY_FILE_VERSION) => {}
            Some(found) if found > KEY_FILE_VERSION => return Err(KeyError::NewerVersion { found }),
            _ => return Err(KeyError::NotAKeyFile { expected }),
        }
        let mut fields = Self::default();
        for (line, text) in (2..).zip(lines) {
            if text.is_empty() {
                continue;
            }
            let (word, value) = text.split_once(' ').ok_or(KeyError::Line { line })?;
            match word {
                "note" if fields.note.is_none() => {
                    note_line(Some(value))?;
                    fields.note = Some(value);
                }
                "public" if fields.public.is_none() => {
                    fields.public = Some(PublicKey::from_hex(value).map_err(|error| match error {
                        KeyError::Weak => KeyError::Weak,
                        _ => KeyError::Line { line },
                    })?);
                }
                "secret" if fields.secret.is_none() => {
                    let mut seed = Zeroizing::new([0; 32]);
                    read_hex(value, &mut *seed).ok_or(KeyError::Line { line })?;
                    fields.secret = Some((line, seed));
                }
                _ => return Err(KeyError::Line { line }),
            }
        }
        Ok(fields)
    }
}

/// The short name of the key with these bytes.
pub(crate) fn key_id(bytes: &[u8; 32]) -> KeyId {
    let mut id = [0; 8];
    id.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    KeyId(id)
}

/// Whether `text` can stand on a line of a key file or trust store and in a terminal.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NOTE_BYTES
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

fn note_line(note: Option<&str>) -> Result<String, KeyError> {
    match note {
        None => Ok(String::new()),
        Some(note) if is_one_line(note) => Ok(alloc::format!("note {note}\n")),
        Some(_) => Err(KeyError::Note),
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.0)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Fills `bytes` from exactly twice as many lower-case hexadecimal digits.
fn read_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(*pair.first()?)? << 4 | digit(*pair.last()?)?;
    }
    Some(())
}
