//! `qyvol stop`, `start`, `restart` and `kill`: apps that are deployed are sent up or down.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::AppSummary;
use serde_json::json;

use crate::client::Client;
use crate::failure::{Code, Failure, Result};
use crate::output;
use crate::settle::{self, Arrival, Settled, Watcher};
use hyper::Method;

/// Stop apps: each is asked to end, and ended after its `stop_grace`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol stop logger
  qyvol stop web logger --detach

An app that was stopped stays so, also when the daemon starts again, until `qyvol start` or a new `qyvol deploy`.")]
pub(crate) struct Stop {
    #[command(flatten)]
    apps: Apps,
}

/// Start apps that were stopped, or have ended
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol start logger
  qyvol start web logger --detach")]
pub(crate) struct Start {
    #[command(flatten)]
    apps: Apps,
}

/// Stop apps and start them again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol restart logger")]
pub(crate) struct Restart {
    #[command(flatten)]
    apps: Apps,
}

/// End apps at once, without asking them; they stay down as after `stop`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol kill logger")]
pub(crate) struct Kill {
    #[command(flatten)]
    apps: Apps,
}

#[derive(Debug, Args)]
struct Apps {
    /// The apps
    #[arg(required = true, value_name = "APP")]
    apps: Vec<Name>,
    /// Do not wait until it has happened
    #[arg(short, long)]
    detach: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Stop {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        self.apps.send("stop", settle::down)
    }
}

impl Start {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        self.apps.send("start", settle::up)
    }
}

impl Restart {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        self.apps.send("restart", settle::up)
    }
}

impl Kill {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        self.apps.send("kill", settle::down)
    }
}

impl Apps {
    /// Asks the daemon for the change of every app, and waits for those that it accepted. A mistake with one app keeps no
    /// other from it; the last mistake is the result.
    fn send(&self, change: &'static str, arrival: fn(&AppSummary) -> Arrival) -> Result<ExitCode> {
        let client = Client::new()?;
        let mut watcher = if self.detach { None } else { Some(Watcher::new(&client, None)?) };
        let (mut accepted, mut mistake) = (Vec::new(), None);
        for app in &self.apps {
            match client.change(Method::POST, &format!("/v1/apps/{app}/{change}")) {
                Ok(()) => accepted.push(app.clone()),
                Err(failure) => mistake = later(mistake, failure),
            }
        }
        if let Some(watcher) = &mut watcher
            && !accepted.is_empty()
        {
            match watcher.wait(&accepted, arrival)? {
                Settled::All => {}
                Settled::Interrupted => return Ok(ExitCode::from(Code::Interrupted as u8)),
                Settled::Without(failed) => {
                    accepted.retain(|app| !failed.contains(app));
                    mistake = later(mistake, settle::tell_failures(&client, &failed));
                }
            }
        }
        if self.json {
            output::json(&json!({ change: 1, "apps": accepted }))?;
        }
        match mistake {
            None => Ok(ExitCode::SUCCESS),
            Some(failure) => Err(failure),
        }
    }
}

/// Tells the mistake before, and keeps this one.
fn later(before: Option<Failure>, now: Failure) -> Option<Failure> {
    if let Some(before) = before {
        output::failure(&before);
    }
    Some(now)
}
