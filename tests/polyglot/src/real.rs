//! The real host: `qyvol run`, and the daemon where services are needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::case::Case;
use crate::check::Check;
use crate::deployed::Daemon;
use crate::outcome::Outcome;
use crate::process;
use crate::qyvol::Qyvol;
use crate::stage::App;
use crate::suite::Host;

/// The time of a run of `loop`.
const LOOP_TIME: &str = "2s";
/// How long a check may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// `qyvol`, started anew for each run.
pub struct Real<'a> {
    qyvol: &'a Qyvol,
    app: &'a App,
    /// What `qyvol run` is given.
    file: PathBuf,
    daemon: Option<&'a Daemon<'a>>,
}

impl<'a> Real<'a> {
    /// A host of an app in its folder. Without a daemon, checks that need services cannot be run.
    #[must_use]
    pub fn new(qyvol: &'a Qyvol, app: &'a App, daemon: Option<&'a Daemon<'a>>) -> Self {
        Self { qyvol, app, file: app.manifest_file(None), daemon }
    }

    /// A host of the same app, packed.
    ///
    /// # Errors
    ///
    /// When it cannot be packed.
    pub fn bundle(qyvol: &'a Qyvol, app: &'a App, daemon: Option<&'a Daemon<'a>>) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let file = app.manifest_file(None).with_extension("qyvbin");
        let (from, to) = (app.manifest_file(None).display().to_string(), file.display().to_string());
        qyvol.must(scratch.path(), &["pack", &from, "--output", &to])?;
        Ok(Self { qyvol, app, file, daemon })
    }

    /// Runs it once with a check that there is not: compiles it, so that no check waits for that.
    ///
    /// # Errors
    ///
    /// When it does not end as the contract says.
    pub fn warm(&self) -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let mut command = self.qyvol.command(scratch.path());
        command.arg("run").arg("--allow-unsigned").arg(&self.file).args(["--", "no-such-check", "1", "0"]);
        let ran = process::run(&mut command, b"", false, crate::qyvol::PATIENCE)?;
        anyhow::ensure!(
            ran.code == Some(64) && ran.stdout.is_empty() && !ran.stderr.is_empty(),
            "an unknown check ends with {:?} and should end with 64, and a line on standard error: {}",
            ran.code,
            ran.errors()
        );
        Ok(())
    }

    fn run_here(&self, case: &Case) -> Result<Outcome> {
        let scratch = tempfile::tempdir()?;
        let status_file = scratch.path().join("status.json");
        let mut command = self.qyvol.command(scratch.path());
        command.arg("run").arg("--allow-unsigned").arg(&self.file).arg("--status-file").arg(&status_file);
        if case.check == Check::Loop {
            command.args(["--timeout", LOOP_TIME]);
        }
        for (name, value) in &case.environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        command.arg("--").args(case.arguments());
        let one_pipe = case.check == Check::Streams;
        let ran = process::run(&mut command, &case.stdin, one_pipe, PATIENCE)?;
        let mut outcome = Outcome { stderr: ran.stderr, elapsed: ran.elapsed, ..Outcome::default() };
        if one_pipe {
            outcome.both = Some(ran.stdout);
        } else {
            outcome.stdout = ran.stdout;
        }
        if ran.overdue {
            outcome.cause = "deadline".to_owned();
            return Ok(outcome);
        }
        read_status(&status_file, &mut outcome)?;
        Ok(outcome)
    }
}

impl Host for Real<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        if case.check.needs_services() {
            return self.daemon.context("no daemon was started")?.run(self.app, case);
        }
        self.run_here(case)
    }
}

fn read_status(file: &Path, outcome: &mut Outcome) -> Result<()> {
    let text = fs::read(file).with_context(|| {
        format!("there is no status file; standard error: {}", String::from_utf8_lossy(&outcome.stderr))
    })?;
    let status: Value = serde_json::from_slice(&text).context("the status file is no JSON")?;
    outcome.cause = status["cause"].as_str().context("the status file has no `cause`")?.to_owned();
    outcome.code = status["app_exit_code"].as_u64().and_then(|code| u32::try_from(code).ok());
    outcome.memory_peak = status["memory_peak_bytes"].as_u64();
    Ok(())
}
