//! Julia by way of WasmTarget.jl: a module of the shape that it makes becomes a program that does what it should.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::setup;
use crate::shell::{cargo, output, program, root, run, target_folder};
use crate::steps::Outcome;

/// The version of Binaryen, which joins modules; npm's package of it needs nothing but Node.
const BINARYEN: &str = "132.0.0";
const FOLDER: &str = "guest/julia/wasmtarget";

/// The step of `cargo xtask test`.
pub(crate) fn step() -> Result<Outcome> {
    if let Some(missing) = setup::node_missing() {
        return Ok(Outcome::LeftOut(missing));
    }
    run(&mut cargo("build --locked --quiet -p qyvol"))?;
    let folder = root().join(FOLDER);
    let state = target_folder().join("julia");
    fs::create_dir_all(&state)?;
    let linked = state.join("sample.wasm");
    let mut link = program(&folder.join("link.sh").to_string_lossy(), "");
    link.env("WASM_MERGE", wasm_merge()?).env("CARGO_TARGET_DIR", target_folder().join("apps"));
    run(link.arg(folder.join("tests/sample.wat")).arg(&linked))?;

    let mut sample = program(&target_folder().join("debug/qyvol").to_string_lossy(), "run");
    sample
        .arg(linked)
        .env("QYVOL_CACHE_DIR", state.join("cache"))
        .env("QYVOL_CONFIG_DIR", state.join("config"));
    let done = output(&mut sample)?;
    let wanted = fs::read(folder.join("tests/sample.out")).context("read what the sample should print")?;
    let (printed, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.stdout == wanted, "the sample of `{FOLDER}` prints\n{printed}{errors}");
    ensure!(
        done.status.code() == Some(1) && errors.contains("an exception of Julia was not caught"),
        "the sample of `{FOLDER}` ends with {}: {errors}",
        done.status
    );
    Ok(Outcome::Passed)
}

/// Installs Binaryen into `target/tools` when it is not there.
fn wasm_merge() -> Result<PathBuf> {
    let folder = target_folder().join("tools").join(format!("binaryen-{BINARYEN}"));
    let program_of_it = folder.join("node_modules/binaryen/bin/wasm-merge");
    if !program_of_it.is_file() {
        let mut npm = program("npm", "install --silent --no-save --no-audit --no-fund --ignore-scripts");
        run(npm.arg("--prefix").arg(&folder).arg(format!("binaryen@{BINARYEN}")))?;
    }
    Ok(program_of_it)
}
