//! `qyvol port`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::AppDetail;
use serde_json::json;

use crate::client::Client;
use crate::failure::Result;
use crate::output;

/// Show the addresses that an app listens on, one a line
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol port web
  curl \"http://$(qyvol port web | sed 's,.*//,,')/\"")]
pub(crate) struct Port {
    /// The app
    app: Name,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Port {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let detail: AppDetail = Client::new()?.get(&format!("/v1/apps/{}", self.app))?;
        let listen = detail.summary.listen;
        if self.json {
            output::json(&json!({ "port": 1, "app": self.app, "listen": listen }))?;
        } else {
            output::data(&listen.iter().map(|address| format!("{address}\n")).collect::<String>())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
