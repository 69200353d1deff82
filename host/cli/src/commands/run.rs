//! `qyvol run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use qyv_spec::grants::{Allow, Bind};

use crate::run::options::{Directory, LimitOption, MemoryMount, duration, variable};

/// Run an app
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol run hello.wasm                            standard streams and nothing else
  qyvol run . -- --help                           the app of the manifest in this folder
  qyvol run tool.wasm --dir data::/data:ro --mem /tmp:64MiB
  qyvol run app.qyvbin --bind inbox=/srv/in:ro --grant net
  qyvol run app.qyv --timeout 30s --limit memory=64MiB --status-file status.json")]
pub(crate) struct Run {
    /// A `.qyv`, `.qyvbin`, `.wasm` or `.wat` file, or a folder with one manifest
    pub(crate) app: PathBuf,
    /// Arguments of the app
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,

    /// Show a folder of this host to the app
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro]", help_heading = "Files")]
    pub(crate) directories: Vec<Directory>,
    /// Give the app a folder in memory; its size counts against `limits.memory`
    #[arg(long = "mem", value_name = "GUEST[:SIZE]", help_heading = "Files")]
    pub(crate) memory: Vec<MemoryMount>,
    /// Bind a slot of the manifest to a path of this host
    #[arg(long, value_name = "SLOT=HOST[:ro]", help_heading = "Files")]
    pub(crate) bind: Vec<Bind>,
    /// How folders given with `--dir` are shown: in place, loaded into memory, or with changes kept in memory
    #[arg(long, value_name = "HOW", value_enum, default_value_t, help_heading = "Files")]
    pub(crate) fs: Show,

    /// Set an environment variable of the app, or hand over one of this process
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable, help_heading = "Rights and limits")]
    pub(crate) environment: Vec<(String, String)>,
    /// Grant what the app asks for: `all`, `net`, an address, …
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', help_heading = "Rights and limits")]
    pub(crate) grant: Vec<Allow>,
    /// Change a limit: memory, stack, fds, disk, inodes, cpu, `cpu_time`, wall
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Rights and limits")]
    pub(crate) limit: Vec<LimitOption>,
    /// End the app after this time (exit code 124)
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Rights and limits")]
    pub(crate) timeout: Option<Duration>,
    /// Run a bundle that nobody signed
    #[arg(long, help_heading = "Rights and limits")]
    pub(crate) allow_unsigned: bool,

    /// Give up compiling after this time
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "120s", help_heading = "Engine")]
    pub(crate) compile_timeout: Duration,
    /// Compile without interruption points: loops are up to 10 % faster, and a timeout or Ctrl-C ends the app without a
    /// backtrace
    #[arg(long, help_heading = "Engine")]
    pub(crate) no_interruption: bool,

    /// Write how the run ended to this file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) status_file: Option<PathBuf>,
    /// Report how the run ended as one line of JSON on standard error
    #[arg(long, help_heading = "Reports")]
    pub(crate) json: bool,
    /// Write a core dump to this file when the app traps
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) coredump: Option<PathBuf>,
    /// Pass every byte to the terminal, control sequences too
    #[arg(long, help_heading = "Reports")]
    pub(crate) raw: bool,
}

/// How a folder of the host is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// In place: changes are changes of the folder
    #[default]
    Disk,
    /// Loaded into memory: changes are lost at the end
    Memfs,
    /// In place, with changes kept in memory and lost at the end
    Overlay,
}

impl From<Show> for qyvol_launch::Show {
    fn from(show: Show) -> Self {
        match show {
            Show::Disk => Self::Disk,
            Show::Memfs => Self::Memory,
            Show::Overlay => Self::Overlay,
        }
    }
}

impl Run {
    /// Runs the app; the exit code says how it went.
    pub(crate) fn execute(&self) -> ExitCode {
        crate::run::execute(self)
    }
}
