//! What is known of an app that is deployed.

use std::fmt::Write as _;

use qyv_spec::service::Name;
use qyvol_protocol::api::{AppDetail, Info, InstanceDetail};
use serde_json::{Value, json};

use super::Report;
use crate::client::Client;
use crate::commands::image::SHORT_DIGITS;
use crate::failure::{Failure, Result};
use crate::times;

/// Reports what the daemon knows of an app.
///
/// # Errors
///
/// 127 when there is no such app, or no daemon that could know it: then the name was meant for a file, or for an app that
/// nobody deployed.
pub(super) fn of_name(name: &Name) -> Result<Report> {
    let client = Client::new()?;
    let Some(info) = client.running()? else {
        return Err(Failure::not_found(format!(
            "there is no file `{name}`, and no daemon runs that could know an app of that name"
        ))
        .hint("`qyvol deploy` starts one; a folder with a manifest is named as a path, as in `./app`"));
    };
    let detail: AppDetail = client.get(&format!("/v1/apps/{name}"))?;
    let mut value = serde_json::to_value(&detail).map_err(Failure::own)?;
    value["kind"] = "deployed".into();
    value["workers"] = workers(&detail, &info);
    Ok((value, text(&detail, &info, times::now())))
}

/// The workers that run the app's instances.
fn workers(detail: &AppDetail, info: &Info) -> Value {
    let runs_here = |name: &str| detail.instances.iter().any(|one| one.worker.as_deref() == Some(name));
    let workers: Vec<_> = info.workers.iter().filter(|worker| runs_here(&worker.worker)).collect();
    json!(workers)
}

fn text(detail: &AppDetail, info: &Info, now: u64) -> String {
    let app = &detail.summary;
    let mut text = format!(
        "app       {} {}\ntype      {}\nstatus    {}, {} of {} ready, {} restarts\nrevision  {}, deployed {} ago\n\
         image     {}\n",
        app.app,
        app.version,
        app.kind.word(),
        app.status,
        app.ready,
        app.replicas,
        app.restarts,
        app.revision,
        times::age(app.deployed, now),
        app.image,
    );
    for address in &app.listen {
        let _ = writeln!(text, "listens   {address}");
    }
    for note in &detail.notes {
        let _ = writeln!(text, "note      {note}");
    }
    let granted = detail.grants.allow.iter().map(ToString::to_string);
    let bound = detail.grants.bind.iter().map(|bind| format!("bind {bind}"));
    let shown = detail.directories.iter().map(|directory| {
        let only = if directory.read_only { ":ro" } else { "" };
        format!("dir {}::{}{only}", directory.host, directory.guest)
    });
    let variables = detail.env.iter().map(|(name, value)| format!("env {name}={value}"));
    if let Some(file) = &detail.followed {
        let _ = writeln!(text, "follows   {file}: changes with it, and goes with it");
    }
    section(&mut text, "granted at deploy", granted.chain(bound).chain(shown).chain(variables));
    section(&mut text, "instances", detail.instances.iter().flat_map(|one| instance(one, info, now)));
    let revisions = detail.revisions.iter().map(|revision| {
        let hash = revision.image.to_string();
        let (image, age) = (hash.get(..SHORT_DIGITS).unwrap_or(&hash), times::age(revision.deployed, now));
        format!("{}  {}  {image}  deployed {age} ago", revision.revision, revision.version)
    });
    section(&mut text, "earlier revisions", revisions);
    text
}

fn instance(one: &InstanceDetail, info: &Info, now: u64) -> Vec<String> {
    let since = one.started.map_or_else(String::new, |time| format!(", since {}", times::age(time, now)));
    let mut lines = vec![format!("{}  {}{since}", one.instance, one.status)];
    if let Some(name) = &one.worker {
        let worker = info.workers.iter().find(|worker| worker.worker == *name);
        let walls: Vec<String> = worker.into_iter().flat_map(|worker| &worker.walls).map(wall).collect();
        let walls = if walls.is_empty() { "none".to_owned() } else { walls.join(", ") };
        lines.push(format!("  in worker {name}; walls: {walls}"));
    }
    if let Some(end) = &one.last_end {
        let ago = times::age(end.time, now);
        lines.push(format!("  the one before ended {ago} ago with {}: {}", end.code, end.message));
        lines.extend(end.denials.iter().map(|denial| format!("  {denial}")));
    }
    lines
}

/// A wall, and why it does not stand when that is so.
pub(crate) fn wall(wall: &qyvol_protocol::worker::Wall) -> String {
    if wall.on { wall.name.clone() } else { format!("no {} ({})", wall.name, wall.detail) }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (number, line) in lines.enumerate() {
        if number == 0 {
            let _ = writeln!(text, "{title}");
        }
        for line in line.lines() {
            let _ = writeln!(text, "          {line}");
        }
    }
}
