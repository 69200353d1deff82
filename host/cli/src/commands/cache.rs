//! `qyvol cache`: what is kept of compiled programs.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use qyv_spec::quantity::Bytes;
use qyvol_engine::{Kind, Listed, Pruned};
use serde_json::{Value, json};

use crate::failure::{Code, Result};
use crate::output;
use crate::run::options::duration;

/// Look after the native code that is kept of compiled programs
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 `verify` found an entry that is not in order

Examples:
  qyvol cache list
  qyvol cache prune --unused 30d --keep 2GiB

The folder is `~/.cache/qyvol/code`, or the one that `QYVOL_CACHE_DIR` names.")]
pub(crate) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the entries, the last used first
    #[command(after_help = "Examples:
  qyvol cache list
  qyvol cache list --json")]
    List(Format),
    /// Read every entry as a whole and say which are in order
    #[command(after_help = "Examples:
  qyvol cache verify")]
    Verify(Format),
    /// Remove entries that are damaged, were not used for long, or are too many
    #[command(after_help = "Examples:
  qyvol cache prune                              damaged entries only
  qyvol cache prune --unused 30d --keep 2GiB")]
    Prune {
        /// Remove entries that were not used for this time
        #[arg(long, value_name = "TIME", value_parser = duration)]
        unused: Option<Duration>,
        /// Remove the longest unused until at most this much remains
        #[arg(long, value_name = "SIZE", value_parser = size)]
        keep: Option<u64>,
        #[command(flatten)]
        format: Format,
    },
    /// Remove every entry
    #[command(after_help = "Examples:
  qyvol cache clear")]
    Clear(Format),
}

#[derive(Clone, Copy, Debug, Args)]
struct Format {
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> std::result::Result<u64, String> {
    text.parse::<Bytes>().map(|bytes| bytes.0).map_err(|invalid| invalid.to_string())
}

impl Cache {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let cache = qyvol_engine::Cache::open(crate::folders::cache()?)?;
        match &self.action {
            Action::List(format) => list(&cache, *format),
            Action::Verify(format) => verify(&cache, *format),
            Action::Prune { unused, keep, format } => removed(cache.prune(*unused, *keep)?, *format),
            Action::Clear(format) => removed(cache.clear()?, *format),
        }
    }
}

fn list(cache: &qyvol_engine::Cache, format: Format) -> Result<ExitCode> {
    let entries = cache.list()?;
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    if format.json {
        let entries: Vec<Value> = entries.iter().map(entry_json).collect();
        output::json(&json!({ "cache": 1, "folder": cache.folder(), "bytes": total, "entries": entries }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for entry in &entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", entry_line(entry));
    }
    let _ =
        writeln!(text, "{} entries, {}, in `{}`", entries.len(), HumanBytes(total), cache.folder().display());
    output::data(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn entry_json(entry: &Listed) -> Value {
    let used = entry.used.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    json!({
        "path": entry.path,
        "bytes": entry.bytes,
        "used": used,
        "record": entry.record.as_ref().map(|record| json!({
            "source": record.source,
            "source_bytes": record.source_bytes,
            "kind": kind(record.kind),
            "engine": record.engine,
            "flavour": record.flavour,
            "target": record.target,
            "created": record.created,
        })),
    })
}

fn entry_line(entry: &Listed) -> String {
    let days = SystemTime::now().duration_since(entry.used).unwrap_or_default().as_secs() / 86_400;
    let size = HumanBytes(entry.bytes).to_string();
    let used = if days == 0 { "today".to_owned() } else { format!("{days} days ago") };
    match &entry.record {
        Some(record) => format!(
            "{}  {size:>10}  used {used:<12}  {} of {}, {}",
            record.source.get(..16).unwrap_or(&record.source),
            kind(record.kind),
            HumanBytes(record.source_bytes),
            record.flavour,
        ),
        None => format!("(not in order)    {size:>10}  used {used:<12}  `{}`", entry.path.display()),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Module => "module",
        Kind::Component => "component",
    }
}

fn verify(cache: &qyvol_engine::Cache, format: Format) -> Result<ExitCode> {
    let checked = cache.verify()?;
    let flawed: Vec<_> = checked.iter().filter_map(|entry| Some((&entry.path, entry.flaw?))).collect();
    if format.json {
        let flawed: Vec<Value> =
            flawed.iter().map(|(path, flaw)| json!({ "path": path, "flaw": flaw })).collect();
        output::json(&json!({ "cache": 1, "checked": checked.len(), "flawed": flawed }))?;
    } else {
        for (path, flaw) in &flawed {
            output::warning(&format!("`{}`: {flaw}", path.display()));
        }
        if !flawed.is_empty() {
            output::hint(
                "such entries are never loaded, but compiled again; `qyvol cache prune` removes them",
            );
        }
        output::data(&format!(
            "{} of {} entries are in order\n",
            checked.len() - flawed.len(),
            checked.len()
        ))?;
    }
    Ok(if flawed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Code::Found as u8) })
}

fn removed(pruned: Pruned, format: Format) -> Result<ExitCode> {
    if format.json {
        output::json(&json!({ "cache": 1, "removed": pruned.entries, "bytes": pruned.bytes }))?;
    } else {
        output::data(&format!("removed {} entries, {}\n", pruned.entries, HumanBytes(pruned.bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}
