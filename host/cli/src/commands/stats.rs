//! `qyvol stats`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::BinaryBytes;
use qyv_spec::service::Name;
use qyvol_protocol::api::UsageRow;
use serde_json::json;

use crate::client::Client;
use crate::failure::{Code, Result};
use crate::output::{self, Stream};
use crate::table::Table;
use crate::usage::{Meter, Use, shown};

/// How long between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// How long between the two looks of `--no-stream`.
const FIRST_PERIOD: Duration = Duration::from_millis(500);

/// Show what the instances of apps use, each second until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol stats
  qyvol stats web logger --no-stream
  qyvol stats --no-stream --json | jq '.instances[] | .instance.app, .memory'

CPU is in percent of one core. `qyvol top` shows the same in a table that can be sorted.")]
pub(crate) struct Stats {
    /// Only these apps
    #[arg(value_name = "APP")]
    apps: Vec<Name>,
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Report as one line of JSON, each second
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let mut meter = Meter::default();
        meter.look(self.rows(&client)?, Instant::now());
        let in_place = !self.json && !self.no_stream && std::io::stdout().is_terminal();
        let mut period = FIRST_PERIOD;
        loop {
            if client.pause(period)? {
                return Ok(ExitCode::from(Code::Interrupted as u8));
            }
            let uses = meter.look(self.rows(&client)?, Instant::now());
            if in_place {
                output::clear();
            }
            if self.json {
                let value = json!({ "stats": 1, "instances": uses });
                if !output::line(Stream::Output, &value.to_string(), true)? {
                    return Ok(ExitCode::SUCCESS);
                }
            } else {
                output::table(&table(&uses))?;
            }
            if self.no_stream {
                return Ok(ExitCode::SUCCESS);
            }
            period = PERIOD;
        }
    }

    fn rows(&self, client: &Client) -> Result<Vec<UsageRow>> {
        let mut rows: Vec<UsageRow> = client.get("/v1/usage")?;
        rows.retain(|row| self.apps.is_empty() || self.apps.contains(&row.instance.app));
        rows.sort_by(|a, b| a.instance.cmp(&b.instance));
        Ok(rows)
    }
}

fn table(uses: &[Use]) -> Table {
    let mut table = Table::new([
        "INSTANCE", ">CPU %", ">MEMORY", ">LIMIT", ">FDS", ">CONNS", ">REQ/S", ">LOG", ">DROPPED",
    ]);
    for Use { row, cpu_percent, requests_per_second } in uses {
        table.row([
            row.instance.to_string().into(),
            shown(*cpu_percent).into(),
            BinaryBytes(row.memory).to_string().into(),
            BinaryBytes(row.memory_limit).to_string().into(),
            row.fds.to_string().into(),
            row.connections.to_string().into(),
            shown(*requests_per_second).into(),
            BinaryBytes(row.log_bytes).to_string().into(),
            row.log_dropped.to_string().into(),
        ]);
    }
    table
}
