//! The program `qyvol`, as a person starts it, with places of its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::places;
use crate::process::{self, Ran};

/// How long a command may take that is not a check.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The program.
#[derive(Clone, Debug)]
pub struct Qyvol {
    program: PathBuf,
}

impl Qyvol {
    /// The program that is named, or that `QYVOL_BIN` names, or that was built beside this one.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(named: Option<PathBuf>) -> Result<Self> {
        let named = named.or_else(|| env::var_os("QYVOL_BIN").map(PathBuf::from));
        let program = named.unwrap_or_else(|| places::target().join("debug/qyvol"));
        let program = std::path::absolute(program)?;
        ensure!(program.is_file(), "there is no `{}`; `cargo build -p qyvol` makes it", program.display());
        Ok(Self { program })
    }

    /// The folder of compiled code, which all runs share.
    #[must_use]
    pub fn cache() -> PathBuf {
        places::target().join("polyglot/cache")
    }

    /// A command whose state, volumes, grants and sockets are in `folder`.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.env("QYVOL_CACHE_DIR", Self::cache());
        for (variable, name) in [
            ("QYVOL_CONFIG_DIR", "config"),
            ("QYVOL_DATA_DIR", "data"),
            ("QYVOL_STATE_DIR", "state"),
            ("QYVOL_RUNTIME_DIR", "run"),
        ] {
            command.env(variable, folder.join(name));
        }
        // Messages are looked at in English, and the language of this machine is nobody's business.
        for variable in ["LC_ALL", "LC_MESSAGES", "LANG", "QYVOL_HOST"] {
            command.env_remove(variable);
        }
        command
    }

    /// `qyvol build`, with this user's own places: toolchains are theirs.
    pub(crate) fn build(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("build").arg(folder).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a command that must succeed.
    pub(crate) fn must(&self, folder: &Path, arguments: &[&str]) -> Result<Ran> {
        let ran = process::run(self.command(folder).args(arguments), b"", false, PATIENCE)?;
        let shown = || format!("`qyvol {}`", arguments.join(" "));
        ensure!(!ran.overdue, "{} did not end", shown());
        ensure!(ran.code == Some(0), "{} failed: {}", shown(), ran.errors());
        Ok(ran)
    }

    /// As [`must`](Self::must), for what it prints as JSON.
    pub(crate) fn json(&self, folder: &Path, arguments: &[&str]) -> Result<serde_json::Value> {
        let ran = self.must(folder, arguments)?;
        serde_json::from_slice(&ran.stdout)
            .with_context(|| format!("`qyvol {}` prints no JSON", arguments.join(" ")))
    }
}
