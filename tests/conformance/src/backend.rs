//! One program on one backend, as a process with a time limit.

use std::env;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// One way to give a program its WASI calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `qyvol` over the folder itself.
    Diskfs,
    /// `qyvol` over a copy of the folder in memory.
    Memfs,
    /// `qyvol` over the folder, with changes in memory.
    Overlay,
    /// The core and its memory file system, both WebAssembly, under Node's engine.
    Node,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Diskfs, Self::Memfs, Self::Overlay, Self::Node];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Diskfs => "diskfs",
            Self::Memfs => "memfs",
            Self::Overlay => "overlay",
            Self::Node => "node",
        }
    }

    /// The backend of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether changes that the program makes are seen in the folder afterwards.
    #[must_use]
    pub const fn writes_through(self) -> bool {
        matches!(self, Self::Diskfs)
    }
}

/// A program and all that it is given.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The module, component or text.
    pub program: PathBuf,
    /// The arguments after the program's name.
    pub args: Vec<String>,
    /// The environment; the host's is never passed on.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Folders of the host by guest path.
    pub folders: Vec<(PathBuf, String)>,
    /// Grant the folders for reading only.
    pub read_only: bool,
    /// Limits as in a manifest, by name: `disk`, `inodes`, `memory`, `fds`.
    pub limits: Vec<(String, String)>,
    /// The time limit that the host enforces, such as `500ms`. None: the runner's own, after which it kills.
    pub timeout: Option<String>,
}

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code of the process.
    pub code: i32,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
}

/// The programs that the backends need.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The `qyvol` binary.
    pub qyvol: PathBuf,
    /// The Node host, when there is a Node to run it.
    pub node: Option<NodeHost>,
}

/// The core for Node's engine.
#[derive(Clone, Debug)]
pub struct NodeHost {
    script: PathBuf,
    core: PathBuf,
}

/// How long a program may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);

/// The oldest Node that is tried.
const NODE_MAJOR_MIN: u32 = 20;

impl Tools {
    /// Finds `qyvol` (at `qyvol`, or where `QYVOL_BIN` says) and builds the Node host if `node` is installed.
    ///
    /// # Errors
    ///
    /// When there is no such binary, or the Node host does not build.
    pub fn find(qyvol: Option<PathBuf>) -> Result<Self> {
        let qyvol = qyvol.or_else(|| env::var_os("QYVOL_BIN").map(PathBuf::from)).context(
            "`QYVOL_BIN` is not set; run these tests with `cargo xtask test`, which builds `qyvol` first",
        )?;
        ensure!(qyvol.is_file(), "`{}` is no file; run these tests with `cargo xtask test`", qyvol.display());
        Ok(Self { qyvol, node: NodeHost::build_if_possible()? })
    }

    /// Whether this backend can be used here, and why not.
    ///
    /// # Errors
    ///
    /// A sentence for a person.
    pub fn can_run(&self, backend: Backend) -> Result<()> {
        ensure!(
            backend != Backend::Node || self.node.is_some(),
            "`node` {NODE_MAJOR_MIN} or newer is not installed; the `node` backend is left out"
        );
        Ok(())
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or takes longer than any program here should.
    pub fn run(&self, backend: Backend, job: &Job) -> Result<Output> {
        let mut command = match (backend, &self.node) {
            (Backend::Node, Some(host)) => host.command(job),
            (Backend::Node, None) => bail!("`node` is not installed"),
            _ => self.qyvol(backend, job),
        };
        finish(&mut command, &job.stdin).with_context(|| format!("run {command:?}"))
    }

    fn qyvol(&self, backend: Backend, job: &Job) -> Command {
        let mut command = Command::new(&self.qyvol);
        command.arg("run");
        if !job.folders.is_empty() && backend != Backend::Diskfs {
            command.args(["--fs", backend.name()]);
        }
        for (name, value) in &job.limits {
            command.args(["--limit", &format!("{name}={value}")]);
        }
        if let Some(timeout) = &job.timeout {
            command.args(["--timeout", timeout]);
        }
        command.args(grants(job)).arg(&job.program).arg("--").args(&job.args);
        command
    }
}

/// The options that both hosts share.
fn grants(job: &Job) -> Vec<OsString> {
    let mut options = Vec::new();
    for (host, guest) in &job.folders {
        let mut grant = host.clone().into_os_string();
        grant.push("::");
        grant.push(guest);
        grant.push(if job.read_only { ":ro" } else { "" });
        options.extend(["--dir".into(), grant]);
    }
    for (name, value) in &job.env {
        options.extend(["--env".into(), format!("{name}={value}").into()]);
    }
    options
}

impl NodeHost {
    fn build_if_possible() -> Result<Option<Self>> {
        let Ok(version) = Command::new("node").arg("--version").output() else { return Ok(None) };
        let version = String::from_utf8_lossy(&version.stdout);
        let major =
            version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        if major.unwrap_or(0) < NODE_MAJOR_MIN {
            return Ok(None);
        }
        let folder = tests_folder().join("node-host");
        let target = target_folder().join("node-host");
        let core = target.join("wasm32-unknown-unknown/release/node_host.wasm");
        cargo_build(&folder, &target, &["--target", "wasm32-unknown-unknown"])?;
        Ok(Some(Self { script: folder.join("run.mjs"), core }))
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = Command::new("node");
        command.arg("--no-warnings").arg(&self.script).arg(&self.core);
        for (name, value) in &job.limits {
            command.args(["--limit", &format!("{name}={value}")]);
        }
        command.args(grants(job)).arg(&job.program).arg("--").args(&job.args);
        command
    }
}

/// The folder `tests` of the checkout.
pub(crate) fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where builds go: beside everything else that cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    let default = || tests_folder().parent().map(|root| root.join("target")).unwrap_or_default();
    env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}

/// Builds a workspace of its own, with nothing of the flags that this process was built with.
pub(crate) fn cargo_build(folder: &Path, target: &Path, options: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(folder)
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(target)
        .args(options)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .context("start `cargo build`")?;
    ensure!(
        status.success(),
        "`cargo build` in `{}` failed; `cargo xtask setup` installs the targets it needs",
        folder.display()
    );
    Ok(())
}

/// Runs a command to its end: input and both outputs at once, so that no pipe can fill up and block it.
fn finish(command: &mut Command, stdin: &[u8]) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start")?;
    let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let deadline = Instant::now() + PATIENCE;
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program may end without reading it all.
            let _ = input.map(|mut input| input.write_all(stdin));
        });
        let stdout = scope.spawn(move || all_of(stdout));
        let stderr = scope.spawn(move || all_of(stderr));
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("still running after {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(2));
        };
        let code = status.code().with_context(|| format!("ended by a signal: {status}"))?;
        let read = |stream: thread::ScopedJoinHandle<'_, _>| stream.join().unwrap_or_default();
        Ok(Output { code, stdout: read(stdout), stderr: read(stderr) })
    })
}

fn all_of(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    bytes
}
