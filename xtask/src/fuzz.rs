//! The fuzz targets of `core/spec/fuzz`, run for a fixed number of inputs.
//!
//! They are compiled by the toolchain of the repository, with counters of coverage that its compiler offers, and linked
//! with libFuzzer. What cargo-fuzz would add, a sanitizer of addresses, needs a nightly compiler and finds nothing in
//! code without `unsafe`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::shell::{cargo, output, program, root, run, shown, target_folder};

/// Where the targets are, from the root.
const FOLDER: &str = "core/spec/fuzz";
/// Inputs that CI tries with each target: about twenty seconds for all, after a minute of building.
const RUNS: u64 = 50_000;
/// The only program besides the targets: it writes the inputs that they begin with.
const SEEDS: &str = "seeds";
/// Counters and traced comparisons, as libFuzzer reads them.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run this target only; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// Inputs to try with each target
    #[arg(long, default_value_t = RUNS)]
    runs: u64,
    /// Where the search begins; the same number finds the same inputs
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// The step of `cargo xtask test`: every target, always with the same inputs.
pub(crate) fn step() -> Result<()> {
    run_targets(&Options { targets: Vec::new(), runs: RUNS, seed: 1 })
}

/// `cargo xtask fuzz`. The seeds are written anew each time, so that a run can be repeated.
pub(crate) fn run_targets(options: &Options) -> Result<()> {
    let all = targets()?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`, but {}", all.join(", "));
    }
    let binaries = build()?;
    let work = target_folder().join("fuzz/work");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("remove `{}`", work.display()))?;
    }
    fs::create_dir_all(&work)?;
    let start = |name: &str| {
        let mut command = program(&binaries.join(name).to_string_lossy(), "");
        command.current_dir(&work);
        command
    };
    run(start(SEEDS).arg("-runs=0"))?;
    for target in all.iter().filter(|name| options.targets.is_empty() || options.targets.contains(name)) {
        let corpus = format!("corpus/{target}");
        ensure!(work.join(&corpus).is_dir(), "`{FOLDER}/seeds.rs` writes no seeds for `{target}`");
        let mut command = start(target);
        command.arg(format!("-runs={}", options.runs)).arg(format!("-seed={}", options.seed));
        // An input may take ten seconds and two gibibytes; more is a finding.
        command.args(["-timeout=10", "-rss_limit_mb=2048"]).arg(corpus);
        try_inputs(&mut command).with_context(|| format!("the input is in `{}`", work.display()))?;
    }
    Ok(())
}

/// Runs a target, and prints its last line of progress; all that it said when it found something.
fn try_inputs(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let output = output(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprint!("{said}");
        bail!("`{}` failed: {}", shown(command), output.status);
    }
    println!("{}", said.lines().rfind(|line| line.contains("DONE")).unwrap_or_default());
    Ok(())
}

/// Builds the targets and returns where they are.
fn build() -> Result<PathBuf> {
    // A target that is named keeps the flags from build scripts and macros.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = target_folder().join("fuzz");
    let mut command = cargo("build --locked --quiet --release --bins");
    command.args(["--manifest-path", &format!("{FOLDER}/Cargo.toml"), "--target", &target, "--target-dir"]);
    run(command.arg(&folder).env("RUSTFLAGS", COVERAGE))?;
    Ok(folder.join(target).join("release"))
}

/// The names of the targets, in order.
fn targets() -> Result<Vec<String>> {
    let folder: &Path = &root().join(FOLDER).join("fuzz_targets");
    let entries = fs::read_dir(folder).with_context(|| format!("read `{}`", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
