//! Paths in a manifest: of packaged files, and of places in the guest's tree.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use crate::Invalid;
use crate::quantity::shown;
use crate::text::text_value;

/// Longest path, in bytes, and longest name in one: those of `core/vfs`.
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest name of a file or folder, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// A path of a file under the manifest's folder: relative, `/` between names, no `.` or `..`, nothing empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// The path as text: `models/resnet.onnx`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names from the top.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// What its last name ends with after the last `.`; empty if it has no `.`.
    #[must_use]
    pub fn ending(&self) -> &str {
        self.0.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending)
    }
}

impl FromStr for RelativePath {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str, mend: &str| Invalid::new(format!("the path `{}` {why}", shown(text)), mend);
        if text.starts_with('/') {
            return Err(bad(
                "is absolute",
                "write it relative to the manifest's folder, as in `models/resnet.onnx`",
            ));
        }
        check_names(text).map_err(|(why, mend)| bad(why, mend))?;
        Ok(Self(text.to_string()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(RelativePath, "a path relative to the manifest's folder", "models/resnet.onnx");

/// A place in the guest's tree: absolute and normalised, `/` or `/data/in`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

impl GuestPath {
    /// The root of the guest's tree.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_string())
    }

    /// Where services are dialled: `/svc`. Nothing else is mounted there.
    #[must_use]
    pub fn services() -> Self {
        Self("/svc".to_string())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this place or lies beneath it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.0 == "/"
            || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for GuestPath {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str, mend: &str| Invalid::new(format!("the path `{}` {why}", shown(text)), mend);
        let Some(rest) = text.strip_prefix('/') else {
            return Err(bad("is not absolute", "write the place in the app's own tree, as in `/data`"));
        };
        if !rest.is_empty() {
            check_names(rest).map_err(|(why, mend)| bad(why, mend))?;
        }
        Ok(Self(text.to_string()))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(GuestPath, "an absolute path in the app's own tree", "/data");

/// Checks names joined by `/`. The one rule for every path of this crate: keep it strict, a bundle's paths are made
/// into files of a host.
pub(super) fn check_names(text: &str) -> Result<(), (&'static str, &'static str)> {
    if text.is_empty() {
        return Err(("is empty", "name a file"));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(("is longer than 4096 bytes", "shorten it"));
    }
    if text.chars().any(char::is_control) {
        return Err(("has a control character", "rename the file"));
    }
    if text.contains('\\') {
        return Err(("has a `\\`", "write `/` between names, on every system"));
    }
    for name in text.split('/') {
        match name {
            "" => return Err(("has an empty name", "write one `/` between names and none at the end")),
            "." => return Err(("has a `.` in it", "write it without `.`")),
            ".." => return Err(("climbs with `..`", "keep the file under the manifest's folder")),
            _ if name.len() > FILE_NAME_BYTES_MAX => {
                return Err(("has a name longer than 255 bytes", "shorten it"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_cannot_leave() {
        for good in ["a", "a/b.wasm", "ñ/数.txt", "...", "a/..b"] {
            assert!(good.parse::<RelativePath>().is_ok(), "{good}");
        }
        let long_name = "x".repeat(256);
        let long_path = "x/".repeat(2100) + "x";
        for bad in [
            "", "/a", "..", "../a", "a/..", "a/../b", ".", "./a", "a//b", "a/", "a\\b", "a\0", "a\nb",
            "C:\\x", &long_name, &long_path,
        ] {
            assert!(bad.parse::<RelativePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_place_holds_what_is_beneath_it_and_no_neighbour() {
        let path = |text: &str| text.parse::<GuestPath>().unwrap_or_else(|e| panic!("{e}"));
        assert!(
            path("/svc").holds(&path("/svc/a"))
                && path("/svc").holds(&path("/svc"))
                && path("/").holds(&path("/a"))
        );
        assert!(!path("/svc").holds(&path("/svcx")) && !path("/svc/a").holds(&path("/svc")));
        for bad in ["", "a", "//", "/a/", "/a/../b", "/.", "/a//b"] {
            assert!(bad.parse::<GuestPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_ending_is_that_of_the_last_name() {
        let ending = |text: &str| text.parse::<RelativePath>().map(|p| p.ending().to_string());
        assert_eq!(ending("a.b/c.wasm"), Ok("wasm".to_string()));
        assert_eq!(ending("a.b/c"), Ok(String::new()));
    }
}
