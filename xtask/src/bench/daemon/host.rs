//! A daemon with places of its own, and apps for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::api::{self, Events};
use super::quiet;
use super::usage::Usage;
use crate::shell::text;

/// How long a daemon may take to begin, and to end with all its apps.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon. Dropped, it ends with all its apps.
pub(super) struct Host {
    qyvol: PathBuf,
    folder: tempfile::TempDir,
    cache: PathBuf,
    daemon: Child,
}

/// An app for a manifest in place.
pub(super) struct App<'a> {
    pub(super) name: &'a str,
    /// The program, a file.
    pub(super) program: &'a Path,
    /// The rest of the manifest, whole lines.
    pub(super) manifest: &'a str,
}

impl Host {
    /// Starts a daemon on a new state, with the compiled code of earlier ones.
    pub(super) fn start(qyvol: &Path, cache: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("qyvol-bench").tempdir()?;
        let log = fs::File::create(folder.path().join("daemon.log"))?;
        let mut command = command(qyvol, folder.path(), cache);
        let daemon = command.args(["daemon", "run"]).stdout(Stdio::null()).stderr(log).spawn();
        let daemon = daemon.with_context(|| format!("start `{}`", qyvol.display()))?;
        let mut host = Self { qyvol: qyvol.to_owned(), folder, cache: cache.to_owned(), daemon };
        let start = Instant::now();
        while host.get("/v1/info").is_err() {
            if host.daemon.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                bail!("the daemon does not start:\n{}", host.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(host)
    }

    /// A folder for the apps of one deployment.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).with_context(|| format!("make `{}`", folder.display()))?;
        Ok(folder)
    }

    /// Writes the manifest of an app into `folder`, and its program beside it. Returns the manifest's path.
    pub(super) fn app(&self, folder: &Path, app: &App<'_>) -> Result<PathBuf> {
        let file = app.program.file_name().and_then(|name| name.to_str()).context("a program has no name")?;
        let program = folder.join(file);
        if !program.exists() {
            fs::copy(app.program, &program).with_context(|| format!("copy `{}`", app.program.display()))?;
        }
        let manifest = folder.join(app.name).with_extension("qyv");
        let text = format!("name: {}\nversion: 1.0.0\nentrypoint: {file}\n{}", app.name, app.manifest);
        fs::write(&manifest, text).with_context(|| format!("write `{}`", manifest.display()))?;
        Ok(manifest)
    }

    /// Deploys what lies at `path`, and waits until it is up. Returns how long the command took.
    pub(super) fn deploy(&self, path: &Path, more: &[&str]) -> Result<Duration> {
        let mut command = command(&self.qyvol, self.folder.path(), &self.cache);
        command.arg("deploy").arg(path).args(more);
        let start = Instant::now();
        text(&mut command).with_context(|| format!("the daemon said:\n{}", self.log()))?;
        let took = start.elapsed();
        // A worker begins with the first app that needs it.
        self.processes()?.into_iter().for_each(quiet::shield);
        Ok(took)
    }

    /// What an app has printed.
    pub(super) fn logs(&self, app: &str) -> Result<String> {
        text(command(&self.qyvol, self.folder.path(), &self.cache).args(["logs", app]))
    }

    pub(super) fn get(&self, path: &str) -> Result<Value> {
        api::ask(&self.socket(), "GET", path, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        api::ask(&self.socket(), "POST", path, Some(body))
    }

    /// Removes an app.
    pub(super) fn remove(&self, app: &str) -> Result<()> {
        api::ask(&self.socket(), "DELETE", &format!("/v1/apps/{app}"), None).map(drop)
    }

    pub(super) fn events(&self) -> Result<Events> {
        Events::follow(&self.socket())
    }

    /// The daemon's process, and those of its workers.
    pub(super) fn processes(&self) -> Result<Vec<u32>> {
        let info = self.get("/v1/info")?;
        let workers = info["workers"].as_array().context("the daemon names no workers")?;
        let pids = workers.iter().map(|worker| &worker["pid"]).filter_map(Value::as_u64);
        let pids = pids.filter_map(|pid| u32::try_from(pid).ok());
        Ok(std::iter::once(self.daemon.id()).chain(pids).collect())
    }

    /// What all processes together use.
    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(&self.processes()?)
    }

    /// What the daemon's process uses.
    pub(super) fn daemon_usage(&self) -> Result<Usage> {
        Usage::of(&[self.daemon.id()])
    }

    /// The processor time of all instances, in nanoseconds, by the name of their app.
    pub(super) fn cpu(&self) -> Result<std::collections::BTreeMap<String, u64>> {
        let rows = self.get("/v1/usage")?;
        let mut used = std::collections::BTreeMap::new();
        for row in rows.as_array().context("the daemon says nothing of what is used")? {
            let name = row["instance"]["app"].as_str().unwrap_or_default();
            *used.entry(name.to_owned()).or_insert(0) += row["cpu_ns"].as_u64().unwrap_or(0);
        }
        Ok(used)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/qyvold.sock")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = api::ask(&self.socket(), "POST", "/v1/daemon/stop?apps=true", None);
        let start = Instant::now();
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                let _ = self.daemon.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// `qyvol` with all its places in `folder`, but for the cache.
fn command(qyvol: &Path, folder: &Path, cache: &Path) -> Command {
    let mut command = Command::new(qyvol);
    let places = [("STATE", "state"), ("RUNTIME", "run"), ("CONFIG", "config"), ("DATA", "data")];
    for (variable, name) in places {
        command.env(format!("QYVOL_{variable}_DIR"), folder.join(name));
    }
    command.env("QYVOL_CACHE_DIR", cache).current_dir(folder).stdin(Stdio::null());
    command
}
