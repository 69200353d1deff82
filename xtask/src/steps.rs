//! `cargo xtask test`: the steps, in order of how soon they can fail.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::shell::{cargo, is_ci, program, root, run as start, shown, target_folder};
use crate::{aarch64, demo, deny, fuzz, house, julia, links, setup};

/// What became of a step.
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It cannot run here, for this reason. In CI that is a failure.
    LeftOut(String),
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Outcome>,
}

const STEPS: [Step; 15] = [
    Step { name: "setup", what: "install what is missing", run: || passed(setup::all()) },
    Step { name: "format", what: "`rustfmt` has nothing to change", run: format },
    Step { name: "house", what: "crates depend on what they may know", run: || passed(house::check()) },
    Step { name: "links", what: "links in the documentation lead somewhere", run: || passed(links::check()) },
    Step { name: "clippy", what: "no warnings, in tests and guests too", run: clippy },
    Step { name: "core", what: "`core/*` builds for bare metal and for WebAssembly", run: core },
    Step { name: "tests", what: "all tests; guests on diskfs, memfs, overlay and Node", run: tests },
    Step {
        name: "polyglot",
        what: "every language keeps its contract, and no wrong host does",
        run: polyglot,
    },
    Step { name: "demo", what: "`cargo xtask demo` runs to its end", run: || passed(demo::run()) },
    Step { name: "julia", what: "a module as WasmTarget.jl makes them links and runs", run: julia::step },
    Step { name: "docs", what: "`rustdoc` has no warnings", run: docs },
    Step { name: "deny", what: "licences and sources of dependencies", run: || passed(deny::check()) },
    Step { name: "fuzz", what: "a short run of every fuzz target", run: || passed(fuzz::step()) },
    Step { name: "hosts", what: "what claims to be portable type-checks for Windows and macOS", run: hosts },
    Step { name: "aarch64", what: "cross-build; the preview-1 guests under `qemu-user`", run: aarch64::step },
];

/// The file system of the hosts that no test runs on is built and tested on Linux too.
const PORTABLE: &str = "--features qyvol-fs/portable";
/// The crates without an operating system.
const CORE: &str = "-p qyv-spec -p qyv-vfs -p qyv-wasi -p qyv-svc -p qyv-sched -p qyv-supervise";
/// The Rust SDK: beside WebAssembly it is built for this machine, where its tests and documentation are.
const SDK: &str = "guest/rust";
/// Apps that are built with it.
const EXAMPLE: &str = "examples/logger";
/// What is linked with modules of Julia's compilers.
const JULIA: &str = "guest/julia/wasmtarget";
/// Workspaces beside the main one, and the target that each is built for.
const OTHER_WORKSPACES: [(&str, &str); 12] = [
    (SDK, "wasm32-wasip1"),
    (SDK, "wasm32-wasip2"),
    ("tests/guests", "wasm32-wasip1"),
    ("tests/node-host", "wasm32-unknown-unknown"),
    ("host/engine/tests/guest-p2", "wasm32-wasip2"),
    ("host/cli/tests/guest-http", "wasm32-wasip2"),
    ("apps/words", "wasm32-wasip1"),
    (EXAMPLE, "wasm32-wasip1"),
    ("examples/hello-http", "wasm32-wasip2"),
    ("xtask/bench-guests", "wasm32-wasip1"),
    ("tests/polyglot/apps/rust", "wasm32-wasip1"),
    (JULIA, "wasm32-wasip1"),
];

/// Prints the steps.
pub(crate) fn list() {
    for step in &STEPS {
        println!("{:<8} {}", step.name, step.what);
    }
}

/// Runs all steps, or those that are named, and prints what became of each.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("there is no step `{unknown}`; `cargo xtask test --list` lists them");
    }
    let mut summary = Vec::new();
    let mut failed = 0;
    for step in STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)) {
        println!("\n==> {}: {}", step.name, step.what);
        let begin = Instant::now();
        let (word, reason) = match (step.run)() {
            Ok(Outcome::Passed) => ("passed", String::new()),
            Ok(Outcome::LeftOut(reason)) if !is_ci() => ("left out", reason),
            Ok(Outcome::LeftOut(reason)) => ("FAILED", format!("{reason}; CI leaves nothing out")),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        if word == "FAILED" {
            println!("error: {reason}");
            failed += 1;
        }
        summary.push((step.name, word, begin.elapsed(), reason));
    }
    println!("\n{:<8} {:<8} {:>8}", "step", "result", "seconds");
    for (name, word, time, reason) in &summary {
        println!("{name:<8} {word:<8} {:>8.1}  {reason}", time.as_secs_f64());
    }
    let total: Duration = summary.iter().map(|(_, _, time, _)| *time).sum();
    println!("{:<17} {:>8.1}", "all", total.as_secs_f64());
    ensure!(failed == 0, "{failed} of {} steps failed", summary.len());
    Ok(())
}

/// `cargo xtask wasi-testsuite`.
pub(crate) fn wasi_testsuite(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        println!(
            "`{}` is no folder; the public suite is left out. To run it, check out branch `prod/testsuite-base` of \
             github.com/WebAssembly/wasi-testsuite there",
            folder.display()
        );
        return Ok(());
    }
    let folder = folder.canonicalize()?;
    start(&mut cargo("build --locked --workspace --all-targets"))?;
    start(conformance().arg("suite").arg(folder))
}

/// The runner of guest programs, for the `qyvol` that was built beside it.
fn conformance() -> std::process::Command {
    let debug = target_folder().join("debug");
    let mut command = program(&debug.join("conformance").to_string_lossy(), "");
    command.env("QYVOL_BIN", debug.join("qyvol"));
    command
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn format() -> Result<Outcome> {
    start(&mut cargo("fmt --all --check"))?;
    for (folder, _) in OTHER_WORKSPACES.iter().chain(&[("core/spec/fuzz", "")]) {
        start(cargo("fmt --all --check --manifest-path").arg(root().join(folder).join("Cargo.toml")))?;
    }
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    start(&mut cargo(&format!(
        "clippy --locked --workspace {PORTABLE} --all-targets --quiet -- -D warnings"
    )))?;
    for (folder, target) in OTHER_WORKSPACES {
        let mut command = cargo("clippy --locked --quiet --release");
        command.current_dir(root().join(folder)).args(["--target", target, "--target-dir"]);
        start(command.arg(target_folder().join("clippy")).args(["--", "-D", "warnings"]))?;
    }
    for folder in [SDK, EXAMPLE] {
        let clippy = "clippy --locked --quiet --all-targets";
        start(native(folder, clippy).args(["--", "-D", "warnings"]))?;
    }
    Ok(Outcome::Passed)
}

/// A command for a workspace beside the main one, on this machine.
fn native(folder: &str, arguments: &str) -> std::process::Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join(folder)).arg("--target-dir").arg(target_folder().join("sdk"));
    command
}

fn core() -> Result<Outcome> {
    for target in ["x86_64-unknown-none", "wasm32-unknown-unknown"] {
        start(&mut cargo(&format!("build --locked --quiet {CORE} --target {target}")))?;
    }
    Ok(Outcome::Passed)
}

fn tests() -> Result<Outcome> {
    // With all targets the dependencies get the very features that `cargo test` gives them, so that wasmtime is
    // compiled once.
    start(&mut cargo(&format!("build --locked --quiet --workspace {PORTABLE} --all-targets")))?;
    let qyvol = target_folder().join("debug/qyvol");
    let test = format!("test --locked --quiet --workspace {PORTABLE} --no-fail-fast");
    start(cargo(&test).env("QYVOL_BIN", &qyvol))?;
    // All packages are selected, so that no dependency gets other features: one crate is compiled again.
    start(&mut cargo(&format!(
        "test --locked --quiet --workspace {PORTABLE} --features qyvold/otel --test otel"
    )))?;
    for folder in [SDK, EXAMPLE, JULIA] {
        start(&mut native(folder, "test --locked --quiet"))?;
    }
    // The tests use Node where it is; only this says that it was not.
    if let Some(missing) = setup::node_missing() {
        return Ok(Outcome::LeftOut(format!("the `node` backend, because {missing}")));
    }
    Ok(Outcome::Passed)
}

/// The exit code of `polyglot` when a language was left out, and nothing failed.
const LEFT_OUT: i32 = 3;

fn polyglot() -> Result<Outcome> {
    // As `tests` does, so that nothing is compiled twice.
    start(&mut cargo(&format!("build --locked --quiet --workspace {PORTABLE} --all-targets")))?;
    let debug = target_folder().join("debug");
    let mut left_out = false;
    for work in ["run --mutants --bundle rust", "sdks", "example"] {
        let mut command = program(&debug.join("polyglot").to_string_lossy(), work);
        command.env("QYVOL_BIN", debug.join("qyvol"));
        println!("$ {}", shown(&command));
        match command.status()?.code() {
            Some(0) => {}
            Some(LEFT_OUT) => left_out = true,
            _ => bail!("a contract app, a mutant, an SDK or the example did not do what it should"),
        }
    }
    if left_out {
        return Ok(Outcome::LeftOut("languages whose toolchains are missing".into()));
    }
    Ok(Outcome::Passed)
}

fn docs() -> Result<Outcome> {
    start(
        cargo("doc --locked --quiet --workspace --no-deps --document-private-items")
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    let sdk = "doc --locked --quiet --no-deps --document-private-items";
    start(native(SDK, sdk).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

fn hosts() -> Result<Outcome> {
    // What needs a Unix so far is not in the list: `qyvol-engine`, and `qyvol` with it. YAML is, the writer of bundles
    // is not: it brings a C library that would need a C compiler for Windows.
    let target = "--target x86_64-pc-windows-gnu";
    start(&mut cargo(&format!("check --locked --quiet {CORE} -p qyvol-fs {target}")))?;
    start(&mut cargo(&format!("check --locked --quiet -p qyv-spec --features std,yaml {target}")))?;
    // `qyv-spec` would need Apple's C compiler, for its hash.
    start(&mut cargo(
        "check --locked --quiet -p qyv-vfs -p qyv-wasi -p qyvol-fs --target aarch64-apple-darwin",
    ))?;
    Ok(Outcome::Passed)
}
