//! `qyvol build`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use serde_json::{Value, json};

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::output;
use crate::target::folder;

/// What Rust programs are compiled for.
const RUST_TARGET: &str = "wasm32-wasip1";

/// Compile an app's program (Rust, by cargo)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol build                 the app in this folder
  qyvol build tools/resize

Runs `cargo build --release --target wasm32-wasip1` and puts the program where the manifest's `entrypoint` says.")]
pub(crate) struct Build {
    /// The folder with the manifest and `Cargo.toml`
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Build {
    /// Compiles the program.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let manifest_path = folder::the_manifest(&self.folder)?;
        let manifest = folder::read_manifest(&manifest_path)?;
        let entrypoint = &manifest.entrypoint;
        if entrypoint.ending() != "wasm" {
            return Err(Failure::refused(format!("the entrypoint `{entrypoint}` is not compiled"))
                .hint(format!("`qyvol run {}` runs it as it is", manifest_path.display())));
        }
        if !self.folder.join("Cargo.toml").is_file() {
            return Err(Failure::refused(format!("`{}` holds no `Cargo.toml`", self.folder.display())).hint(
                format!("`build` knows Rust only: build `{entrypoint}` with your language's own tools"),
            ));
        }
        check_target(&self.folder)?;
        let built = cargo(&self.folder)?;
        let place = self.folder.join(entrypoint.as_str());
        let bytes = std::fs::read(&built).map_err(|error| Failure::at_path("read", &built, &error))?;
        atomic::write(&place, &bytes, Readers::Usual, Existing::Replaced)?;
        if self.json {
            output::json(&json!({ "name": manifest.name.as_str(), "program": place, "bytes": bytes.len() }))?;
        } else {
            let size = indicatif::HumanBytes(bytes.len() as u64);
            output::note(&format!("built `{}`, {size}", place.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what is missing before cargo says it in more words.
fn check_target(folder: &Path) -> Result<()> {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", RUST_TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| missing("rustc", &error))?;
    let library = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    if asked.status.success() && library.is_dir() {
        return Ok(());
    }
    Err(Failure::not_found(format!("Rust's standard library for `{RUST_TARGET}` is not installed"))
        .hint(format!("`rustup target add {RUST_TARGET}`")))
}

fn missing(program: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::not_found(format!("`{program}` is not installed"))
            .hint("install Rust: https://rustup.rs");
    }
    Failure::own(format!("cannot start `{program}`: {error}"))
}

/// Runs cargo, which shows its own progress and errors, and returns the one program that it made.
fn cargo(folder: &Path) -> Result<PathBuf> {
    let mut child = Command::new("cargo")
        .args(["build", "--release", "--target", RUST_TARGET, "--message-format=json-render-diagnostics"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| missing("cargo", &error))?;
    let mut programs = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| Failure::own(format!("cannot read from `cargo`: {error}")))?;
            programs.extend(program(&line));
        }
    }
    let status = child.wait().map_err(|error| Failure::own(format!("cannot wait for `cargo`: {error}")))?;
    if !status.success() {
        return Err(Failure::found("the program was not built; cargo says why above"));
    }
    match programs.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::refused("cargo built no program").hint("the package needs a `src/main.rs`")),
        several => {
            let names: Vec<_> = several.iter().map(|path| format!("`{}`", path.display())).collect();
            Err(Failure::refused(format!("cargo built several programs: {}", names.join(", ")))
                .hint("an app is one program: move the others to packages of their own"))
        }
    }
}

/// The program that a line of cargo's report names.
fn program(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let kinds = message["target"]["kind"].as_array()?;
    let names = message["filenames"].as_array()?;
    let wasm = names.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm"));
    wasm.filter(|_| kinds.iter().any(|kind| kind == "bin")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_count() {
        let line = |kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"]}},"filenames":["{file}"]}}"#
            )
        };
        assert_eq!(program(&line("bin", "/t/a.wasm")), Some(PathBuf::from("/t/a.wasm")));
        for other in [line("lib", "/t/a.wasm"), line("bin", "/t/a"), "{}".to_owned(), "Compiling".to_owned()]
        {
            assert_eq!(program(&other), None, "{other}");
        }
    }
}
