//! Patterns of app names, to which keys are bound.

use alloc::string::String;
use core::fmt;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 255;

/// A pattern of app names: `a-z`, `0-9`, `-`, `/`, and `*` for any run of characters without a `/`.
///
/// `acme/*` is every app of the publisher `acme`, once names have publishers; `classifier-*` is `classifier-ia` and never
/// `evil/classifier-ia`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern(String);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no pattern of app names: write `a-z`, `0-9`, `-`, `/` and `*`, as in `acme-*`",
            self.0.escape_debug()
        )
    }
}

impl core::error::Error for PatternError {}

impl core::str::FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'/' | b'*');
        let parts_filled = text.split('/').all(|part| !part.is_empty());
        if text.len() <= MAX_PATTERN_BYTES && text.bytes().all(known) && parts_filled {
            Ok(Self(String::from(text)))
        } else {
            Err(PatternError(text.chars().take(MAX_PATTERN_BYTES).collect()))
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NamePattern {
    /// Whether `name` is one of the names meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut names = name.split('/');
        let mut patterns = self.0.split('/');
        loop {
            match (patterns.next(), names.next()) {
                (None, None) => return true,
                (Some(pattern), Some(name)) if part_matches(pattern.as_bytes(), name.as_bytes()) => {}
                _ => return false,
            }
        }
    }
}

/// Goes back to the last `*` only, so it takes at most the product of the lengths.
fn part_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, from));
            at += 1;
        } else if pattern.get(at) == name.get(from) {
            at += 1;
            from += 1;
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (at, from) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_never_cross_a_slash() {
        for (pattern, name, expected) in [
            ("hello", "hello", true),
            ("hello", "hello2", false),
            ("hello", "ahello", false),
            ("acme/*", "acme/app", true),
            ("acme/*", "acme", false),
            ("acme/*", "acme2/app", false),
            ("acme/*", "acme/app/x", false),
            ("classifier-*", "classifier-ia", true),
            ("classifier-*", "classifier-", true),
            ("classifier-*", "evil/classifier-ia", false),
            ("*", "anything", true),
            ("*", "any/thing", false),
            ("*-a*b", "x-aab", true),
            ("*-a*b", "x-aabc", false),
            ("a*a*a", "aa", false),
            ("a**a", "aa", true),
        ] {
            let parsed: NamePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn odd_patterns_are_refused() {
        for text in ["", "/", "a/", "/a", "a//b", "A", "a b", "a\n", "ä", "a.b", &"x".repeat(256)] {
            assert!(text.parse::<NamePattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern: NamePattern = "*a".repeat(127).parse().unwrap();
        assert!(!pattern.matches(&"a".repeat(126)));
        assert!(!pattern.matches(&("a".repeat(4000) + "b")));
    }
}
