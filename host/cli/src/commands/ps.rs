//! `qyvol ps`.

use std::process::ExitCode;

use clap::Args;
use qyvol_protocol::api::AppSummary;
use serde_json::json;

use crate::client::Client;
use crate::commands::daemon::manifests;
use crate::failure::Result;
use crate::output;
use crate::table::{Cell, Table};
use crate::times;

/// List the deployed apps
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol ps                          apps that run, are about to, or failed
  qyvol ps --all                    those that are done or were stopped, too
  qyvol ps --all --json | jq '.apps[] | .app, .state'")]
pub(crate) struct Ps {
    /// Apps that are done or were stopped, too
    #[arg(short, long)]
    all: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let mut apps: Vec<AppSummary> = client.get("/v1/apps")?;
        apps.retain(|app| self.all || !matches!(app.state.as_str(), "done" | "stopped"));
        if self.json {
            output::json(&json!({ "ps": 1, "apps": apps }))?;
        } else {
            output::table(&table(&apps, times::now()))?;
            if let Some(manifests) = manifests::all(&client)?
                && manifests::problems(&manifests) > 0
            {
                output::note(&format!(
                    "something in `{}` is not deployed; `qyvol daemon status` tells why",
                    manifests.folder
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(apps: &[AppSummary], now: u64) -> Table {
    let mut table =
        Table::new(["NAME", "VERSION", "TYPE", "STATUS", ">READY", ">RESTARTS", ">AGE", "LISTEN"]);
    for app in apps {
        table.row([
            app.app.as_str().into(),
            app.version.as_str().into(),
            app.kind.word().into(),
            Cell::of_state(app.status.as_str(), &app.state),
            format!("{}/{}", app.ready, app.replicas).into(),
            app.restarts.to_string().into(),
            times::age(app.deployed, now).into(),
            app.listen.join(", ").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyv_spec::app::Hash;
    use qyv_spec::manifest::Kind;

    #[test]
    fn an_app_is_a_row() {
        let app = AppSummary {
            app: "logger".parse().unwrap(),
            version: "1.2.3".into(),
            kind: Kind::Service,
            state: "crash-looping".into(),
            status: "crash-looping (4 restarts, next in 12s)".into(),
            replicas: 2,
            ready: 1,
            restarts: 4,
            deployed: 0,
            revision: 1,
            listen: vec!["tcp://127.0.0.1:8080".into()],
            image: Hash([0; 32]),
        };
        let text = table(&[app], 90_000).text(None, crate::palette::Depth::Plain);
        let words = "logger  1.2.3    service  crash-looping (4 restarts, next in 12s)    1/2         4   1m  tcp://127.0.0.1:8080";
        assert_eq!(text.lines().nth(1), Some(words), "{text}");
    }
}
