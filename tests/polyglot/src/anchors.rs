//! Other runtimes under the same checks, to compare with: they have no services, and say less about how a run ended.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::case::{Case, MEMORY_BYTES};
use crate::check::Check;
use crate::outcome::Outcome;
use crate::places;
use crate::process;
use crate::stage::App;
use crate::suite::Host;

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What both end with after a trap.
const TRAPPED: i32 = 134;

/// Another runtime.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// Node's own WASI.
    Node,
    /// The program `wasmtime`.
    Wasmtime(PathBuf),
}

impl Anchor {
    /// Those that are here: `node`, and the `wasmtime` that `WASMTIME` names or that is in `PATH`.
    #[must_use]
    pub fn found() -> Vec<Self> {
        let in_path = |name: &str| {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
        };
        let wasmtime = env::var_os("WASMTIME").map(PathBuf::from).or_else(|| in_path("wasmtime"));
        let node = in_path("node").map(|_| Self::Node);
        node.into_iter().chain(wasmtime.map(Self::Wasmtime)).collect()
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Wasmtime(_) => "wasmtime",
        }
    }

    /// It, for an app.
    #[must_use]
    pub fn host<'a>(&'a self, app: &'a App) -> impl Host + 'a {
        Anchored { anchor: self, app }
    }

    fn command(&self, app: &App, volume: &Path, case: &Case) -> Command {
        let folders = [(app.folder().join("texts"), "/texts"), (volume.to_path_buf(), "/data")];
        match self {
            Self::Node => {
                let mut command = Command::new("node");
                command.arg("--no-warnings").arg(places::sources().join("node.mjs")).arg(app.module());
                command.arg(serde_json::json!(folders).to_string());
                command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
                command.envs(case.environment.iter().cloned()).args(case.arguments());
                command
            }
            Self::Wasmtime(program) => {
                let mut command = Command::new(program);
                command.args(["run", "-C", "cache=y", "-W", "gc=y,exceptions=y,function-references=y"]);
                command.env("XDG_CACHE_HOME", places::target().join("polyglot/anchors"));
                command.args(["-W", &format!("max-memory-size={MEMORY_BYTES}")]);
                if case.check == Check::Loop {
                    command.args(["-W", "timeout=2s"]);
                }
                for (folder, place) in folders {
                    command.args(["--dir", &format!("{}::{place}", folder.display())]);
                }
                for (name, value) in &case.environment {
                    command.args(["--env", &format!("{name}={value}")]);
                }
                command.arg(app.module()).args(case.arguments());
                command
            }
        }
    }
}

struct Anchored<'a> {
    anchor: &'a Anchor,
    app: &'a App,
}

impl Host for Anchored<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        if matches!(self.anchor, Anchor::Node) && matches!(case.check, Check::Memory | Check::Loop) {
            bail!("it has no limits of memory and time");
        }
        let volume = tempfile::tempdir()?;
        let one_pipe = case.check == Check::Streams;
        let fixed = self.app.folder().join("texts/fixed.txt");
        let mut command = self.anchor.command(self.app, volume.path(), case);
        let ran = process::run(&mut command, &case.stdin, one_pipe, PATIENCE)?;
        if case.check == Check::Readonly {
            // Folders are given whole: what was written is put right again.
            fs::remove_dir_all(self.app.folder().join("texts"))?;
            fs::create_dir(self.app.folder().join("texts"))?;
            fs::write(fixed, crate::expected::FIXED)?;
        }
        let interrupted = String::from_utf8_lossy(&ran.stderr).contains("interrupt");
        let (cause, code) = match ran.code {
            _ if ran.overdue => ("deadline", None),
            Some(TRAPPED) if interrupted => ("timeout", None),
            // It does not say whether a growth was refused before.
            Some(TRAPPED) if case.check == Check::Memory => ("memory", None),
            Some(TRAPPED) | None => ("trap", None),
            Some(code) => ("exit", u32::try_from(code).ok()),
        };
        let mut outcome = Outcome {
            stderr: ran.stderr,
            cause: cause.to_owned(),
            code,
            elapsed: ran.elapsed,
            ..Outcome::default()
        };
        if one_pipe {
            outcome.both = Some(ran.stdout);
        } else {
            outcome.stdout = ran.stdout;
        }
        Ok(outcome)
    }
}
