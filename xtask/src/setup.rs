//! `cargo xtask setup`: what the other commands need is installed where it is missing, and nothing is done silently.

mod debian;
mod languages;
mod rust;

use anyhow::{Result, bail};

use crate::{deny, shell};

pub(crate) use rust::guest_toolchain;

/// The oldest Node whose engine runs the core's tests.
const NODE_MAJOR_MIN: u32 = 20;

/// What is missing after an attempt to install it, and what is left out without it.
struct Missing {
    what: String,
    consequence: &'static str,
}

/// Installs everything. What is optional and missing is named; in CI that is an error.
pub(crate) fn all() -> Result<()> {
    let mut missing = Vec::new();
    missing.extend(rust::install());
    missing.extend(debian::install());
    missing.extend(languages::install());
    if let Err(error) = deny::install() {
        let what = format!("`cargo-deny` ({error:#})");
        missing.push(Missing { what, consequence: "`cargo xtask deny` cannot run" });
    }
    if let Some(what) = node_missing() {
        missing.push(Missing { what, consequence: "the `node` backend of the guests is left out" });
    }
    report(&missing)
}

/// Installs what the demo needs, and nothing more.
pub(crate) fn for_demo() -> Result<()> {
    report(&rust::install())
}

/// Why Node cannot be used here.
pub(crate) fn node_missing() -> Option<String> {
    let version = shell::text(&mut shell::program("node", "--version")).unwrap_or_default();
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    match major {
        Some(NODE_MAJOR_MIN..) => None,
        Some(major) => Some(format!("`node` is version {major}, older than {NODE_MAJOR_MIN}")),
        None => Some(format!("`node` {NODE_MAJOR_MIN} or newer is not installed")),
    }
}

fn report(missing: &[Missing]) -> Result<()> {
    for Missing { what, consequence } in missing {
        println!("setup: {what}: {consequence}");
    }
    if missing.is_empty() {
        println!("setup: everything is there");
    } else if shell::is_ci() {
        bail!("{} things are missing, and CI leaves nothing out", missing.len());
    }
    Ok(())
}
