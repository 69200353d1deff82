//! The one spelling of an app: JSON with integers only and sorted keys.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::App;
use crate::manifest::{Program, SchemaVersion};
use crate::problem::{KeyPath, Problem};

/// Most bytes of an app's JSON: enough for [`super::FILES_MAX`] files with paths of usual length.
pub const APP_JSON_BYTES_MAX: usize = 8 << 20;

/// Why an app cannot be read from a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It is longer than [`APP_JSON_BYTES_MAX`].
    TooLong,
    /// A newer version of qyvol wrote it: its schema version.
    Newer(u64),
    /// It is not JSON, or not that of an app: the reader's words.
    Malformed(String),
    /// It is not spelled as [`App::to_json`] spells it.
    NotCanonical,
    /// Its values do not fit together.
    Wrong(Vec<Problem>),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the app's description is longer than {APP_JSON_BYTES_MAX} bytes"),
            Self::Newer(version) => {
                let known = SchemaVersion::CURRENT;
                write!(f, "the app needs schema version {version}, this build reads {known}; update qyvol")
            }
            Self::Malformed(why) => write!(f, "the app's description is malformed: {why}"),
            Self::NotCanonical => {
                f.write_str("the app's description is not in its one spelling; pack it again")
            }
            Self::Wrong(problems) => {
                f.write_str("the app's description is wrong")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl core::error::Error for ReadError {}

impl App {
    /// The app as JSON: the same bytes for the same app, on every host.
    ///
    /// # Panics
    ///
    /// Never: every key of an app is text and every number an integer.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut text = String::new();
        write_sorted(&value, &mut text);
        text.into_bytes()
    }

    /// Reads an app from a bundle: what [`Self::to_json`] wrote, and nothing that a manifest could not have said.
    ///
    /// The bytes are a stranger's. What is read is bounded, checked like a manifest, names no path of the host, and is
    /// spelled in the one way, so that what is shown is what was signed.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Versioned {
            qyv: u64,
        }
        if bytes.len() > APP_JSON_BYTES_MAX {
            return Err(ReadError::TooLong);
        }
        let malformed =
            |error: serde_json::Error| ReadError::Malformed(error.to_string().replace('\n', "; "));
        // A newer schema may have other keys, so its version is looked at before anything else.
        let Versioned { qyv } = serde_json::from_slice(bytes).map_err(malformed)?;
        if qyv > SchemaVersion::CURRENT {
            return Err(ReadError::Newer(qyv));
        }
        let app: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if app.to_json() != bytes {
            return Err(ReadError::NotCanonical);
        }
        let mut problems = app.problems();
        problems.extend(app.file_problems());
        problems.extend(app.host_path_problems());
        if Program::of(&app.entrypoint).ok() != Some(app.program) {
            let message = "its ending does not say that it runs as `program` says";
            problems.push(Problem::new(KeyPath::key("entrypoint"), message, "pack the app again"));
        }
        if problems.is_empty() { Ok(app) } else { Err(ReadError::Wrong(problems)) }
    }
}

/// Writes `value` with the keys of every mapping sorted by their bytes. Sorts by itself: whether `serde_json` keeps keys
/// sorted depends on a feature that any crate of the build can turn on.
fn write_sorted(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => {
            into.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_sorted(item, into);
            }
            into.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            into.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                into.push_str(&Value::from(key.as_str()).to_string());
                into.push(':');
                write_sorted(item, into);
            }
            into.push('}');
        }
        plain => into.push_str(&plain.to_string()),
    }
}
