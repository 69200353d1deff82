//! A contract app, built, with the files and manifests that the harness gives it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::check::Check;
use crate::expected::FIXED;
use crate::languages::Language;
use crate::places;
use crate::qyvol::Qyvol;

/// The module's name, beside its manifests.
const MODULE: &str = "polyglot.wasm";
/// The exit code of `qyvol build` when a toolchain is missing, and of `env` when a program is.
const ABSENT: i32 = 127;

/// An app that can be run.
#[derive(Clone, Debug)]
pub struct App {
    /// Its language.
    pub language: Language,
    folder: PathBuf,
}

/// What became of a build.
#[derive(Debug)]
pub enum Built {
    /// The app.
    Ready(Box<App>),
    /// The toolchain is not there, in words.
    Absent(String),
}

/// Builds the app of a language.
///
/// # Errors
///
/// When it does not compile.
pub fn build(language: &Language, qyvol: &Qyvol) -> Result<Built> {
    let app =
        App { language: language.clone(), folder: places::target().join("polyglot").join(&language.name) };
    fs::create_dir_all(app.folder.join("texts"))?;
    let module = match (&language.build, &language.module) {
        (Some(line), Some(module)) => {
            let target = places::target().join("polyglot/build").join(&language.name);
            let place = |text: &str| text.replace("@TARGET@", &target.display().to_string());
            if let Some(absent) = run_line(&place(line), &language.folder())? {
                return Ok(Built::Absent(absent));
            }
            language.folder().join(place(module))
        }
        _ => {
            let source = language.folder();
            fs::write(source.join("polyglot.qyv"), app.manifest(None))?;
            if let Some(absent) = qyvol_build(qyvol, &source)? {
                return Ok(Built::Absent(absent));
            }
            source.join(MODULE)
        }
    };
    fs::copy(&module, app.module()).with_context(|| format!("the build made no `{}`", module.display()))?;
    fs::write(app.folder.join("texts/fixed.txt"), FIXED)?;
    for check in [None, Some(Check::Dial), Some(Check::Serve), Some(Check::Refused)] {
        fs::write(app.manifest_file(check), app.manifest(check))?;
    }
    Ok(Built::Ready(Box::new(app)))
}

impl App {
    /// The module.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.folder.join(MODULE)
    }

    /// The packaged file `texts/fixed.txt` is in here.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest of a check that needs services, or of all others.
    #[must_use]
    pub fn manifest_file(&self, check: Option<Check>) -> PathBuf {
        self.folder.join(check.map_or("polyglot", Check::name)).with_extension("qyv")
    }

    /// The name of the app in a manifest.
    #[must_use]
    pub fn name(&self, check: Option<Check>) -> String {
        let language = &self.language.name;
        check.map_or_else(|| format!("polyglot-{language}"), |check| format!("polyglot-{language}-{check}"))
    }

    fn manifest(&self, check: Option<Check>) -> String {
        let (net, services) = match check {
            Some(Check::Dial | Check::Refused) => {
                ("{connect: [\"service://polyglot-echo\", \"service://polyglot-frames\"]}", "[]")
            }
            Some(Check::Serve) => ("false", "[{name: polyglot-served}]"),
            _ => ("false", "[]"),
        };
        include_str!("../manifest.qyv")
            .replace("@NAME@", &self.name(check))
            .replace("@LANGUAGE@", &self.language.name)
            .replace("@ENTRYPOINT@", MODULE)
            .replace("@NET@", net)
            .replace("@SERVICES@", services)
    }
}

/// Runs a command line; its program's absence in words.
fn run_line(line: &str, folder: &Path) -> Result<Option<String>> {
    let mut words = line.split_whitespace();
    let program = words.next().context("a `build` is empty")?;
    let mut command = clean(Command::new(program));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    match command.status() {
        // `env`, where it does not find the program.
        Ok(status) if status.code() == Some(ABSENT) => {
            Ok(Some(format!("`{line}` names a program that is not installed")))
        }
        Ok(status) => {
            ensure!(status.success(), "`{line}` failed: {status}");
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Some(format!("`{program}` is not installed")))
        }
        Err(error) => Err(error).with_context(|| format!("start `{line}`")),
    }
}

pub(crate) fn qyvol_build(qyvol: &Qyvol, folder: &Path) -> Result<Option<String>> {
    let mut command = clean(qyvol.build(folder));
    let output = command.stdin(Stdio::null()).output().context("start `qyvol build`")?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(ABSENT) {
        return Ok(Some(words));
    }
    ensure!(output.status.success(), "`qyvol build {}` failed: {words}", folder.display());
    Ok(None)
}

/// Without what this process was built with.
fn clean(mut command: Command) -> Command {
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}

/// Builds the guests that are the other side of services.
pub(crate) fn build_guests() -> Result<PathBuf> {
    let target = places::target().join("guests");
    let line =
        "cargo build --quiet --locked --release --target wasm32-wasip1 --package guests-svc --target-dir";
    let line = format!("{line} {}", target.display());
    if let Some(absent) = run_line(&line, &places::root().join("tests/guests"))? {
        anyhow::bail!("{absent}");
    }
    Ok(target.join("wasm32-wasip1/release"))
}
