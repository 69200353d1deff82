//! `qyvol net`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use qyvol_protocol::api::NetService;
use serde_json::json;

use crate::client::Client;
use crate::failure::Result;
use crate::output;
use crate::table::{Cell, Table};

/// Show who offers what, and where
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol net ls")]
pub(crate) struct Net {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List services and listening addresses
    #[command(after_help = "Examples:
  qyvol net ls
  qyvol net ls --json | jq '.services[] | select(.up == 0) | .address'")]
    Ls {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
}

impl Net {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let Action::Ls { json } = &self.action;
        let services: Vec<NetService> = Client::new()?.get("/v1/net")?;
        if *json {
            output::json(&json!({ "net": 1, "services": services }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(["ADDRESS", "APP", "PROTOCOL", ">UP"]);
        for row in &services {
            table.row([
                row.address.as_str().into(),
                row.app.as_str().into(),
                row.proto.as_str().into(),
                Cell::of_state(row.up.to_string(), if row.up > 0 { "ready" } else { "failed" }),
            ]);
        }
        output::table(&table)?;
        Ok(ExitCode::SUCCESS)
    }
}
