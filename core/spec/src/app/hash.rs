//! BLAKE3 hashes, written as 64 digits.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::Invalid;
use crate::quantity::shown;

/// A BLAKE3 hash, written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl FromStr for Hash {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let read = || {
            let mut hash = [0; 32];
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            if pairs.len() != hash.len() || !rest.is_empty() {
                return None;
            }
            for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Some(Self(hash))
        };
        read().ok_or_else(|| {
            Invalid::new(
                alloc::format!("`{}` is not a hash", shown(text)),
                "write 64 digits of `0-9` and `a-f`",
            )
        })
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(Invalid::into_serde)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_read_back_and_nothing_else_is_one() {
        let text = alloc::format!("{}", Hash::of(b"qyv"));
        assert_eq!(text.parse(), Ok(Hash::of(b"qyv")));
        let (upper, long) = (text.to_uppercase(), text.clone() + "00");
        for bad in ["", "00", upper.as_str(), long.as_str(), &text[..63], &text.replace(&text[..1], "g")] {
            assert!(bad.parse::<Hash>().is_err(), "{bad}");
        }
    }
}
