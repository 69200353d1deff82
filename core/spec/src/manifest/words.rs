//! Small values of the manifest's top: version, type, runtime, names of environment variables.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::path::RelativePath;
use crate::Invalid;
use crate::quantity::shown;
use crate::text::text_value;

/// The version of the manifest's language. There is one so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaVersion;

impl SchemaVersion {
    /// The version that this build reads and writes.
    pub const CURRENT: u64 = 1;
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = u64::deserialize(deserializer)?;
        if version == Self::CURRENT {
            return Ok(Self);
        }
        let mend = if version > Self::CURRENT {
            "update qyvol, or write `qyv: 1` if the manifest needs nothing newer"
        } else {
            "write `qyv: 1`"
        };
        Err(Invalid::new(format!("schema version {version} is unknown: this build reads 1"), mend)
            .into_serde())
    }
}

impl Serialize for SchemaVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::CURRENT)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for SchemaVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SchemaVersion".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": 1 })
    }
}

/// `type`: an app's life cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs and ends.
    #[default]
    Command,
    /// Runs until it is stopped.
    Service,
    /// Answers HTTP requests.
    Http,
    /// Draws on a window or screen.
    Gui,
    /// Runs in a browser.
    Web,
}

impl Kind {
    /// The word that a manifest uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Service => "service",
            Self::Http => "http",
            Self::Gui => "gui",
            Self::Web => "web",
        }
    }
}

/// `runtime`: what a program is written against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// WASI; the module says which preview.
    #[default]
    Wasi,
}

/// How an entrypoint runs, decided by its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// A WebAssembly module or component; text (`.wat`) is assembled before it is packaged.
    Wasm,
    /// A Julia script, on the shared Julia runtime.
    Julia,
    /// A Lua script, on the shared Lua runtime.
    Lua,
}

impl Program {
    /// The program that the file at `entrypoint` is.
    ///
    /// # Errors
    ///
    /// Its ending is none of `.wasm`, `.wat`, `.jl` and `.lua`.
    pub fn of(entrypoint: &RelativePath) -> Result<Self, Invalid> {
        match entrypoint.ending() {
            "wasm" | "wat" => Ok(Self::Wasm),
            "jl" => Ok(Self::Julia),
            "lua" => Ok(Self::Lua),
            "cwasm" => Err(Invalid::new(
                format!(
                    "`{}` is compiled code, which is never loaded from an app",
                    shown(entrypoint.as_str())
                ),
                "name the `.wasm` that it was compiled from",
            )),
            _ => Err(Invalid::new(
                format!("the ending of `{}` does not say how it runs", shown(entrypoint.as_str())),
                "name a `.wasm`, `.wat`, `.jl` or `.lua` file",
            )),
        }
    }
}

/// An app's version: three numbers and what may follow them, as in `1.2.0` or `2.0.0-rc.1` (semver.org).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(semver::Version);

impl Version {
    /// Longest version, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Whether this version comes before `other`. What follows a `+` is not compared.
    #[must_use]
    pub fn is_lower_than(&self, other: &Self) -> bool {
        self.0.cmp_precedence(&other.0).is_lt()
    }
}

impl Default for Version {
    fn default() -> Self {
        Self(semver::Version::new(0, 0, 0))
    }
}

impl FromStr for Version {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new(format!("`{}` is not a version", shown(text)), "write three numbers, as in `1.2.0`")
        };
        if text.len() > Self::BYTES_MAX {
            return Err(bad());
        }
        text.parse().map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(Version, "a version such as `1.2.0`", "1.2.0");

/// The name of an environment variable: letters, digits and `_`, no digit first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if text.is_empty()
            || text.len() > Self::BYTES_MAX
            || !allowed
            || text.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(Invalid::new(
                format!("`{}` is not the name of an environment variable", shown(text)),
                "write letters, digits and `_`, no digit first, as in `MODEL_PATH`",
            ));
        }
        Ok(Self(text.to_string()))
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(EnvName, "the name of an environment variable", "MODEL_PATH");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_not_by_build() {
        let v = |text: &str| text.parse::<Version>().unwrap_or_else(|e| panic!("{e}"));
        assert!(v("1.9.0").is_lower_than(&v("1.10.0")) && v("1.0.0-rc.1").is_lower_than(&v("1.0.0")));
        assert!(!v("1.0.0+a").is_lower_than(&v("1.0.0+b")));
        for bad in ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "99999999999999999999.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_ending_decides_what_a_program_is() {
        let of = |text: &str| text.parse().ok().and_then(|path| Program::of(&path).ok());
        assert_eq!(
            (of("a.wasm"), of("a.wat"), of("b/a.jl"), of("a.lua")),
            (Some(Program::Wasm), Some(Program::Wasm), Some(Program::Julia), Some(Program::Lua))
        );
        for bad in ["a", "a.cwasm", "a.WASM", "a.exe", "wasm", "a.wasm.txt"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
