//! `cargo xtask bench`: `qyvol` beside wasmtime, in alternating pairs; medians, and ratios ours / theirs.

mod daemon;
pub(crate) mod process;
mod report;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::setup;
use crate::shell::{cargo, root, run as start, target_folder, text, which};
use process::{Measured, measure};
use report::{Report, Unit};

/// The version that the table of `docs/performance.md` is made with.
const WASMTIME: &str = "48.";
/// What is measured at least as often as this says something about the runtimes and not about the machine's mood.
const PAIRS_MIN: usize = 30;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    of: Option<Of>,
    /// The wasmtime to compare with; by default the one in `PATH`
    #[arg(long, value_name = "FILE")]
    wasmtime: Option<PathBuf>,
    /// Measure this `qyvol` rather than a release build of this checkout
    #[arg(long, value_name = "FILE")]
    qyvol: Option<PathBuf>,
    /// Pairs of runs
    #[arg(long, default_value_t = PAIRS_MIN)]
    pairs: usize,
    /// Print one line of JSON in place of the table
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Of {
    /// Measure deployed apps: deploying, resting, talking, sharing, answering
    Daemon(daemon::Options),
}

/// One guest under both runtimes, and what its lines mean.
struct Contest {
    name: &'static str,
    guest: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    /// Whether the process is measured from outside, or the guest prints what it measured.
    outside: bool,
}

const CONTESTS: [Contest; 4] = [
    Contest { name: "process", guest: "bench_hello", ours: &[], theirs: &[], outside: true },
    Contest { name: "files", guest: "bench_fs", ours: &[], theirs: &[], outside: false },
    Contest {
        name: "compute",
        guest: "bench_compute",
        ours: &["--no-interruption"],
        theirs: &[],
        outside: false,
    },
    Contest {
        name: "compute, interruptible",
        guest: "bench_compute",
        ours: &[],
        // A time limit is what turns interruption points on.
        theirs: &["-W", "timeout=3600s"],
        outside: false,
    },
];

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(Of::Daemon(options)) = &options.of {
        return daemon::run(options);
    }
    let guests = build_guests()?;
    let qyvol = release_build(options.qyvol.as_deref())?;
    let wasmtime = find_wasmtime(options.wasmtime.as_deref())?;
    let scratch = tempfile::tempdir().context("make a folder to work in")?;
    let mut report = Report::new(options.pairs);
    for contest in &CONTESTS {
        let bench = Bench { contest, guests: &guests, scratch: scratch.path() };
        // Once unmeasured, so that both have compiled the guest and kept the result.
        let (ours, theirs) =
            (|| bench.ours(&qyvol), || wasmtime.as_deref().map(|path| bench.theirs(path)).transpose());
        ours()?;
        theirs()?;
        for pair in 0..options.pairs {
            // Who goes first changes, so that neither always finds the machine as the other left it.
            let (our, their) = if pair % 2 == 0 {
                let our = ours()?;
                (our, theirs()?)
            } else {
                let their = theirs()?;
                (ours()?, their)
            };
            bench.record(&mut report, &our, their.as_ref())?;
        }
    }
    if options.json {
        report.print_json();
    } else {
        report.print_table();
    }
    Ok(())
}

fn build_guests() -> Result<PathBuf> {
    let target = target_folder().join("bench-guests");
    start(&mut setup::guest_toolchain()?.build(&root().join("xtask/bench-guests"), &target))?;
    Ok(target.join("wasm32-wasip1/release"))
}

/// The `qyvol` that was named, or a release build of this checkout.
pub(crate) fn release_build(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(std::path::absolute(path)?);
    }
    start(&mut cargo("build --locked --release -p qyvol"))?;
    Ok(target_folder().join("release/qyvol"))
}

pub(crate) fn find_wasmtime(named: Option<&Path>) -> Result<Option<PathBuf>> {
    let Some(path) = named.map(Path::to_path_buf).or_else(|| which("wasmtime")) else {
        eprintln!(
            "there is no `wasmtime` in `PATH`: its column is left out; \
             `cargo install wasmtime-cli --locked --version 48.0.8` brings it"
        );
        return Ok(None);
    };
    let version = text(std::process::Command::new(&path).arg("--version"))?;
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    ensure!(number.starts_with(WASMTIME), "`{}` is version {number}, not {WASMTIME}x", path.display());
    Ok(Some(path))
}

struct Bench<'a> {
    contest: &'a Contest,
    guests: &'a Path,
    scratch: &'a Path,
}

impl Bench<'_> {
    fn ours(&self, program: &Path) -> Result<Measured> {
        self.start(program, self.contest.ours, &[])
    }

    fn theirs(&self, program: &Path) -> Result<Measured> {
        // Their cache is off unless it is asked for.
        self.start(program, self.contest.theirs, &["-C", "cache=y"])
    }

    /// Runs the guest with a fresh folder at `/`.
    fn start(&self, program: &Path, options: &[&str], more: &[&str]) -> Result<Measured> {
        let files = tempfile::tempdir_in(self.scratch)?;
        fs::write(files.path().join("hello.txt"), "hello\n")?;
        let mut command = std::process::Command::new(program);
        command.arg("run").args(options).args(more);
        command.arg("--dir").arg(format!("{}::/", files.path().display()));
        command.arg(self.guests.join(self.contest.guest).with_extension("wasm"));
        command.env("QYVOL_CACHE_DIR", self.scratch.join("cache")).env("XDG_CACHE_HOME", self.scratch);
        measure(&mut command)
    }

    fn record(&self, report: &mut Report, ours: &Measured, theirs: Option<&Measured>) -> Result<()> {
        if self.contest.outside {
            let milliseconds = |measured: &Measured| measured.wall.as_secs_f64() * 1e3;
            let mebibytes = |measured: &Measured| measured.memory_peak_kib as f64 / 1024.0;
            report.add(
                self.contest.name,
                "start to end",
                Unit::Milliseconds,
                milliseconds(ours),
                theirs.map(milliseconds),
            );
            report.add(
                self.contest.name,
                "peak memory",
                Unit::Mebibytes,
                mebibytes(ours),
                theirs.map(mebibytes),
            );
            return Ok(());
        }
        let theirs = theirs.map(lines).transpose()?;
        for (index, (name, our)) in lines(ours)?.into_iter().enumerate() {
            let their = theirs.as_ref().and_then(|lines| lines.get(index)).map(|(_, their)| *their);
            report.add(self.contest.name, &name, Unit::Nanoseconds, our, their);
        }
        Ok(())
    }
}

/// What a guest measured: `name nanoseconds` a line.
fn lines(measured: &Measured) -> Result<Vec<(String, f64)>> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ').with_context(|| format!("a guest printed `{line}`"))?;
        Ok((name.to_owned(), value.parse().with_context(|| format!("a guest printed `{line}`"))?))
    };
    measured.stdout.lines().map(line).collect()
}
