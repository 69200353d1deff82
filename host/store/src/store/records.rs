//! What is stored, and as what bytes.

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyvol_protocol::api::DeployApp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::{Error, Result};

/// Whether an app is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// It is.
    Running,
    /// Somebody has stopped it.
    Stopped,
}

/// What is known of an app besides its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRecord {
    /// The revision that is to run.
    pub revision: u64,
    /// The highest number that a revision of it has had.
    pub last_revision: u64,
    /// Whether it is meant to run.
    pub desired: Desired,
    /// How many replicas are to run.
    pub replicas: u32,
    /// The first generation that nobody has reserved, from 1.
    pub generation: u64,
    /// What the supervisor must be told of it at the daemon's next start, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<serde_json::Value>,
}

/// One revision of an app: all that is needed to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionRecord {
    /// When it was deployed, in milliseconds since 1970.
    pub deployed: u64,
    /// The version of the app.
    pub version: String,
    /// What was asked; `replicas` is `None`, the app has them.
    pub request: DeployApp,
}

/// A bundle that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRecord {
    /// Its bytes.
    pub size: u64,
    /// The app within, and its version, for people.
    pub app: String,
    /// When it was last uploaded, in milliseconds since 1970.
    pub stored: u64,
}

/// An app with the revision that is to run.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredApp {
    /// Its name.
    pub name: Name,
    /// What is known of it.
    pub app: AppRecord,
    /// What is to run.
    pub revision: RevisionRecord,
}

/// Every value says its version, so that a later reader knows what it has before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    version: u32,
    value: T,
}

/// The same without the value, whose shape another version may have changed.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(&Versioned { version: FORMAT, value })
        .map_err(|error| Error::Invalid(format!("this cannot be stored: {error}")))
}

/// Reads a value; `what` names it in an error.
pub(super) fn decode<T: DeserializeOwned>(what: impl FnOnce() -> String, bytes: &[u8]) -> Result<T> {
    let read = |bytes| {
        let Version { version } = serde_json::from_slice(bytes)?;
        if version > FORMAT { Ok(Err(version)) } else { serde_json::from_slice(bytes).map(Ok) }
    };
    match read(bytes) {
        Ok(Ok(Versioned { value, .. })) => Ok(value),
        Ok(Err(found)) => Err(Error::Newer { what: what(), found, known: FORMAT }),
        Err(error) => Err(Error::corrupt(what(), error)),
    }
}

/// The name of an app, as it stands in a key.
pub(super) fn name(text: &str) -> Result<Name> {
    text.parse().map_err(|_| Error::corrupt("the state", format!("`{text}` is not the name of an app")))
}

/// The hash of a blob, as it stands in a key.
pub(super) fn hash(text: &str) -> Result<Hash> {
    text.parse().map_err(|_| Error::corrupt("the state", format!("`{text}` is not a hash")))
}
