//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of this crate.
#[must_use]
pub(crate) fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the checkout.
#[must_use]
pub(crate) fn root() -> PathBuf {
    sources().ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo builds.
#[must_use]
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}
