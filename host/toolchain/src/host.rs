//! The machine on which programs are made.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Overrides the folder for what is downloaded.
const FOLDER_VARIABLE: &str = "QYVOL_TOOLCHAIN_DIR";

/// Where tools are looked for, and where those that no package manager puts in place are kept.
#[derive(Clone, Debug)]
pub struct Host {
    path: OsString,
    data: PathBuf,
    root: bool,
}

impl Host {
    /// The machine as this process sees it: its `PATH`, and the folder for what is downloaded that `QYVOL_TOOLCHAIN_DIR`
    /// names, or else one of the user's.
    #[must_use]
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let user = || {
            let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
            variable("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(home)
                .unwrap_or_default()
                .join("qyvol/toolchain")
        };
        Self {
            path: variable("PATH").unwrap_or_default(),
            data: variable(FOLDER_VARIABLE).map_or_else(user, PathBuf::from),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// A machine with another search path, without the rights of root.
    #[cfg(test)]
    pub(crate) fn with_path(path: &Path, data: PathBuf) -> Self {
        Self { path: path.into(), data, root: false }
    }

    /// The program of that name which a shell would start.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| is_program(path))
    }

    /// The folder for what is downloaded.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Whether this process may install packages of the system.
    pub(crate) fn is_root(&self) -> bool {
        self.root
    }

    pub(crate) fn path(&self) -> &OsStr {
        &self.path
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
