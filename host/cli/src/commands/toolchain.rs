//! `qyvol toolchain`.

use std::path::Path;
use std::process::ExitCode;

use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand};
use qyvol_toolchain::{Host, Language, Part, State, Version, install, parts, wasm_opt};
use serde_json::{Value, json};

use crate::building::{self, Shown};
use crate::failure::{Code, Result};
use crate::output;
use crate::table::{Cell, Table};

/// Look after the tools that languages are built with
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol toolchain list
  qyvol toolchain install go nim
  qyvol toolchain doctor kotlin")]
pub(crate) struct Toolchain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the languages, and whether each can be built here
    #[command(after_help = "Examples:
  qyvol toolchain list
  qyvol toolchain list --json | jq '.languages[] | select(.ready).language'")]
    List {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Install what languages need, by rustup, apt-get, Maven and their like
    #[command(after_help = "Examples:
  qyvol toolchain install nim
  qyvol toolchain install rust c nim kotlin go julia

Every command is shown. Packages of the system need root or `sudo`; without either, and on systems without `apt-get`, it says
what to install. What is there already is left alone.")]
    Install {
        /// The languages
        #[arg(value_name = "LANGUAGE", required = true, value_parser = one())]
        languages: Vec<Language>,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what building needs, what of it is missing, and how to mend that
    #[command(after_help = "Exit codes: 0 nothing is missing, 1 something is

Examples:
  qyvol toolchain doctor
  qyvol toolchain doctor c --json | jq .languages[0].parts")]
    Doctor {
        /// The languages; by default all
        #[arg(value_name = "LANGUAGE", value_parser = one())]
        languages: Vec<Language>,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
}

fn one() -> impl clap::builder::TypedValueParser<Value = Language> {
    building::languages().try_map(|word| word.parse::<Language>())
}

impl Toolchain {
    /// Looks, or installs.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let host = Host::of_process();
        match &self.what {
            What::List { json } => list(&host, *json),
            What::Install { languages, json } => installed(languages, &host, *json),
            What::Doctor { languages, json } if languages.is_empty() => doctor(&Language::ALL, &host, *json),
            What::Doctor { languages, json } => doctor(languages, &host, *json),
        }
    }
}

/// What a language needs here, and whether a program can be built.
struct Looked {
    language: Language,
    parts: Vec<Part>,
}

impl Looked {
    fn at(languages: &[Language], host: &Host) -> Vec<Self> {
        let look =
            |language: &Language| Self { language: *language, parts: parts(*language, host, Path::new(".")) };
        languages.iter().map(look).collect()
    }

    fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.is_found() || part.optional.is_some())
    }

    fn json(&self, host: &Host) -> Value {
        json!({
            "language": self.language.name(),
            "ready": self.is_ready(),
            "parts": self.parts.iter().map(|part| part_json(part, host)).collect::<Vec<_>>(),
        })
    }
}

fn part_json(part: &Part, host: &Host) -> Value {
    let (state, path, version) = match &part.state {
        State::Found { path, version } => ("found", Some(path), *version),
        State::Old { path, version } => ("old", Some(path), Some(*version)),
        State::Absent => ("absent", None, None),
    };
    json!({
        "part": part.name,
        "wanted": part.wanted,
        "state": state,
        "version": version.as_ref().map(Version::to_string),
        "path": path,
        "optional": part.optional,
        "mend": (!part.is_found()).then(|| part.mend_line(host)),
    })
}

fn list(host: &Host, json: bool) -> Result<ExitCode> {
    let looked = Looked::at(&Language::ALL, host);
    if json {
        output::json(&whole("list", &looked, host))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["LANGUAGE", "STATE", "TOOLS"]);
    for one in &looked {
        let tools: Vec<String> = one.parts.iter().filter_map(version).collect();
        let state = if one.is_ready() { "ready" } else { "missing" };
        table.row([one.language.name().into(), Cell::of_state(state, state), tools.join(", ").into()]);
    }
    output::table(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// A part that says which version it is.
fn version(part: &Part) -> Option<String> {
    match &part.state {
        State::Found { version: Some(version), .. } => Some(format!("{} {version}", part.name)),
        State::Old { version, .. } => Some(format!("{} {version} (too old)", part.name)),
        _ => None,
    }
}

fn whole(command: &str, looked: &[Looked], host: &Host) -> Value {
    json!({
        "toolchain": 1,
        "command": command,
        "languages": looked.iter().map(|one| one.json(host)).collect::<Vec<_>>(),
        "wasm_opt": part_json(&wasm_opt(host), host),
    })
}

fn doctor(languages: &[Language], host: &Host, json: bool) -> Result<ExitCode> {
    let looked = Looked::at(languages, host);
    let ready = looked.iter().all(Looked::is_ready);
    if json {
        output::json(&whole("doctor", &looked, host))?;
    } else {
        let mut table = Table::new(["LANGUAGE", "PART", "WANTED", "HERE", "MEND"]);
        let rows =
            looked.iter().flat_map(|one| one.parts.iter().map(|part| (one.language.name(), part.clone())));
        for (name, part) in rows.chain([("all", wasm_opt(host))]) {
            let here = match (&part.state, part.optional) {
                (State::Found { version: Some(version), .. } | State::Old { version, .. }, _) => {
                    version.to_string()
                }
                (State::Found { .. }, _) => "yes".to_owned(),
                (State::Absent, None) => "missing".to_owned(),
                (State::Absent, Some(what)) => format!("missing, for {what}"),
            };
            let mend = if part.is_found() { String::new() } else { part.mend_line(host) };
            table.row([name.into(), part.name.into(), part.wanted.into(), here.into(), mend.into()]);
        }
        output::table(&table)?;
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(Code::Found as u8) })
}

fn installed(languages: &[Language], host: &Host, json: bool) -> Result<ExitCode> {
    let mut shown = Shown::default();
    let done = install(languages, host, &mut shown);
    drop(shown);
    if let Err(error) = done {
        return match building::failure(error, host) {
            Some(failure) => Err(failure),
            None => Ok(ExitCode::from(Code::Found as u8)),
        };
    }
    let looked = Looked::at(languages, host);
    if json {
        output::json(&whole("install", &looked, host))?;
    } else {
        for one in &looked {
            let tools: Vec<String> = one.parts.iter().filter_map(version).collect();
            output::note(&format!("{} is ready: {}", one.language.title(), tools.join(", ")));
        }
    }
    Ok(ExitCode::SUCCESS)
}
