//! `qyvol volume`.

pub(crate) mod archive;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use indicatif::BinaryBytes;
use qyvol_protocol::api::Volume as Row;
use serde_json::json;

use crate::client::{Client, segment};
use crate::failure::{Failure, Result};
use crate::output;
use crate::table::Table;

/// Look after the private volumes of deployed apps
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol volume ls
  qyvol volume inspect db
  qyvol volume backup db db.tar     and `qyvol volume restore db db.tar` puts it back
  qyvol volume rm db                what the app kept is gone")]
pub(crate) struct Volume {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them
    #[command(after_help = "Examples:
  qyvol volume ls")]
    Ls {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show whose a volume is and what it holds
    #[command(after_help = "Examples:
  qyvol volume inspect db --json")]
    Inspect {
        /// The volume
        volume: String,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Save a volume as a tar archive
    #[command(after_help = "Examples:
  qyvol stop db && qyvol volume backup db db.tar && qyvol start db
  qyvol volume backup db - | zstd > db.tar.zst

Of an app that runs, files may be of different moments: stop it, and all are of one.
Links that lead out of the volume are left out, and named.")]
    Backup {
        /// The volume
        volume: String,
        /// Where to; `-` is standard output
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Replace the file when it is there
        #[arg(short, long)]
        force: bool,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a volume back from a tar archive, in place of what it holds
    #[command(after_help = "Examples:
  qyvol stop db && qyvol volume restore db db.tar && qyvol start db
  zstd -dc db.tar.zst | qyvol volume restore db -

All of it is put back or nothing. An app that runs is refused. What the app's limits do not
allow is refused, and so are absolute paths, `..`, links that lead out, and devices.")]
    Restore {
        /// The volume
        volume: String,
        /// Where from; `-` is standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove volumes of apps that are deployed no more
    #[command(after_help = "Examples:
  qyvol rm db && qyvol volume rm db")]
    Rm {
        /// The volumes
        #[arg(required = true, value_name = "VOLUME")]
        volumes: Vec<String>,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
}

impl Volume {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        match &self.action {
            Action::Ls { json } => list(&client, *json)?,
            Action::Inspect { volume, json } => inspect(&client, volume, *json)?,
            Action::Backup { volume, file, force, json } => {
                archive::backup(&client, volume, file, *force, *json)?;
            }
            Action::Restore { volume, file, json } => archive::restore(&client, volume, file, *json)?,
            Action::Rm { volumes, json } => {
                for volume in volumes {
                    client.change(Method::DELETE, &format!("/v1/volumes/{}", segment(volume)))?;
                    if !json {
                        output::note(&format!("removed `{volume}`"));
                    }
                }
                if *json {
                    output::json(&json!({ "volume": 1, "removed": volumes }))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(client: &Client, json: bool) -> Result<()> {
    let volumes: Vec<Row> = client.get("/v1/volumes")?;
    if json {
        return output::json(&json!({ "volume": 1, "volumes": volumes }));
    }
    let mut table = Table::new(["VOLUME", "APP", ">SIZE", ">FILES"]);
    for row in &volumes {
        table.row([
            row.volume.as_str().into(),
            row.app.as_ref().map_or("-", |app| app.as_str()).into(),
            BinaryBytes(row.bytes).to_string().into(),
            row.inodes.to_string().into(),
        ]);
    }
    output::table(&table)
}

fn inspect(client: &Client, name: &str, json: bool) -> Result<()> {
    let volumes: Vec<Row> = client.get("/v1/volumes")?;
    let Some(row) = volumes.into_iter().find(|row| row.volume == name) else {
        return Err(
            Failure::not_found(format!("there is no volume `{name}`")).hint("`qyvol volume ls` lists them")
        );
    };
    if json {
        return output::json(&json!({ "volume": 1, "volumes": [row] }));
    }
    let app = row.app.as_ref().map_or("none that is deployed", |app| app.as_str());
    let size = BinaryBytes(row.bytes);
    output::data(&format!("volume  {}\napp     {app}\nsize    {size}, {} files\n", row.volume, row.inodes))
}
