//! Server-sent events: the part of the WHATWG's format that the daemon uses, and what its rules say to ignore.

use std::time::Duration;

use qyvol_protocol::api::Event;

use super::{Line, Lines, decode};
use crate::failure::{Failure, Result};

/// The longest event, in bytes.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Events, in their order.
pub(crate) struct Events<'a> {
    lines: Lines<'a>,
    data: String,
}

impl<'a> Events<'a> {
    pub(super) fn new(lines: Lines<'a>) -> Self {
        Self { lines, data: String::new() }
    }

    /// Waits for the next event.
    pub(crate) fn next(&mut self) -> Result<Line<Event>> {
        self.next_within(Duration::MAX)
    }

    /// Waits for the next event, for so long.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Result<Line<Event>> {
        loop {
            match self.lines.next_within(patience)? {
                Line::Text(line) => {
                    if let Some(data) = take(&mut self.data, &line)? {
                        return Ok(Line::Text(decode(data.as_bytes())?));
                    }
                }
                Line::Quiet => return Ok(Line::Quiet),
                Line::End => return Ok(Line::End),
                Line::Interrupted => return Ok(Line::Interrupted),
            }
        }
    }
}

/// Takes one line; an empty one ends an event, whose data it returns. Comments, which keep the connection alive, and
/// fields that the data repeats mean nothing here.
fn take(data: &mut String, line: &str) -> Result<Option<String>> {
    if line.is_empty() {
        return Ok((!data.is_empty()).then(|| std::mem::take(data)));
    }
    let Some(value) = line.strip_prefix("data:") else { return Ok(None) };
    if data.len() + value.len() > EVENT_BYTES_MAX {
        return Err(Failure::own(format!("the daemon sent an event of more than {EVENT_BYTES_MAX} bytes")));
    }
    if !data.is_empty() {
        data.push('\n');
    }
    data.push_str(value.strip_prefix(' ').unwrap_or(value));
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_joined_and_all_else_ignored() {
        let mut data = String::new();
        let lines =
            [": alive", "", "id: 7", "event: state", "data: {\"a\":", "data:1}", "", "", "data: 2", ""];
        let taken: Vec<String> = lines.iter().filter_map(|line| take(&mut data, line).unwrap()).collect();
        assert_eq!(taken, ["{\"a\":\n1}", "2"]);
    }

    #[test]
    fn an_event_without_end_is_not_kept_without_bound() {
        let mut data = String::new();
        let line = format!("data: {}", "x".repeat(1 << 20));
        assert!((0..64).any(|_| take(&mut data, &line).is_err()));
    }
}
