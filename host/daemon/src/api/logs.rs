//! What apps have printed.

use std::collections::VecDeque;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use qyv_spec::service::Name;
use qyvol_logs::{LogReader, Record};
use qyvol_protocol::InstanceId;
use qyvol_protocol::api::LogLine;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::stream::{PARTS, Parts};
use super::{Context, input};
use crate::fault::{Fault, Kind};

/// The most bytes of lines of one log that are held at once.
const HELD_BYTES_MAX: usize = 32 << 20;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that are sent at once.
const PART_BYTES: usize = 64 << 10;

/// Which lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    follow: bool,
    since: Option<u64>,
    tail: Option<usize>,
    slot: Option<u32>,
}

pub(crate) async fn logs(
    State(context): State<Context>,
    Path(app): Path<String>,
    uri: Uri,
) -> Result<Response, Fault> {
    let which: Which = input::query(&uri)?;
    let name = input::app(&app)?;
    let asked = name.clone();
    let mut slots = context.handle.ask(move |overseer| overseer.slots(&asked)).await??;
    if let Some(slot) = which.slot {
        slots.retain(|other| *other == slot);
        if slots.is_empty() {
            return Err(Fault::new(Kind::NotFound, format!("`{name}` has no slot {slot}")));
        }
    }
    let permit = Arc::clone(&context.streams).try_acquire_owned().map_err(|_| {
        Fault::new(Kind::Busy, "too many clients follow logs and events").hint("end some of them")
    })?;
    let (sender, receiver) = mpsc::channel(PARTS);
    let folder = context.opened.options.logs().join(name.as_str());
    tokio::task::spawn_blocking(move || {
        // An error here is a log that cannot be read; the client sees the stream end.
        if let Err(error) = send(&folder, &name, &slots, &which, &sender) {
            eprintln!("qyvold: the log of `{name}`: {error}");
        }
    });
    let body = Parts { receiver, _permit: permit }.body();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn send(
    folder: &FilePath,
    name: &Name,
    slots: &[u32],
    which: &Which,
    client: &mpsc::Sender<Bytes>,
) -> std::io::Result<()> {
    let path = |slot: u32| folder.join(format!("{slot}.log"));
    let mut lines = Vec::new();
    let mut followers = Vec::new();
    for slot in slots {
        let (reader, follower) = LogReader::open_followed(&path(*slot))?;
        lines.extend(read(reader, name, *slot, which, slots.len())?);
        followers.push((*slot, follower));
    }
    lines.sort_by_key(|line| line.time);
    let first = lines.len() - which.tail.map_or(lines.len(), |tail| tail.min(lines.len()));
    let mut out = Sending { client, part: Vec::new() };
    for line in lines.drain(..).skip(first) {
        if !out.line(&line) {
            return Ok(());
        }
    }
    while out.flush() && which.follow {
        std::thread::sleep(LOOK);
        if client.is_closed() {
            return Ok(());
        }
        for (slot, follower) in &mut followers {
            let mut alive = true;
            follower.poll(|record| {
                if which.since.is_none_or(|since| record.time >= since) {
                    alive = alive && out.line(&line(name, *slot, record));
                }
            })?;
            if !alive {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The newest lines of one log, as many as are asked for and fit.
fn read(
    reader: LogReader,
    name: &Name,
    slot: u32,
    which: &Which,
    logs: usize,
) -> std::io::Result<VecDeque<LogLine>> {
    let most = HELD_BYTES_MAX / logs.max(1);
    let (mut held, mut bytes) = (VecDeque::new(), 0);
    reader.each(|record| {
        if which.since.is_none_or(|since| record.time >= since) {
            bytes += record.text.len() + size_of::<LogLine>();
            held.push_back(line(name, slot, record));
            while bytes > most || which.tail.is_some_and(|tail| held.len() > tail) {
                let Some(old) = held.pop_front() else { break };
                bytes = bytes.saturating_sub(old.text.len() + size_of::<LogLine>());
            }
        }
        true
    })?;
    Ok(held)
}

fn line(name: &Name, slot: u32, record: &Record<'_>) -> LogLine {
    LogLine {
        time: record.time,
        instance: InstanceId { app: name.clone(), slot, generation: record.generation },
        stream: record.stream.to_string(),
        text: String::from_utf8_lossy(record.text).into_owned(),
    }
}

/// Lines on their way to a client.
struct Sending<'a> {
    client: &'a mpsc::Sender<Bytes>,
    part: Vec<u8>,
}

impl Sending<'_> {
    /// Adds a line; `false` when the client has gone.
    fn line(&mut self, line: &LogLine) -> bool {
        if serde_json::to_writer(&mut self.part, line).is_ok() {
            self.part.push(b'\n');
        }
        self.part.len() < PART_BYTES || self.flush()
    }

    fn flush(&mut self) -> bool {
        if self.part.is_empty() {
            return !self.client.is_closed();
        }
        self.client.blocking_send(std::mem::take(&mut self.part).into()).is_ok()
    }
}
