//! Versions as tools print them.

use std::fmt;

/// Up to three numbers; what is not said is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(
    /// Major.
    pub u32,
    /// Minor.
    pub u32,
    /// Patch.
    pub u32,
);

impl Version {
    /// The first version in a text, such as `go version go1.26.8 linux/amd64`: a word that is a number, or has numbers with
    /// points between them behind letters.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || "\"'(),".contains(c)).find_map(Self::of_word)
    }

    fn of_word(word: &str) -> Option<Self> {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let mut numbers = digits[..end].split('.').map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok);
        Some(Self(next()?, next().unwrap_or(0), next().unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)?;
        if self.2 == 0 { Ok(()) } else { write!(f, ".{}", self.2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_where_tools_print_them() {
        for (text, expected) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some(Version(1, 95, 0))),
            ("go version go1.26.8 linux/amd64", Some(Version(1, 26, 8))),
            ("Debian clang version 22.1.8 (1~deb12u1)", Some(Version(22, 1, 8))),
            ("openjdk version \"17.0.15\" 2025-04-15", Some(Version(17, 0, 15))),
            ("openjdk version \"21\" 2023-09-19", Some(Version(21, 0, 0))),
            ("Nim Compiler Version 1.6.10 [Linux: amd64]", Some(Version(1, 6, 10))),
            ("wasm-opt version 108", Some(Version(108, 0, 0))),
            ("wasm-opt version 125 (version_125-13-g1234)", Some(Version(125, 0, 0))),
            ("\u{1b}[1mApache Maven 3.8.7\u{1b}[m", Some(Version(3, 8, 7))),
            ("tool 99999999999999999999", None),
            ("no number", None),
            ("", None),
        ] {
            assert_eq!(Version::find(text), expected, "{text}");
        }
        assert!(Version(1, 9, 0) < Version(1, 10, 0));
    }

    #[test]
    fn a_patch_of_zero_is_not_shown() {
        assert_eq!(Version(1, 95, 0).to_string(), "1.95");
        assert_eq!(Version(17, 0, 15).to_string(), "17.0.15");
    }
}
