//! Starting programs and finding folders.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The folder of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Whether this is CI, where nothing may be left out.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// The cargo that runs this program, at the root, with the arguments that stand in `line`.
pub(crate) fn cargo(line: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What is looked for in messages is English.
    command.current_dir(root()).args(line.split_whitespace()).env("LC_ALL", "C.UTF-8");
    command
}

/// A program with the arguments that stand in `line`, at the root.
pub(crate) fn program(name: &str, line: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).args(line.split_whitespace()).env("LC_ALL", "C.UTF-8");
    command
}

/// Prints a command, runs it and demands success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("start `{}`", shown(command)))?;
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// Runs a command quietly and returns its standard output, whatever its exit code.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("start `{}`", shown(command)))
}

/// What a command prints; an error when it fails.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {}", shown(command), errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program of the `PATH` is.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A command as a person would type it, with paths below the checkout made relative.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let root = format!("{}/", root().display());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().replace(&root, "")).collect();
    let line = words.join(" ");
    match command.get_program().to_str().and_then(|program| program.strip_suffix("/cargo")) {
        Some(_) => format!("cargo {}", words[1..].join(" ")),
        None => line,
    }
}
