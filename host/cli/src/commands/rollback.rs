//! `qyvol rollback`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::{self, AppDetail};
use serde_json::json;

use crate::client::Client;
use crate::failure::{Code, Result};
use crate::output;
use crate::settle::{self, Settled, Watcher};

/// Go back to an earlier revision of an app
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol rollback web                the revision before
  qyvol rollback web --to 3         `qyvol inspect web` lists those that are kept")]
pub(crate) struct Rollback {
    /// The app
    app: Name,
    /// The number of the revision; by default the one before
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    /// Do not wait until it runs
    #[arg(short, long)]
    detach: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Rollback {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let mut watcher = if self.detach { None } else { Some(Watcher::new(&client, None)?) };
        let body = api::Rollback { revision: self.to };
        client.post_change(&format!("/v1/apps/{}/rollback", self.app), &body)?;
        let names = [self.app.clone()];
        match watcher.as_mut().map(|watcher| watcher.wait(&names, settle::up)).transpose()? {
            None | Some(Settled::All) => {}
            Some(Settled::Interrupted) => return Ok(ExitCode::from(Code::Interrupted as u8)),
            Some(Settled::Without(failed)) => return Err(settle::tell_failures(&client, &failed)),
        }
        if self.json {
            let detail: AppDetail = client.get(&format!("/v1/apps/{}", self.app))?;
            output::json(&json!({ "rollback": 1, "app": detail.summary }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
