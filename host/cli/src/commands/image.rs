//! `qyvol image`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use indicatif::BinaryBytes;
use qyvol_protocol::api::{Image as Row, Pruned};
use serde_json::json;

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::table::Table;
use crate::{output, times};

/// How many digits of a hash are shown.
pub(crate) const SHORT_DIGITS: usize = 12;

/// Fewer digits name nothing, in case of a slip of the hand.
const PREFIX_DIGITS_MIN: usize = 4;

/// Look after the bundles that the daemon keeps
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol image ls
  qyvol image rm 3f9a0c12
  qyvol image prune                 removes those that no app uses, nor a revision that is kept")]
pub(crate) struct Image {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them
    #[command(after_help = "Examples:
  qyvol image ls
  qyvol image ls --json | jq '.images[] | .image, .size'")]
    Ls {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove some that no app uses
    #[command(after_help = "Examples:
  qyvol image rm 3f9a0c12")]
    Rm {
        /// Their hashes, or the first digits of them
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove all that no app uses, nor a revision that is kept
    #[command(after_help = "Examples:
  qyvol image prune")]
    Prune {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
}

impl Image {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        match &self.action {
            Action::Ls { json } => list(&client, *json)?,
            Action::Rm { images, json } => remove(&client, images, *json)?,
            Action::Prune { json } => {
                let pruned: Pruned = client.post("/v1/images/prune", &json!({}))?;
                if *json {
                    output::json(&json!({ "image": 1, "removed": pruned.images, "bytes": pruned.bytes }))?;
                } else {
                    output::note(&format!("removed {}, {}", pruned.images, BinaryBytes(pruned.bytes)));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(client: &Client, json: bool) -> Result<()> {
    let images: Vec<Row> = client.get("/v1/images")?;
    if json {
        return output::json(&json!({ "image": 1, "images": images }));
    }
    let now = times::now();
    let mut table = Table::new(["IMAGE", "APP", ">SIZE", ">AGE", "USED BY"]);
    for row in &images {
        let hash = row.image.to_string();
        table.row([
            hash.get(..SHORT_DIGITS).unwrap_or(&hash).into(),
            row.app.as_str().into(),
            BinaryBytes(row.size).to_string().into(),
            times::age(row.stored, now).into(),
            row.used_by.join(", ").into(),
        ]);
    }
    output::table(&table)
}

fn remove(client: &Client, wanted: &[String], json: bool) -> Result<()> {
    let known: Vec<Row> = client.get("/v1/images")?;
    let known: Vec<String> = known.iter().map(|row| row.image.to_string()).collect();
    let hashes = wanted.iter().map(|prefix| one(&known, prefix)).collect::<Result<Vec<_>>>()?;
    for hash in &hashes {
        client.change(Method::DELETE, &format!("/v1/images/{hash}"))?;
        if !json {
            output::note(&format!("removed {hash}"));
        }
    }
    if json { output::json(&json!({ "image": 1, "removed": hashes })) } else { Ok(()) }
}

/// The one hash that begins so.
fn one<'a>(known: &'a [String], prefix: &str) -> Result<&'a str> {
    if prefix.len() < PREFIX_DIGITS_MIN {
        return Err(Failure::usage(format!("`{prefix}` is too short for a hash"))
            .hint(format!("give at least {PREFIX_DIGITS_MIN} digits, as `qyvol image ls` prints them")));
    }
    let mut found = known.iter().filter(|hash| hash.starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            Err(Failure::not_found(format!("there is no image `{prefix}`"))
                .hint("`qyvol image ls` lists them"))
        }
        (Some(_), Some(_)) => Err(Failure::refused(format!("more than one image begins with `{prefix}`"))
            .hint("give more digits of it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn an_image_is_named_by_its_first_digits_when_they_name_one() {
        let known = ["abcd01".to_owned(), "abcd02".to_owned(), "ffff00".to_owned()];
        assert_eq!(one(&known, "ffff").unwrap(), "ffff00");
        assert_eq!(one(&known, "abcd02").unwrap(), "abcd02");
        for (bad, code) in
            [("abcd", Code::Refused), ("0000", Code::NotFound), ("fff", Code::Usage), ("", Code::Usage)]
        {
            assert_eq!(one(&known, bad).unwrap_err().code, code, "{bad:?}");
        }
    }
}
