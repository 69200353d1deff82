//! Which files of the manifest's folder are packaged.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::path::{RelativePath, check_names};
use crate::Invalid;
use crate::quantity::shown;
use crate::text::text_value;

/// A pattern of `files`: a relative path in which `*` stands for any part of a name, `?` for one character of it and
/// `**`, alone between two `/`, for any number of folders. A `/` at the end means everything beneath: `models/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePattern(String);

impl FilePattern {
    /// Whether the pattern takes the file at `path`. Says nothing about whether it may be packaged: see [`never_packaged`].
    ///
    /// Takes time in proportion to pattern times path, whatever either holds.
    #[must_use]
    pub fn matches(&self, path: &RelativePath) -> bool {
        let folder = self.0.ends_with('/');
        let mut pattern: Vec<&str> = self.0.trim_end_matches('/').split('/').collect();
        if folder {
            pattern.push("**");
        }
        let names: Vec<&str> = path.names().collect();
        // `models/**` is what is beneath `models`, so the last `**` takes at least one name.
        if pattern.last() == Some(&"**") {
            pattern.push("*");
        }
        wild(&pattern, &names, |part| *part == "**", |part, name| name_matches(part, name))
    }

    /// Whether the pattern names one file: it has no `*`, no `?` and no `/` at its end.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?']) && !self.0.ends_with('/')
    }
}

impl FromStr for FilePattern {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str, mend: &str| Invalid::new(format!("the pattern `{}` {why}", shown(text)), mend);
        if text.starts_with('/') {
            return Err(bad(
                "is absolute",
                "write it relative to the manifest's folder, as in `models/*.onnx`",
            ));
        }
        let names = text.strip_suffix('/').unwrap_or(text);
        check_names(names).map_err(|(why, mend)| bad(why, mend))?;
        if names.split('/').any(|name| name.contains("**") && name != "**") {
            return Err(bad(
                "has `**` beside other characters",
                "write `**` alone between two `/`, as in `src/**/*.jl`",
            ));
        }
        if text.contains(['[', ']', '{', '}', '!']) {
            return Err(bad(
                "has one of `[`, `]`, `{`, `}`, `!`",
                "write one pattern a line, with `*`, `?` and `**` only",
            ));
        }
        let pattern = Self(text.to_string());
        if pattern.is_literal()
            && let Some(why) = text.parse().ok().and_then(|path| never_packaged(&path))
        {
            return Err(bad(&format!("names {why}"), "leave it out: such files are never packaged"));
        }
        Ok(pattern)
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(FilePattern, "a pattern of files such as `models/*.onnx`", "models/*.onnx");

/// Why the file at `path` may never be packaged, whatever the patterns say; `None` if it may.
///
/// Hidden files hold credentials and history, keys are keys, and a manifest or bundle inside another would be
/// mistaken for a part of it.
#[must_use]
pub fn never_packaged(path: &RelativePath) -> Option<&'static str> {
    if path.names().any(|name| name.starts_with('.')) {
        return Some("a hidden file");
    }
    let name = path.names().last().unwrap_or_default().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".qyv", ".qyvbin", ".qyvbin.age"]) {
        return Some("a manifest or bundle");
    }
    let ssh = name.starts_with("id_") && !name.contains('.');
    if ssh || ends(&[".key", ".pem", ".p12", ".pfx", ".jks", ".keystore", ".age"]) {
        return Some("a key");
    }
    None
}

/// Matches one name against a pattern of one name.
fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    wild(&pattern, &name, |p| *p == '*', |p, c| *p == '?' || p == c)
}

/// Matches `text` against `pattern`, whose items are either "any number of anything" or match one item. Goes back only
/// to the last "any", which is enough and keeps the time to the product of both lengths.
fn wild<P, T>(pattern: &[P], text: &[T], any: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(item) = text.get(at_text) {
        match pattern.get(at_pattern) {
            Some(p) if any(p) => {
                back = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(p) if one(p, item) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((any_at, taken_to)) = back else { return false };
                back = Some((any_at, taken_to + 1));
                at_pattern = any_at + 1;
                at_text = taken_to + 1;
            }
        }
    }
    pattern.iter().skip(at_pattern).all(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let pattern: FilePattern = pattern.parse().unwrap_or_else(|e| panic!("{e}"));
        pattern.matches(&path.parse().unwrap_or_else(|e| panic!("{e}")))
    }

    #[test]
    fn patterns_take_what_they_say() {
        for (pattern, path) in [
            ("app.wasm", "app.wasm"),
            ("*.wasm", "app.wasm"),
            ("models/*.onnx", "models/a.onnx"),
            ("models/", "models/a/b.onnx"),
            ("models/**", "models/a/b.onnx"),
            ("**/*.jl", "a.jl"),
            ("**/*.jl", "x/y/a.jl"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/x/y/b"),
            ("**/a/**/b", "x/a/y/a/z/b"),
            ("a?c", "aéc"),
            ("*", "file"),
            ("**", "a/b"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_take_nothing_else() {
        for (pattern, path) in [
            ("*.wasm", "a/app.wasm"),
            ("*", "a/b"),
            ("models", "models/a"),
            ("models/", "models"),
            ("models/**", "models"),
            ("models/", "models2/a"),
            ("a/**/b", "a/b/c"),
            ("a?c", "ac"),
            ("**/*.jl", "a.jlx"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_stars_is_not_slow() {
        let pattern = "*a".repeat(120) + "b";
        assert!(!matches(&pattern, &"a".repeat(255)));
        let deep = "**/a/".repeat(700) + "b";
        assert!(!matches(&deep, &("a/".repeat(2000) + "c")));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in [
            "",
            "/",
            "/a",
            "../*",
            "a/../b",
            "a//b",
            "./a",
            "a**",
            "**a",
            "[ab]",
            "{a,b}",
            "!a",
            ".env",
            "a/.git/x",
            "sign.key",
            "other.qyv",
            "x.qyvbin",
            "certs/a.PEM",
            "id_ed25519",
            "a\\b",
        ] {
            assert!(bad.parse::<FilePattern>().is_err(), "{bad:?}");
        }
    }
}
