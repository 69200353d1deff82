//! cargo-deny: licences and sources of the dependencies; advisories where the network is.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{cargo, program, run, target_folder, text};

/// The version whose messages and configuration `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Everything that can be checked without the network.
pub(crate) fn check() -> Result<()> {
    install()?;
    run(&mut program(
        &binary().to_string_lossy(),
        "--locked check --hide-inclusion-graph bans licenses sources",
    ))
}

/// Known vulnerabilities: fetches the public database.
pub(crate) fn audit() -> Result<()> {
    install()?;
    run(&mut program(&binary().to_string_lossy(), "--locked check advisories"))
}

/// Builds cargo-deny into `target/tools` when it is not there.
pub(crate) fn install() -> Result<()> {
    let version = text(&mut program(&binary().to_string_lossy(), "--version")).unwrap_or_default();
    if version.split_whitespace().last() == Some(VERSION) {
        return Ok(());
    }
    println!("setup: building `cargo-deny` {VERSION} into `target/tools`, once; about a minute");
    let tools = target_folder().join("tools");
    // Without optimisation: it takes a third of the time, and the program runs for a second.
    let mut command = cargo(&format!("install --locked --quiet --debug cargo-deny --version {VERSION}"));
    run(command.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build")))
}

fn binary() -> PathBuf {
    target_folder().join("tools/bin/cargo-deny")
}
