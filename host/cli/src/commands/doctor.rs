//! `qyvol doctor`: what protects this host and what is in the way, each tried and not assumed.

mod checks;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Code, Result};
use crate::output;

/// Say which walls really stand on this host, and what is in the way
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 everything needed works, 1 something is broken

Examples:
  qyvol doctor
  qyvol doctor --json")]
pub(crate) struct Doctor {
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it should be.
    Ok,
    /// Apps run, with less protection or room.
    Warn,
    /// Apps do not run.
    Broken,
}

/// One thing that was looked at.
struct Checked {
    name: &'static str,
    state: State,
    found: String,
    /// How to mend it, unless it is in order.
    mend: Option<String>,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Broken => "broken",
        }
    }
}

impl Checked {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), mend: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, state: State::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn broken(name: &'static str, found: impl Into<String>, mend: Option<String>) -> Self {
        Self { name, state: State::Broken, found: found.into(), mend }
    }
}

impl Doctor {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let checked = checks::all();
        let broken = checked.iter().any(|check| check.state == State::Broken);
        if self.json {
            let list: Vec<Value> = checked
                .iter()
                .map(|check| {
                    json!({
                        "name": check.name,
                        "state": check.state.word(),
                        "found": check.found,
                        "mend": check.mend,
                    })
                })
                .collect();
            output::json(&json!({ "doctor": 1, "ok": !broken, "checks": list }))?;
        } else {
            output::data(&text(&checked))?;
        }
        Ok(if broken { ExitCode::from(Code::Found as u8) } else { ExitCode::SUCCESS })
    }
}

fn text(checked: &[Checked]) -> String {
    let wide = checked.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checked {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<6}  {:<wide$}  {}", check.state.word(), check.name, check.found);
        if let Some(mend) = &check.mend {
            let _ = writeln!(text, "{:<6}  {:<wide$}  hint: {mend}", "", "");
        }
    }
    text
}
