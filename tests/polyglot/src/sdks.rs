//! The tests of the SDKs, which are programs for WebAssembly themselves.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::places;
use crate::process;
use crate::qyvol::{PATIENCE, Qyvol};
use crate::stage::qyvol_build;

/// Those whose tests are an app, in `guest/<language>/tests`. (Rust's are run by cargo.)
const APPS: [&str; 3] = ["c", "nim", "kotlin"];

/// Builds the tests of the SDKs and runs them; which toolchains are not there, in words.
///
/// # Errors
///
/// When one does not build, or a test of it fails.
pub fn sdks(qyvol: &Qyvol) -> Result<Vec<String>> {
    let mut absent = Vec::new();
    for language in APPS {
        let folder = places::root().join("guest").join(language).join("tests");
        match qyvol_build(qyvol, &folder)? {
            Some(why) => absent.push(why),
            None => run(qyvol, language, &folder.join("tests.qyv"), &[])?,
        }
    }
    match go()? {
        Some(why) => absent.push(why),
        None => run(qyvol, "go", &go_module(), &["-test.v"])?,
    }
    Ok(absent)
}

fn go_module() -> std::path::PathBuf {
    places::target().join("polyglot/sdk-go.wasm")
}

/// Go's tests are a program that its own command builds; its absence in words.
fn go() -> Result<Option<String>> {
    let mut build = Command::new("go");
    build
        .args(["test", "-c", "-o"])
        .arg(go_module())
        .arg("./qyv")
        .current_dir(places::root().join("guest/go"));
    build.env("GOOS", "wasip1").env("GOARCH", "wasm").stdin(Stdio::null());
    match build.status() {
        Ok(status) => {
            ensure!(status.success(), "`go test -c ./qyv` failed in `guest/go`");
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some("`go` is not installed".into()))
        }
        Err(error) => Err(error).context("start `go`"),
    }
}

fn run(qyvol: &Qyvol, language: &str, app: &Path, arguments: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = qyvol.command(folder.path());
    command.arg("run").arg(app).arg("--").args(arguments);
    let ran = process::run(&mut command, b"", false, PATIENCE)?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(ran.code == Some(0), "the tests of the SDK for {language} failed:\n{said}\n{}", ran.errors());
    println!("{language}: the tests of the SDK passed: {}", said.lines().last().unwrap_or_default());
    Ok(())
}
