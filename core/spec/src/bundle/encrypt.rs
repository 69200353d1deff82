//! Encryption of a finished bundle: `.qyvbin.age`, an ordinary [age](https://age-encryption.org/v1) file.
//!
//! It hides a bundle; it does not vouch for one. Anybody can encrypt to a public key, so the bundle inside is verified
//! after it is unwrapped like any other. Keys are native X25519 ones or a passphrase; plugins are left out, because
//! a plugin's name in a file makes a program run.

use std::fmt;
use std::io::{self, Read, Write};

use alloc::{boxed::Box, vec::Vec};

pub use age::secrecy::SecretString;
pub use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, EncryptError, Encryptor, scrypt};

/// What every such file begins with.
const BEGINNING: &[u8] = b"age-encryption.org/v1\n";

/// The base-2 logarithm of the scrypt cost of a passphrase: 256 MiB of memory and about a second, less in tests.
const WORK_FACTOR: u8 = if cfg!(test) { 10 } else { 18 };

/// The highest cost that is paid for a file: 1 GiB of memory.
const MAX_WORK_FACTOR: u8 = 20;

/// What an age file may have beyond its content: a header of some recipients, and 16 bytes for each 64 KiB.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// For whom a bundle is encrypted.
#[derive(Debug)]
pub enum Lock {
    /// The holders of these keys (`age1…`), at least one.
    Keys(Vec<Recipient>),
    /// Who knows the passphrase.
    Passphrase(SecretString),
}

/// With what a bundle is decrypted.
pub enum Unlock {
    /// One of these keys (`AGE-SECRET-KEY-1…`).
    Keys(Vec<Identity>),
    /// The passphrase.
    Passphrase(SecretString),
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Unlock::Keys(..)",
            Self::Passphrase(_) => "Unlock::Passphrase(..)",
        })
    }
}

/// Why a bundle could not be encrypted or decrypted.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncryptionError {
    /// There is nobody to encrypt for.
    NoRecipient,
    /// It is no age file, or one of a newer version.
    NotWrapped,
    /// None of the keys fits, or the passphrase is wrong.
    WrongKey,
    /// It wants a passphrase and got keys, or the reverse.
    WrongKind {
        /// Whether it wants a passphrase.
        passphrase: bool,
    },
    /// Its passphrase costs more than is paid.
    TooMuchWork,
    /// Its content is larger than allowed.
    TooLarge {
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// It is damaged or cut off.
    Damaged,
    /// Reading or writing failed.
    Io(io::Error),
}

impl fmt::Display for EncryptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipient => f.write_str("there is no key to encrypt for: name at least one"),
            Self::NotWrapped => f.write_str("this is not an encrypted bundle that this qyvol knows"),
            Self::WrongKey => f.write_str("the encrypted bundle does not open with this key or passphrase"),
            Self::WrongKind { passphrase: true } => {
                f.write_str("the encrypted bundle opens with a passphrase, not with a key")
            }
            Self::WrongKind { passphrase: false } => {
                f.write_str("the encrypted bundle opens with a key, not with a passphrase")
            }
            Self::TooMuchWork => {
                f.write_str("the encrypted bundle's passphrase costs too much memory and time")
            }
            Self::TooLarge { limit } => write!(f, "the encrypted bundle holds more than {limit} bytes"),
            Self::Damaged => f.write_str("the encrypted bundle is damaged or cut off"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EncryptionError {}

impl From<io::Error> for EncryptionError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether a file with this beginning is an encrypted one. 22 bytes are enough to tell.
#[must_use]
pub fn is_wrapped(beginning: &[u8]) -> bool {
    beginning.starts_with(BEGINNING)
}

/// Encrypts everything from `input` to `output`, and gives `output` back.
///
/// # Errors
///
/// See [`EncryptionError`]; what was written until then is useless.
pub fn wrap<W: Write>(input: &mut impl Read, output: W, lock: &Lock) -> Result<W, EncryptionError> {
    let refused = |error| match error {
        EncryptError::Io(error) => EncryptionError::Io(error),
        _ => EncryptionError::NoRecipient,
    };
    let encryptor = match lock {
        Lock::Keys(keys) => {
            Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient)).map_err(refused)?
        }
        Lock::Passphrase(passphrase) => {
            let mut recipient = scrypt::Recipient::new(passphrase.clone());
            recipient.set_work_factor(WORK_FACTOR);
            Encryptor::with_recipients(core::iter::once(&recipient as &dyn age::Recipient))
                .map_err(refused)?
        }
    };
    let mut output = encryptor.wrap_output(output)?;
    io::copy(input, &mut output)?;
    Ok(output.finish()?)
}

/// Decrypts everything from `input` to `output`, at most `max_bytes`; returns how many bytes that were.
///
/// # Errors
///
/// See [`EncryptionError`]. What was written until then is authentic but cut off: throw it away.
pub fn unwrap(
    input: impl Read,
    output: &mut impl Write,
    unlock: &Unlock,
    max_bytes: u64,
) -> Result<u64, EncryptionError> {
    let most = max_bytes.saturating_add(max_bytes / 1024).saturating_add(MAX_HEADER_BYTES);
    let decryptor = Decryptor::new(input.take(most)).map_err(from_age)?;
    let passphrase = decryptor.is_scrypt();
    let identities: Vec<Box<dyn age::Identity>> = match unlock {
        Unlock::Keys(keys) if !passphrase => keys.iter().map(|key| Box::new(key.clone()) as _).collect(),
        Unlock::Passphrase(secret) if passphrase => {
            let mut identity = scrypt::Identity::new(secret.clone());
            identity.set_max_work_factor(MAX_WORK_FACTOR);
            vec![Box::new(identity) as _]
        }
        _ => return Err(EncryptionError::WrongKind { passphrase }),
    };
    let reader = decryptor.decrypt(identities.iter().map(Box::as_ref)).map_err(from_age)?;
    copy_bounded(reader, output, max_bytes)
}

fn copy_bounded(mut reader: impl Read, output: &mut impl Write, limit: u64) -> Result<u64, EncryptionError> {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) => {
                return Err(match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => EncryptionError::Damaged,
                    _ => EncryptionError::Io(error),
                });
            }
        };
        total += count as u64;
        if total > limit {
            return Err(EncryptionError::TooLarge { limit });
        }
        output.write_all(&buffer[..count])?;
    }
}

fn from_age(error: DecryptError) -> EncryptionError {
    match error {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            EncryptionError::WrongKey
        }
        DecryptError::ExcessiveWork { .. } => EncryptionError::TooMuchWork,
        DecryptError::UnknownFormat => EncryptionError::NotWrapped,
        DecryptError::InvalidHeader | DecryptError::InvalidMac => EncryptionError::Damaged,
        DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => EncryptionError::Damaged,
        DecryptError::Io(error) => EncryptionError::Io(error),
        // Kinds that come with plugins, and whatever a later `age` adds.
        _ => EncryptionError::WrongKey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CONTENT: [u8; 200_000] = [42; 200_000];

    fn sealed(lock: &Lock) -> Vec<u8> {
        wrap(&mut &CONTENT[..], Vec::new(), lock).unwrap()
    }

    fn opened(bytes: &[u8], unlock: &Unlock, limit: u64) -> Result<Vec<u8>, EncryptionError> {
        let mut output = Vec::new();
        unwrap(bytes, &mut output, unlock, limit).map(|_| output)
    }

    #[test]
    fn a_bundle_opens_for_its_keys_alone_and_whole() {
        let (one, two, other) = (Identity::generate(), Identity::generate(), Identity::generate());
        let bytes = sealed(&Lock::Keys(vec![one.to_public(), two.to_public()]));
        assert!(is_wrapped(&bytes) && !is_wrapped(b"age-encryption"));
        for identity in [one, two.clone()] {
            assert_eq!(opened(&bytes, &Unlock::Keys(vec![identity]), 200_000).unwrap(), CONTENT);
        }
        let key = Unlock::Keys(vec![two]);
        let wrong = |result: Result<_, _>| format!("{:?}", result.map(|_: Vec<u8>| ()).unwrap_err());
        assert_eq!(wrong(opened(&bytes, &Unlock::Keys(vec![other]), 200_000)), "WrongKey");
        assert_eq!(
            wrong(opened(&bytes, &Unlock::Passphrase("x".to_owned().into()), 200_000)),
            "WrongKind { passphrase: false }"
        );
        assert_eq!(wrong(opened(&bytes, &key, 199_999)), "TooLarge { limit: 199999 }");
        assert_eq!(wrong(opened(b"something", &key, 10)), "Damaged");
        for end in (0..bytes.len()).step_by(997) {
            assert!(opened(&bytes[..end], &key, 200_000).is_err(), "cut at {end}");
        }
        for at in (0..bytes.len()).step_by(997) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, &key, 200_000).is_err(), "changed at {at}");
        }
        assert!(matches!(
            wrap(&mut &CONTENT[..], Vec::new(), &Lock::Keys(Vec::new())),
            Err(EncryptionError::NoRecipient)
        ));
    }

    #[test]
    fn a_passphrase_opens_it() {
        let bytes = sealed(&Lock::Passphrase("correct horse".to_owned().into()));
        let with = |text: &str| opened(&bytes, &Unlock::Passphrase(text.to_owned().into()), 200_000);
        assert_eq!(with("correct horse").unwrap(), CONTENT);
        assert!(matches!(with("wrong"), Err(EncryptionError::WrongKey)));
    }

    #[test]
    fn a_costly_passphrase_is_refused_before_it_is_tried() {
        let bytes = sealed(&Lock::Passphrase("x".to_owned().into()));
        let at = bytes.windows(4).position(|four| four == b" 10\n").unwrap();
        let mut costly = bytes;
        costly[at + 1..at + 3].copy_from_slice(b"30");
        let result = opened(&costly, &Unlock::Passphrase("x".to_owned().into()), 200_000);
        assert!(matches!(result, Err(EncryptionError::TooMuchWork)), "{result:?}");
    }
}
