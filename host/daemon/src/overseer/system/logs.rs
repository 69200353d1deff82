//! The last lines of an app's logs, for programs that may read them.

use std::collections::VecDeque;
use std::path::Path;

use qyvol_logs::LogReader;
use qyvol_protocol::system::{LINES_BYTES_MAX, Line, Refused, RefusedKind, Told};

/// Reads them; the oldest first. Waits for the disk.
pub(super) fn last(folder: &Path, slots: &[u32], most: usize) -> Told {
    match read(folder, slots, most) {
        Ok(lines) => Told::Lines(lines),
        Err(error) => Told::Refused(Refused {
            kind: RefusedKind::Failed,
            message: format!("the log cannot be read: {error}"),
            hint: None,
        }),
    }
}

fn read(folder: &Path, slots: &[u32], most: usize) -> std::io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for slot in slots {
        let (mut held, mut bytes) = (VecDeque::new(), 0);
        LogReader::open(&folder.join(format!("{slot}.log")))?.each(|record| {
            let text = String::from_utf8_lossy(record.text).into_owned();
            bytes += text.len();
            held.push_back(Line { time: record.time, slot: *slot, stream: record.stream.to_string(), text });
            while held.len() > most || bytes > LINES_BYTES_MAX {
                let Some(old) = held.pop_front() else { break };
                bytes -= old.text.len();
            }
            true
        })?;
        lines.extend(held);
        lines.sort_by_key(|line| line.time);
        shorten(&mut lines, most);
    }
    Ok(lines)
}

/// Leaves the newest lines, as many as may be told.
fn shorten(lines: &mut Vec<Line>, most: usize) {
    let mut bytes = 0;
    let fits = |line: &&Line| {
        bytes += line.text.len();
        bytes <= LINES_BYTES_MAX
    };
    let kept = lines.iter().rev().take(most).take_while(fits).count();
    lines.drain(..lines.len() - kept);
}
