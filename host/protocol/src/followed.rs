//! What the daemon says to the process that deploys the manifests of the folder that it follows: one [`Ask`] as JSON on its
//! standard input; a [`Told`] for each file, as one line of JSON, on its standard output.

use std::collections::BTreeMap;

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use serde::{Deserialize, Serialize};

/// The first argument of that process.
pub const FOLLOWED_ARGUMENT: &str = "--qyvol-followed";

/// The most bytes of an [`Ask`], and of a [`Told`].
pub const FOLLOWED_BYTES_MAX: u64 = 64 << 20;

/// Files to be deployed, each on its own, and what is known of those that were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Manifests and bundles, absolute.
    pub files: Vec<String>,
    /// The apps that files of the folder stand for which are still there.
    pub deployed: BTreeMap<Name, Placed>,
}

/// Where an app came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// The file, absolute.
    pub file: String,
    /// The bundle that was made of it.
    pub image: Hash,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The file.
    pub file: String,
    /// Its app, when it could be read.
    pub app: Option<Name>,
    /// Files and folders whose change may change the app.
    pub watched: Vec<String>,
    /// Why it is not deployed.
    pub problem: Option<String>,
    /// How to mend that.
    pub hint: Option<String>,
}
