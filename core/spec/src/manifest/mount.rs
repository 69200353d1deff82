//! `fs`: what is mounted besides the app's own files.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as Read, Serialize};

use super::path::{GuestPath, RelativePath};
use super::rights::OwnFiles;
use crate::Invalid;
use crate::quantity::{Bytes, shown};
use crate::service::{HostAddress, Name, Scheme};
use crate::text::text_value;

/// `fs`: one mount, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(pub Vec<Mount>);

/// One mount, as written.
#[derive(Clone, Debug, PartialEq, Eq, Read)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// What holds the files.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// Where the app sees them; default `/`.
    pub mount: Option<GuestPath>,
    /// Where they come from: `slot:name` that the operator binds, a folder beside the manifest, or for `netfs` an address.
    pub source: Option<Source>,
    /// Whether the app may change them; default `read-write` for `memfs`, `read-only` for the others.
    pub mode: Option<Mode>,
    /// `memfs` only: most bytes that it holds; default `limits.memory`, which it counts against.
    pub size: Option<Bytes>,
    /// `netfs` only: whether files that were read are kept on this machine; default `false`.
    pub cache: Option<bool>,
}

/// What holds the files of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Read, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// Memory: empty at start, gone at the end, counted against `limits.memory`.
    Memfs,
    /// A folder of the host.
    Diskfs,
    /// A server: HTTP, WebDAV or S3.
    Netfs,
}

/// Whether an app may change what is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Read, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// Where the files of a mount come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `slot:name`: a place that the operator binds to a path of the host.
    Slot(Name),
    /// A folder under the manifest's own; only for a manifest that is run in place, never in a bundle.
    Folder(RelativePath),
    /// A server, for `netfs`.
    Url(Url),
}

/// `https://host/path`: where a `netfs` mount comes from. The mount is itself the request to reach that origin only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The one host and port that may be reached for it.
    pub origin: HostAddress,
    /// The path on it, from its first `/`.
    pub path: String,
}

impl FromStr for Source {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(name) = text.strip_prefix("slot:") {
            return name.parse().map(Self::Slot);
        }
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        let host_path = text.starts_with(['/', '~', '\\']) || text.as_bytes().get(1) == Some(&b':');
        if host_path || text.split(['/', '\\']).any(|name| name == "..") {
            return Err(Invalid::new(
                format!("`{}` is a path of the host, which a manifest cannot name", shown(text)),
                "declare a slot, `source: slot:inbox`, and bind it when the app is run: `--bind inbox=PATH`",
            ));
        }
        text.strip_suffix('/').unwrap_or(text).parse().map(Self::Folder)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(name) => write!(f, "slot:{name}"),
            Self::Folder(path) => path.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

text_value!(Source, "`slot:name`, a folder beside the manifest or an address", "slot:inbox");

impl FromStr for Url {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        let path_at = text
            .get(after_scheme..)
            .and_then(|rest| rest.find('/'))
            .map_or(text.len(), |at| after_scheme + at);
        let (origin, path) = text.split_at(path_at);
        let bad = |why: &str| {
            let mend = "write `https://host/path`, with `%XX` for anything but letters, digits and `-._~/`";
            Invalid::new(format!("`{}` is not an address: {why}", shown(text)), mend)
        };
        let origin: HostAddress = origin.parse()?;
        if origin.scheme == Scheme::Tcp {
            return Err(bad("files are not served over plain `tcp`"));
        }
        if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b)) {
            return Err(bad("its path has other characters"));
        }
        if path.split('/').any(|name| name == "." || name == "..") || text.len() > super::path::PATH_BYTES_MAX
        {
            return Err(bad("its path is not normalised, or longer than 4096 bytes"));
        }
        Ok(Self { origin, path: if path.is_empty() { "/".to_string() } else { path.to_string() } })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl<'de> Deserialize<'de> for Mounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MountsVisitor;
        impl<'de> Visitor<'de> for MountsVisitor {
            type Value = Mounts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping (one mount) or a list of them")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mounts, A::Error> {
                Mount::deserialize(MapAccessDeserializer::new(map)).map(|mount| Mounts(alloc::vec![mount]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Mounts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(Mounts)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mounts, E> {
                if OwnFiles::WORDS.contains(&text) {
                    let mend =
                        format!("for the app's own files write `permissions:` and under it `fs: {text}`");
                    return Err(Invalid::new("`fs` at the top lists mounts", mend).into_serde());
                }
                Err(E::invalid_type(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(MountsVisitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Mounts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mounts".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<Mount>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_slots_folders_or_addresses() {
        for (text, back) in [
            ("slot:inbox", "slot:inbox"),
            ("data", "data"),
            ("data/in/", "data/in"),
            ("https://myserver.io/data/", "https://myserver.io/data/"),
            ("https://myserver.io", "https://myserver.io/"),
        ] {
            assert_eq!(text.parse::<Source>().map(|s| s.to_string()), Ok(back.to_string()));
        }
        for bad in [
            "",
            "/srv/in",
            "~/in",
            "..",
            "../in",
            "a/../../b",
            "C:\\in",
            "\\\\server\\in",
            "slot:",
            "slot:../a",
            "slot:A",
            "file:///etc",
            "tcp://a:1/x",
            "https://a/../b",
            "https://u:p@a/b",
            "https://a/b?c",
            "https://a/ b",
            ".",
            "./a",
        ] {
            assert!(bad.parse::<Source>().is_err(), "{bad:?}");
        }
    }
}
