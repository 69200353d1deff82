//! `qyvol secret`.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use qyvol_protocol::api::SecretInfo;
use serde_json::json;
use zeroize::Zeroizing;

use crate::client::{Client, segment};
use crate::failure::{Failure, Result};
use crate::table::Table;
use crate::{keys, output, target, times};

/// The largest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Look after the secrets that deployed apps are handed
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol secret set API_KEY                     asks for it, and does not show it
  qyvol secret set API_KEY --from key.txt
  pass show api | qyvol secret set API_KEY --from -
  qyvol secret ls                              never the values
  qyvol secret rm API_KEY

An app gets a secret when its manifest names it in `env_from` and `--grant env:NAME` allows it, as the
file `/run/secrets/NAME`; it sees a new value when it is started the next time.")]
pub(crate) struct Secret {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Keep a secret, encrypted; one of that name is replaced
    #[command(after_help = "Examples:
  qyvol secret set API_KEY
  qyvol secret set CERTIFICATE --from cert.pem")]
    Set {
        /// Its name
        name: String,
        /// The file with the value, byte for byte; `-` is standard input
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// List their names
    #[command(after_help = "Examples:
  qyvol secret ls")]
    Ls {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove secrets
    #[command(after_help = "Examples:
  qyvol secret rm API_KEY")]
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

impl Secret {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        match &self.action {
            Action::Set { name, from } => {
                let value = value(from.as_deref())?;
                client.put(&format!("/v1/secrets/{}", segment(name)), value.to_vec())?;
                output::note(&format!("set `{name}`"));
            }
            Action::Ls { json } => list(&client, *json)?,
            Action::Rm { names } => {
                for name in names {
                    client.change(Method::DELETE, &format!("/v1/secrets/{}", segment(name)))?;
                    output::note(&format!("removed `{name}`"));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn value(from: Option<&std::path::Path>) -> Result<Zeroizing<Vec<u8>>> {
    let value = match from {
        None if std::io::stdin().is_terminal() => return keys::hidden("Value: "),
        None => {
            return Err(Failure::usage("there is no terminal to ask for the secret on")
                .hint("give it by `--from FILE`, or by `--from -` on standard input"));
        }
        Some(path) if path.as_os_str() == "-" => {
            let mut value = Zeroizing::new(Vec::new());
            std::io::stdin()
                .lock()
                .take(SECRET_BYTES_MAX + 1)
                .read_to_end(&mut value)
                .map_err(|error| Failure::own(format!("cannot read standard input: {error}")))?;
            value
        }
        Some(path) => Zeroizing::new(target::read_bounded(path, SECRET_BYTES_MAX, "a secret")?),
    };
    if value.len() as u64 > SECRET_BYTES_MAX {
        return Err(Failure::refused(format!("a secret has at most {SECRET_BYTES_MAX} bytes")));
    }
    Ok(value)
}

fn list(client: &Client, json: bool) -> Result<()> {
    let secrets: Vec<SecretInfo> = client.get("/v1/secrets")?;
    if json {
        return output::json(&json!({ "secret": 1, "secrets": secrets }));
    }
    let now = times::now();
    let mut table = Table::new(["NAME", ">AGE", "USED BY"]);
    for row in &secrets {
        table.row([row.name.as_str().into(), times::age(row.set, now).into(), row.used_by.join(", ").into()]);
    }
    output::table(&table)
}
