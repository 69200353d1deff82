//! `qyvol wait`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::{AppDetail, Ended};
use serde_json::json;

use crate::client::Client;
use crate::failure::{Code, Failure, Result};
use crate::output;
use crate::settle::{self, Settled, Watcher};

/// Wait until an app is done, has failed or was stopped, and end with its exit code
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol deploy import.qyv --detach && qyvol wait import
  qyvol wait import --json | jq .message

The exit code is the app's, as `qyvol run` would give it; of several replicas the highest.")]
pub(crate) struct Wait {
    /// The app
    app: Name,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Wait {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let path = format!("/v1/apps/{}", self.app);
        let mut watcher = Watcher::new(&client, None)?;
        // An app that is not there is a mistake; one that is removed meanwhile has ended.
        let _: AppDetail = client.get(&path)?;
        match watcher.wait(std::slice::from_ref(&self.app), settle::down)? {
            Settled::Interrupted => return Ok(ExitCode::from(Code::Interrupted as u8)),
            Settled::Without(failed) => return Err(settle::tell_failures(&client, &failed)),
            Settled::All => {}
        }
        let detail: AppDetail = client.get(&path)?;
        let end: Option<Ended> = detail
            .instances
            .into_iter()
            .filter_map(|instance| instance.last_end)
            .max_by_key(|end| (end.code, end.time));
        let code = end.as_ref().map_or(0, |end| end.code);
        if self.json {
            let cause = end.as_ref().map(|end| &end.cause);
            let message = end.as_ref().map(|end| &end.message);
            output::json(&json!({
                "wait": 1, "app": self.app, "state": detail.summary.state, "code": code, "cause": cause,
                "message": message,
            }))?;
        } else if let Some(end) = end.filter(|end| end.code != 0) {
            output::failure(&Failure::own(format!("`{}`: {}", self.app, end.message)));
        }
        Ok(ExitCode::from(code))
    }
}
