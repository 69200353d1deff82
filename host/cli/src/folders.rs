//! Where qyvol keeps its things: the XDG base directories, each of which an environment variable overrides.

use std::env;
use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// Overrides the folder of compiled code.
pub(crate) const CACHE_VARIABLE: &str = "QYVOL_CACHE_DIR";
/// Overrides the folder of keys, the trust store and the user's policy.
pub(crate) const CONFIG_VARIABLE: &str = "QYVOL_CONFIG_DIR";
/// Overrides the folder of private volumes, their locks and stored grants.
pub(crate) const DATA_VARIABLE: &str = "QYVOL_DATA_DIR";

/// Compiled code.
pub(crate) fn cache() -> Result<PathBuf> {
    folder(CACHE_VARIABLE, "XDG_CACHE_HOME", ".cache")
        .map(|(folder, own)| if own { folder } else { folder.join("code") })
}

/// Keys, the trust store, the policy of this user.
pub(crate) fn config() -> Result<PathBuf> {
    folder(CONFIG_VARIABLE, "XDG_CONFIG_HOME", ".config").map(|(folder, _)| folder)
}

/// Private volumes, their locks and stored grants.
pub(crate) fn data() -> Result<PathBuf> {
    folder(DATA_VARIABLE, "XDG_DATA_HOME", ".local/share").map(|(folder, _)| folder)
}

/// The folder, and whether our own variable names it.
fn folder(own: &str, xdg: &str, below_home: &str) -> Result<(PathBuf, bool)> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(path) = env::var_os(own).filter(|path| !path.is_empty()) {
        return Ok((PathBuf::from(path), true));
    }
    absolute(xdg)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .map(|base| (base.join("qyvol"), false))
        .ok_or_else(|| {
            Failure::own(format!("neither `{own}`, `{xdg}` nor `HOME` is set to an absolute path"))
                .hint(format!("set `{own}` to a folder of your own"))
        })
}
