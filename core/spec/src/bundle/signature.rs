//! The trailer: the header's hash, and the signatures over the stored header.

use alloc::vec::Vec;

use super::error::{Error, Result};
use super::key::{KeyId, PublicKey, SecretKey, key_id};
use super::limits::{FORMAT_VERSION, MAX_SIGNATURES, SIGNATURE_BYTES, TRAILER_BYTES};

/// Separates these signatures from everything else that the same key may sign.
pub const SIGNATURE_DOMAIN: &[u8] = b"qyvol bundle signature\0";

/// One signature of a bundle, as stored: not yet checked, its key not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: [u8; 32],
    signature: [u8; 64],
}

impl Signature {
    /// The short name of the key that it says it is of.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        key_id(&self.key)
    }

    /// The whole key that it says it is of.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`] when that is no usable key.
    pub fn public_key(&self) -> Result<PublicKey> {
        PublicKey::from_bytes(&self.key).map_err(|_| Error::BadSignature { key: self.key_id() })
    }

    /// Signs a stored header.
    pub(crate) fn make(header: &[u8], key: &SecretKey) -> Self {
        Self { key: *key.public().as_bytes(), signature: key.sign(&message(header)) }
    }

    /// Checks it against a stored header and returns its key, which is then known to have signed exactly this.
    pub(crate) fn check(&self, header: &[u8]) -> Result<PublicKey> {
        let key = self.public_key()?;
        if key.verify(&message(header), &self.signature) {
            Ok(key)
        } else {
            Err(Error::BadSignature { key: self.key_id() })
        }
    }
}

/// What is signed: the domain, the version, and the header as it is stored. Nothing is parsed and written again.
fn message(header: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(SIGNATURE_DOMAIN.len() + 4 + header.len());
    message.extend_from_slice(SIGNATURE_DOMAIN);
    message.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    message.extend_from_slice(header);
    message
}

/// How many signatures follow the fixed part of a trailer, after the header's hash was checked.
pub(crate) fn parse_trailer(trailer: &[u8; TRAILER_BYTES], header_hash: &[u8; 32]) -> Result<usize> {
    let (hash, rest) = trailer.split_at(32);
    if hash != header_hash {
        return Err(Error::HeaderDamaged);
    }
    let (count, zeros) = rest.split_at(4);
    if zeros != [0; 4] {
        return Err(Error::NotZero { what: "trailer" });
    }
    let count = count.first_chunk().map_or(0, |count| u32::from_le_bytes(*count)) as usize;
    check_count(count)?;
    Ok(count)
}

/// Parses the signatures after the fixed part of a trailer.
pub(crate) fn parse_signatures(bytes: &[u8]) -> Result<Vec<Signature>> {
    let mut signatures: Vec<Signature> = Vec::with_capacity(bytes.len() / SIGNATURE_BYTES);
    for record in bytes.chunks_exact(SIGNATURE_BYTES) {
        let mut fields = ([0; 8], [0; 32], [0; 64]);
        fields.0.copy_from_slice(&record[..8]);
        fields.1.copy_from_slice(&record[8..40]);
        fields.2.copy_from_slice(&record[40..]);
        let signature = Signature { key: fields.1, signature: fields.2 };
        let (declared, found) = (KeyId(fields.0), signature.key_id());
        if declared != found {
            return Err(Error::KeyIdMismatch { declared, found });
        }
        signatures.push(signature);
    }
    check_set(&signatures)?;
    Ok(signatures)
}

/// Checks that there are not too many signatures and that no key signed twice.
pub(crate) fn check_set(signatures: &[Signature]) -> Result<()> {
    check_count(signatures.len())?;
    for (index, signature) in signatures.iter().enumerate() {
        if signatures.iter().take(index).any(|other| other.key == signature.key) {
            return Err(Error::DuplicateSignature { key: signature.key_id() });
        }
    }
    Ok(())
}

const fn check_count(count: usize) -> Result<()> {
    if count > MAX_SIGNATURES {
        let (found, limit) = (count as u64, MAX_SIGNATURES as u64);
        return Err(Error::Limit { what: "signature count", found, limit });
    }
    Ok(())
}

/// Writes a whole trailer.
pub(crate) fn write_trailer(header_hash: &[u8; 32], signatures: &[Signature]) -> Vec<u8> {
    let mut trailer = Vec::with_capacity(TRAILER_BYTES + signatures.len() * SIGNATURE_BYTES);
    trailer.extend_from_slice(header_hash);
    trailer.extend_from_slice(&u32::try_from(signatures.len()).unwrap_or(u32::MAX).to_le_bytes());
    trailer.extend_from_slice(&[0; 4]);
    for signature in signatures {
        trailer.extend_from_slice(&signature.key_id().0);
        trailer.extend_from_slice(&signature.key);
        trailer.extend_from_slice(&signature.signature);
    }
    trailer
}
