//! Server-sent events: the part of the WHATWG's format that the daemon uses, and what its rules say to ignore.

use std::time::{Duration, Instant};

use qyv_spec::service::Name;
use qyvol_protocol::api::Event;

use super::{AWAY, BACK_PATIENCE, BACK_PERIOD, Client, Line, Lines, decode};
use crate::failure::{Failure, Result};

/// The longest event, in bytes.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Events, in their order. A daemon that ends is waited for, and the next one goes on after the last event that was seen.
pub(crate) struct Events<'a> {
    client: &'a Client,
    app: Option<Name>,
    lines: Lines<'a>,
    data: String,
    /// The last number that was seen.
    last: Option<u64>,
}

impl<'a> Events<'a> {
    pub(super) fn open(client: &'a Client, since: Option<u64>, app: Option<&Name>) -> Result<Self> {
        let lines = client.lines(&path(since, app))?;
        Ok(Self { client, app: app.cloned(), lines, data: String::new(), last: since })
    }

    /// Waits for the next event.
    pub(crate) fn next(&mut self) -> Result<Line<Event>> {
        self.next_within(Duration::MAX)
    }

    /// Waits for the next event, for so long; longer only when the daemon has to be waited for.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Result<Line<Event>> {
        loop {
            match self.lines.next_within(patience) {
                Ok(Line::Text(line)) => {
                    if let Some(number) = line.strip_prefix("id:") {
                        self.last = number.trim().parse().ok().or(self.last);
                    }
                    if let Some(data) = take(&mut self.data, &line)? {
                        return Ok(Line::Text(decode(data.as_bytes())?));
                    }
                }
                Ok(Line::Quiet) => return Ok(Line::Quiet),
                Ok(Line::Interrupted) => return Ok(Line::Interrupted),
                Ok(Line::End) => match self.resume()? {
                    Resumed::Yes => {}
                    Resumed::No => return Ok(Line::End),
                    Resumed::Interrupted => return Ok(Line::Interrupted),
                },
                Err(failure) if failure.cause == AWAY => match self.resume()? {
                    Resumed::Yes => {}
                    Resumed::No => return Err(failure),
                    Resumed::Interrupted => return Ok(Line::Interrupted),
                },
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Goes on with the next daemon, after the last event. Not when no number was seen: something would be missed.
    fn resume(&mut self) -> Result<Resumed> {
        let Some(last) = self.last else { return Ok(Resumed::No) };
        self.data.clear();
        let begun = Instant::now();
        loop {
            match self.client.lines(&path(Some(last), self.app.as_ref())) {
                Ok(lines) => {
                    self.lines = lines;
                    return Ok(Resumed::Yes);
                }
                Err(failure) if failure.cause != AWAY => return Ok(Resumed::No),
                Err(_) if begun.elapsed() > BACK_PATIENCE => return Ok(Resumed::No),
                Err(_) => {}
            }
            if self.client.pause(BACK_PERIOD)? {
                return Ok(Resumed::Interrupted);
            }
        }
    }
}

enum Resumed {
    Yes,
    No,
    Interrupted,
}

/// Where events come from: after one of them or from now on, of one app or of all.
fn path(since: Option<u64>, app: Option<&Name>) -> String {
    let since = since.map(|since| format!("since={since}"));
    let app = app.map(|app| format!("app={app}"));
    let options: Vec<String> = since.into_iter().chain(app).collect();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("/v1/events{mark}{}", options.join("&"))
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
    fn options_become_the_question() {
        let app: Name = "db".parse().unwrap();
        assert_eq!(path(None, None), "/v1/events");
        assert_eq!(path(Some(4), None), "/v1/events?since=4");
        assert_eq!(path(Some(4), Some(&app)), "/v1/events?since=4&app=db");
    }

    #[test]
    fn an_event_without_end_is_not_kept_without_bound() {
        let mut data = String::new();
        let line = format!("data: {}", "x".repeat(1 << 20));
        assert!((0..64).any(|_| take(&mut data, &line).is_err()));
    }
}
