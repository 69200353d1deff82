//! `qyvol volume backup` and `restore`.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use indicatif::BinaryBytes;
use qyvol_protocol::api::{AppDetail, Volume};
use serde_json::{Value, json};

use crate::client::{Client, segment};
use crate::failure::{Failure, Result};
use crate::{output, settle};

/// Standard input and output.
const STDIO: &str = "-";

pub(super) fn backup(client: &Client, volume: &str, file: &Path, force: bool, json: bool) -> Result<()> {
    let volumes: Vec<Volume> = client.get("/v1/volumes")?;
    let Some(row) = volumes.into_iter().find(|row| row.volume == volume) else {
        let failure = Failure::not_found(format!("there is no volume `{volume}`"));
        return Err(failure.hint("`qyvol volume ls` lists them"));
    };
    let runs = match &row.app {
        Some(app) => {
            let detail: AppDetail = client.get(&format!("/v1/apps/{app}"))?;
            settle::down(&detail.summary) != settle::Arrival::There
        }
        None => false,
    };
    if runs {
        output::warning(&format!("`{volume}` is in use: its files may be of different moments"));
    }
    let path = format!("/v1/volumes/{}/archive", segment(volume));
    let summary = if file == Path::new(STDIO) {
        if json {
            return Err(Failure::usage("`--json` and an archive do not both fit on standard output"));
        }
        to_output(client, &path)?
    } else {
        to_file(client, &path, file, force)?
    };
    let summary = summary.unwrap_or_default();
    if json {
        return output::json(&json!({ "volume": 1, "saved": volume, "running": runs, "summary": summary }));
    }
    tell("saved", &summary);
    Ok(())
}

/// The archive on standard output, which is no terminal.
pub(crate) fn to_output(client: &Client, path: &str) -> Result<Option<Value>> {
    if std::io::stdout().is_terminal() {
        return Err(Failure::usage("a terminal is no place for an archive").hint("send it on: `… - > FILE`"));
    }
    client.receive(path, &mut std::io::stdout().lock())
}

/// The archive in a file, which is there when it is whole.
fn to_file(client: &Client, path: &str, file: &Path, force: bool) -> Result<Option<Value>> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Failure::at_path("write", file, &error);
    if !force && file.symlink_metadata().is_ok() {
        return Err(Failure::refused(format!("`{}` is there already", file.display()))
            .hint("name another file, or replace it with `--force`"));
    }
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let summary = client.receive(path, draft.as_file_mut())?;
    draft.as_file().sync_all().map_err(failed)?;
    let kept = if force { draft.persist(file) } else { draft.persist_noclobber(file) };
    kept.map_err(|error| failed(error.error))?;
    Ok(summary)
}

pub(super) fn restore(client: &Client, volume: &str, file: &Path, json: bool) -> Result<()> {
    let input: Box<dyn Read + Send> = if file == Path::new(STDIO) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| Failure::at_path("open", file, &error))?)
    };
    client.put_stream(&format!("/v1/volumes/{}/archive", segment(volume)), input)?;
    if json {
        return output::json(&json!({ "volume": 1, "restored": volume }));
    }
    output::note(&format!("restored `{volume}`"));
    Ok(())
}

/// Says what was copied, and what was left out.
pub(crate) fn tell(what: &str, summary: &Value) {
    let number = |name: &str| summary[name].as_u64().unwrap_or(0);
    for left in summary["skipped"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::warning(&format!("left out: {left}"));
    }
    let out = number("left_out");
    let out = if out > 0 { format!(", {out} left out") } else { String::new() };
    output::note(&format!("{what} {} files, {}{out}", number("files"), BinaryBytes(number("bytes"))));
}
