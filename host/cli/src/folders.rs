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

/// Overrides the folder of the daemon's state.
pub(crate) const STATE_VARIABLE: &str = "QYVOL_STATE_DIR";
/// Overrides the folder of the daemon's sockets.
pub(crate) const RUNTIME_VARIABLE: &str = "QYVOL_RUNTIME_DIR";

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

/// The manifests that the daemon deploys by itself: for root those of the whole host.
pub(crate) fn manifests() -> Result<PathBuf> {
    if env::var_os(CONFIG_VARIABLE).is_none_or(|path| path.is_empty()) && is_root() {
        return Ok(PathBuf::from("/etc/qyvol.d"));
    }
    Ok(config()?.join("qyvol.d"))
}

/// The daemon's token and certificate for clients of other hosts.
pub(crate) fn remote() -> Result<PathBuf> {
    Ok(config()?.join("remote"))
}

/// What the daemon keeps: its state, bundles, volumes and logs. For root those of the whole host.
pub(crate) fn state() -> Result<PathBuf> {
    if env::var_os(STATE_VARIABLE).is_none_or(|path| path.is_empty()) && is_root() {
        return Ok(PathBuf::from("/var/lib/qyvol"));
    }
    folder(STATE_VARIABLE, "XDG_STATE_HOME", ".local/state").map(|(folder, _)| folder)
}

/// The daemon's sockets, which are gone with the session: `$XDG_RUNTIME_DIR/qyvol`, or beneath the state where there is no
/// such folder.
pub(crate) fn runtime() -> Result<PathBuf> {
    if let Some(path) = env::var_os(RUNTIME_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    // A daemon with a state of its own has its own sockets too.
    if env::var_os(STATE_VARIABLE).is_some_and(|path| !path.is_empty()) {
        return Ok(state()?.join("run"));
    }
    if is_root() {
        return Ok(PathBuf::from("/run/qyvol"));
    }
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(base) => Ok(base.join("qyvol")),
        None => Ok(state()?.join("run")),
    }
}

/// The socket of the daemon's API.
pub(crate) fn socket() -> Result<PathBuf> {
    Ok(runtime()?.join("qyvold.sock"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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
