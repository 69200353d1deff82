//! `qyvol rm`.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use qyv_spec::service::Name;
use qyvol_protocol::api::AppDetail;
use serde_json::json;

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::{output, settle};

/// Remove apps; their volumes stay unless `--volumes`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol rm logger                   an app that is down
  qyvol rm --force logger           whatever it is at
  qyvol rm --volumes logger         its private volume too: what it kept is gone")]
pub(crate) struct Rm {
    /// The apps
    #[arg(required = true, value_name = "APP")]
    apps: Vec<Name>,
    /// Remove their private volumes too
    #[arg(long)]
    volumes: bool,
    /// Remove apps that run: they are ended first
    #[arg(short, long)]
    force: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Rm {
    /// Looks at all before it removes the first one.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        for app in &self.apps {
            let detail: AppDetail = client.get(&format!("/v1/apps/{app}"))?;
            if !self.force && settle::down(&detail.summary) != settle::Arrival::There {
                return Err(Failure::refused(format!("`{app}` runs: {}", detail.summary.status))
                    .hint(format!("stop it first, `qyvol stop {app}`, or end it with `--force`")));
            }
        }
        for app in &self.apps {
            let path = format!("/v1/apps/{app}?volumes={}", self.volumes);
            client.change(Method::DELETE, &path)?;
            if !self.json {
                output::note(&format!("removed `{app}`"));
            }
        }
        if self.json {
            output::json(&json!({ "rm": 1, "apps": self.apps }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
