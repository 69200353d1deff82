//! `qyvol inspect`.

pub(crate) mod deployed;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::App;
use qyv_spec::app::{AppLimits, Hash};
use qyv_spec::bundle::{ModuleKind, verify};
use qyv_spec::service::Name;
use serde_json::{Value, json};

use crate::commands::pack::file_list;
use crate::commands::verify::{signatures, word};
use crate::failure::{Failure, Result};
use crate::output;
use crate::target::{self, Accept, Found, bundle};

/// Show what an app is, what it reaches for, and who signed it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol inspect app.qyvbin
  qyvol inspect . --json

Nothing is run, and nobody's signature is needed.")]
pub(crate) struct Inspect {
    /// A `.qyv`, `.qyvbin`, `.wasm` or `.wat` file, a folder with one manifest, or the name of a deployed app
    app: PathBuf,
    /// Report as one line of JSON; `app` is the whole resolved app
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Shows it.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let deployed = if self.app.exists() { None } else { self.name() };
        let report = match deployed {
            Some(name) => deployed::of_name(&name)?,
            None => self.of_file()?,
        };
        if self.json {
            output::json(&report.0)?;
        } else {
            output::data(&report.1)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What was typed, when it can be the name of an app.
    fn name(&self) -> Option<Name> {
        self.app.to_str()?.parse().ok()
    }

    fn of_file(&self) -> Result<Report> {
        Ok(match target::find(&self.app)? {
            Found::Module => of_module(&self.app)?,
            Found::Manifest(manifest) => {
                let app = target::folder::project(&manifest)?.app;
                of_app(&app, json!({ "kind": "project" }))?
            }
            Found::Bundle => of_bundle(&self.app)?,
        })
    }
}

/// A report for programs, and the same for people.
type Report = (Value, String);

fn of_module(path: &Path) -> Result<Report> {
    let target = target::open(path, Accept::default())?;
    let bytes = target.program.bytes()?;
    let kind = match ModuleKind::of(&bytes) {
        Some(ModuleKind::Core) => "module",
        Some(ModuleKind::Component) => "component",
        None => return Err(Failure::refused(format!("`{}` is not WebAssembly", path.display()))),
    };
    let hash = Hash(target.program.hash).to_string();
    let value = json!({ "kind": kind, "size": bytes.len(), "blake3": hash });
    Ok((value, format!("kind    {kind}\nsize    {} bytes\nblake3  {hash}\n", bytes.len())))
}

fn of_bundle(path: &Path) -> Result<Report> {
    let opened = bundle::read(path)?;
    let store = bundle::trust_store()?;
    let verdict = verify(&opened.bundle, opened.app.name.as_str(), &store);
    let signatures = signatures(&opened, &store);
    let id = Hash(*opened.bundle.id()).to_string();
    let mut signed = format!("id      {id}\ntrust   {}\n", word(&verdict));
    for signature in signatures.as_array().into_iter().flatten() {
        let key = signature["key"].as_str().unwrap_or_default();
        let what = match (signature["revoked"] == true, signature["known"] == true) {
            (true, _) => "revoked",
            (false, true) => "known",
            (false, false) => "unknown",
        };
        let _ = writeln!(signed, "signed  by {key} ({what})");
    }
    let more = json!({
        "kind": "bundle",
        "id": id,
        "verdict": word(&verdict),
        "signatures": signatures,
        "writer_version": opened.bundle.writer_version(),
    });
    let (value, text) = of_app(&opened.app, more)?;
    Ok((value, signed + &text))
}

fn of_app(app: &App, mut value: Value) -> Result<Report> {
    let requests = app.requests();
    value["name"] = app.name.as_str().into();
    value["version"] = app.version.to_string().into();
    value["requests"] = requests.lines().into();
    value["app"] = serde_json::from_slice(&app.to_json()).map_err(Failure::own)?;

    let mut text = format!("app     {} {}\n", app.name, app.version);
    let about = [("about   ", &app.description), ("license ", &app.license), ("language ", &app.language)];
    for (label, line) in about {
        if let Some(line) = line {
            let _ = writeln!(text, "{label}{line}");
        }
    }
    let _ = writeln!(text, "type    {}", app.kind.word());
    let _ = writeln!(text, "program {}", app.entrypoint);
    let _ = writeln!(text, "files   {}\n{}", app.files.len(), file_list(app).trim_end());
    if requests.0.is_empty() {
        text.push_str("reaches for nothing\n");
    } else {
        text.push_str("reaches for\n");
    }
    for line in requests.lines() {
        let _ = writeln!(text, "        {line}");
    }
    text.push_str(&limits(&app.limits));
    Ok((value, text))
}

fn limits(limits: &AppLimits) -> String {
    let bytes = |bytes: u64| indicatif::BinaryBytes(bytes).to_string();
    let milliseconds = |limit: Option<u64>| limit.map(|limit| format!("{limit} ms"));
    let list = [
        ("memory", Some(bytes(limits.memory))),
        ("stack", Some(bytes(limits.stack))),
        ("descriptors", Some(limits.fds.to_string())),
        ("processors", limits.cpu_milli.map(|milli| format!("{}.{:03}", milli / 1000, milli % 1000))),
        ("processor time", milliseconds(limits.cpu_time_ms)),
        ("time", milliseconds(limits.wall_ms)),
        ("volume", Some(format!("{}, {} files", bytes(limits.disk), limits.inodes))),
    ];
    let mut text = String::from("at most\n");
    for (name, limit) in list {
        if let Some(limit) = limit {
            let _ = writeln!(text, "        {name} {limit}");
        }
    }
    text
}
