//! `permissions`: what an app asks for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize as Read, Serialize};

use crate::Invalid;
use crate::service::{Endpoint, Listen, Name};

/// What an app asks for. Everything is closed unless it is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Read)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// The app's own files at `/`; `read-write` adds its private volume at `/data`.
    pub fs: OwnFiles,
    /// The network outside, and services by name. `true` is to connect to any host; a port to listen at, and a service,
    /// are always named.
    pub net: Right<NetRules>,
    /// Inference. `true` is any model, without learning.
    pub ai: Right<AiRules>,
    /// Starting programs. `true` is those of the app's own bundle.
    pub exec: Right<ExecRules>,
    /// Rights over the other apps of this machine.
    pub admin: AdminRules,
    /// A window or screen to draw on.
    pub gfx: bool,
    /// The sensors of this machine.
    pub sensors: bool,
}

/// `permissions.fs`: what the app may do with its own files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnFiles {
    /// It sees none.
    #[default]
    None,
    /// It reads its packaged files at `/`.
    ReadOnly,
    /// The same, and its private volume at `/data`, which it may change.
    ReadWrite,
}

impl OwnFiles {
    /// What may be written, in the order of the reference.
    pub(crate) const WORDS: [&'static str; 2] = ["read-only", "read-write"];
}

impl<'de> Deserialize<'de> for OwnFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OwnFilesVisitor;
        impl Visitor<'_> for OwnFilesVisitor {
            type Value = OwnFiles;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`false`, `read-only` or `read-write`")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<OwnFiles, E> {
                if value {
                    let mend = "write `read-only`, or `read-write` to add a private volume at `/data`";
                    return Err(Invalid::new("`true` does not say which files", mend).into_serde());
                }
                Ok(OwnFiles::None)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OwnFiles, E> {
                match text {
                    // The spelling of a resolved app.
                    "none" => Ok(OwnFiles::None),
                    "read-only" => Ok(OwnFiles::ReadOnly),
                    "read-write" => Ok(OwnFiles::ReadWrite),
                    _ if looks_like_bool(text) => Err(E::invalid_type(Unexpected::Str(text), &self)),
                    _ => Err(E::unknown_variant(text, &OwnFiles::WORDS)),
                }
            }
        }
        deserializer.deserialize_any(OwnFilesVisitor)
    }
}

/// A right that is closed, open, or open within rules: `false`, `true` or a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Right<T> {
    /// `false`.
    #[default]
    No,
    /// `true`.
    All,
    /// A mapping.
    Only(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Right<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RightVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for RightVisitor<T> {
            type Value = Right<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a mapping")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Right<T>, E> {
                Ok(if value { Right::All } else { Right::No })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Right<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Right::Only)
            }
        }
        deserializer.deserialize_any(RightVisitor(PhantomData))
    }
}

/// `permissions.net` as a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Read)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NetRules {
    /// What the app may dial.
    pub connect: Vec<Endpoint>,
    /// Where it listens.
    pub listen: Vec<Listen>,
}

/// `permissions.ai` as a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Read)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AiRules {
    /// The models it may use; any when left out.
    pub models: Option<Vec<Name>>,
    /// Whether it may teach them.
    pub learn: bool,
}

/// `permissions.exec` as a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Read)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExecRules {
    /// The installed apps it may start.
    pub run: Vec<Name>,
}

/// `permissions.admin`: `false`, or the list of what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AdminRules(pub Vec<AdminRight>);

/// One right over the other apps of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Read, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AdminRight {
    /// To stop them.
    Stop,
    /// To read their logs.
    Logs,
    /// To turn the machine off and on.
    Power,
}

impl AdminRight {
    /// The word that a manifest and a grant use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Logs => "logs",
            Self::Power => "power",
        }
    }
}

impl<'de> Deserialize<'de> for AdminRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AdminVisitor;
        impl<'de> Visitor<'de> for AdminVisitor {
            type Value = AdminRules;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`false` or a list")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<AdminRules, E> {
                if value {
                    let mend = "list what is needed, as in `[stop, logs]`; there is also `power`";
                    return Err(Invalid::new("`true` does not say which rights", mend).into_serde());
                }
                Ok(AdminRules::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<AdminRules, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(AdminRules)
            }
        }
        deserializer.deserialize_any(AdminVisitor)
    }
}

/// Whether `text` is a boolean in some YAML of the past: `no`, `Yes`, `on`. Here it is text, and never a right.
pub(crate) fn looks_like_bool(text: &str) -> bool {
    let lower: String = text.to_ascii_lowercase();
    ["true", "false", "yes", "no", "on", "off", "y", "n"].contains(&lower.as_str())
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{AdminRight, AdminRules, OwnFiles, Right};

    impl JsonSchema for OwnFiles {
        fn schema_name() -> Cow<'static, str> {
            "OwnFiles".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "enum": [false, OwnFiles::WORDS[0], OwnFiles::WORDS[1]] })
        }
    }

    impl<T: JsonSchema> JsonSchema for Right<T> {
        fn schema_name() -> Cow<'static, str> {
            std::format!("Right_{}", T::schema_name()).into()
        }
        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [{ "type": "boolean" }, generator.subschema_for::<T>()] })
        }
    }

    impl JsonSchema for AdminRules {
        fn schema_name() -> Cow<'static, str> {
            "AdminRules".into()
        }
        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [{ "const": false }, { "type": "array", "items": generator.subschema_for::<AdminRight>() }] })
        }
    }
}
