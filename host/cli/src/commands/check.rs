//! `qyvol check`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::bundle::Verdict;
use qyv_spec::yaml::{MANIFEST_BYTES_MAX, ManifestErrors};
use qyv_spec::{App, Manifest};
use serde_json::{Value, json};

use crate::caps;
use crate::failure::{Code, Failure, Result};
use crate::look::{self, Look};
use crate::output;
use crate::target::{self, Found};

/// Say everything that is wrong with an app, and what it asks for
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing wrong, 1 something wrong, 127 not found

Examples:
  qyvol check app.qyv
  qyvol check . --json | jq '.problems[] | .line, .message'")]
pub(crate) struct Check {
    /// A `.qyv`, `.qyvbin`, `.wasm` or `.wat` file, or a folder with one manifest
    app: PathBuf,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Something wrong: with its place when it is a mistake in the text of a manifest.
struct Problem {
    message: String,
    mend: Option<String>,
    place: Option<(usize, usize)>,
}

/// What was found.
#[derive(Default)]
struct Findings {
    /// The mistakes in the manifest's text, as they are shown to people.
    rendered: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    /// What the app asks of the operator.
    requests: Vec<String>,
    /// What it needs that is not available here yet.
    unavailable: Vec<String>,
    /// Its name and version.
    app: Option<(String, String)>,
}

impl Check {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let findings = findings(&self.app)?;
        if self.json {
            output::json(&findings.json())?;
        } else {
            findings.print(&self.app)?;
        }
        Ok(if findings.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Code::Found as u8) })
    }
}

fn findings(path: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    if let Found::Manifest(manifest) = target::find(path)?
        && let Err(errors) = read(&manifest)?
    {
        findings.take_errors(&errors);
        return Ok(findings);
    }
    let look = match Look::at(path) {
        Ok(look) => look,
        // What cannot be read at all is no finding.
        Err(failure) if failure.code == Code::Own => return Err(failure),
        Err(failure) => {
            findings.take_failure(&failure);
            return Ok(findings);
        }
    };
    if let Some(app) = &look.app {
        findings.take_app(app);
    }
    if let Some(verdict) = &look.verdict {
        findings.take_verdict(verdict);
    }
    if let Some(wasm) = &look.wasm {
        findings.take_program(path, wasm, look.app.as_ref());
    }
    Ok(findings)
}

/// Reads a manifest, telling mistakes in it from not being able to read it.
fn read(manifest: &Path) -> Result<std::result::Result<Manifest, ManifestErrors>> {
    let bytes = target::read_bounded(manifest, MANIFEST_BYTES_MAX as u64, "a manifest")?;
    Ok(Manifest::from_yaml_bytes(&bytes, &manifest.display().to_string()))
}

impl Findings {
    fn take_errors(&mut self, errors: &ManifestErrors) {
        self.problems.extend(errors.errors.iter().map(|error| Problem {
            message: error.message.clone(),
            mend: Some(error.mend.clone()),
            place: Some((error.line, error.column)),
        }));
        self.rendered = Some(output::manifest_errors(errors));
    }

    fn take_failure(&mut self, failure: &Failure) {
        let mend = (!failure.hints.is_empty()).then(|| failure.hints.join("; "));
        self.problem(failure.message.trim_end(), mend);
    }

    fn problem(&mut self, message: impl Into<String>, mend: Option<String>) {
        self.problems.push(Problem { message: message.into(), mend, place: None });
    }

    fn take_app(&mut self, app: &App) {
        self.app = Some((app.name.to_string(), app.version.to_string()));
        self.requests = app.requests().lines();
        self.unavailable = app.unavailable(&crate::run::FEATURES).iter().map(ToString::to_string).collect();
        if let Err(problems) = app.check_portable() {
            self.warnings.extend(problems.iter().map(|problem| format!("{problem} (before it is packed)")));
        }
    }

    fn take_verdict(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Trusted { .. } => {}
            Verdict::Unsigned => self.warnings.push("it is not signed: `qyvol sign` signs it".into()),
            Verdict::Unbound { .. } => self.warnings.push(
                "it is signed by a key that you do not trust for its name: `qyvol trust add` trusts it"
                    .into(),
            ),
            Verdict::Revoked { key } => {
                self.problem(format!("it is signed by a key that was revoked: {}", key.id()), None);
            }
            Verdict::BadSignature { key } => {
                self.problem(format!("a signature of key {key} does not fit: it was changed"), None);
            }
        }
    }

    fn take_program(&mut self, path: &Path, wasm: &[u8], app: Option<&App>) {
        let place = look::program_of(path, app);
        let scan = match look::outline(&place, wasm) {
            Ok(scan) => scan,
            Err(failure) => return self.take_failure(&failure),
        };
        let verdict = caps::verdict(&scan);
        if let Some(sign) = &verdict.sign {
            let message = format!("{place} is built for {}: {sign}", verdict.world.name());
            self.problem(message, verdict.world.mend().map(str::to_owned));
        } else if let Some(entry) = look::missing_entry(&scan) {
            self.problem(format!("there is nothing to run in {place}: {entry}"), None);
        }
        let unused = app.map(|app| caps::unused(&scan, app)).unwrap_or_default();
        self.warnings.extend(
            unused
                .iter()
                .map(|unused| format!("`{}` is asked for and never used: {}", unused.key, unused.why)),
        );
    }

    fn json(&self) -> Value {
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| {
                json!({
                    "message": problem.message,
                    "mend": problem.mend,
                    "line": problem.place.map(|(line, _)| line),
                    "column": problem.place.map(|(_, column)| column),
                })
            })
            .collect();
        json!({
            "check": 1,
            "ok": self.problems.is_empty(),
            "name": self.app.as_ref().map(|(name, _)| name),
            "version": self.app.as_ref().map(|(_, version)| version),
            "problems": problems,
            "warnings": self.warnings,
            "requests": self.requests,
            "unavailable": self.unavailable,
            "runs_here": self.problems.is_empty() && self.unavailable.is_empty(),
        })
    }

    /// Problems go to standard error, what was learnt to standard output.
    fn print(&self, path: &Path) -> Result<()> {
        if let Some(rendered) = &self.rendered {
            let failure = Failure::found(rendered);
            output::failure(&failure);
        } else {
            for problem in &self.problems {
                let failure = Failure::found(&problem.message);
                let failure = problem.mend.iter().fold(failure, Failure::hint);
                output::failure(&failure);
            }
        }
        for warning in &self.warnings {
            output::warning(warning);
        }
        output::told(&self.text(path))
    }

    fn text(&self, path: &Path) -> String {
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        match (&self.app, self.problems.is_empty()) {
            (Some((name, version)), true) => line(format_args!("`{name}` {version}: nothing wrong")),
            (None, true) => line(format_args!("`{}`: nothing wrong", path.display())),
            (_, false) => {}
        }
        if !self.requests.is_empty() {
            line(format_args!("It asks to:"));
            self.requests.iter().for_each(|request| line(format_args!("  {request}")));
        }
        if !self.unavailable.is_empty() {
            line(format_args!("It needs what is not available here yet, so `qyvol run` refuses it:"));
            self.unavailable.iter().for_each(|missing| line(format_args!("  {missing}")));
        }
        text
    }
}
