//! `qyvol logs`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::{AppDetail, LogLine};

use crate::client::{Client, Line, decode};
use crate::failure::{Code, Result};
use crate::output::{self, Stream};
use crate::times;

/// Show what an app has written
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol logs logger                 everything that is kept
  qyvol logs logger --tail 20 -f    the last 20 lines, and what follows, until Ctrl-C
  qyvol logs logger --since 10m
  qyvol logs logger --since 2026-01-31T12:00:00Z --json | jq -r .text

What the app wrote to its standard error goes to standard error here, and so does what qyvol says about it.")]
pub(crate) struct Logs {
    /// The app
    app: Name,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only what was written since then: `10m` (ago), an RFC 3339 time, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<u64>,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
    /// Only one replica, from 0
    #[arg(long, value_name = "NUMBER")]
    slot: Option<u32>,
    /// Begin each line with the time at which it was written
    #[arg(short, long)]
    timestamps: bool,
    /// Pass every byte to the terminal, control sequences too
    #[arg(long)]
    raw: bool,
    /// Report each line as one line of JSON
    #[arg(long, conflicts_with_all = ["timestamps", "raw"])]
    json: bool,
}

/// What lines of the host's begin with. Where an app's line would, it begins with `app: `.
const OURS: &str = "qyvol: ";

fn since(text: &str) -> std::result::Result<u64, String> {
    times::since(text, times::now())
}

impl Logs {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let several = !self.json && self.slot.is_none() && {
            let app: AppDetail = client.get(&format!("/v1/apps/{}", self.app))?;
            app.summary.replicas > 1
        };
        let mut lines = client.lines(&self.path())?;
        loop {
            match lines.next()? {
                Line::Text(text) if text.is_empty() => {}
                Line::Text(text) => {
                    let line: LogLine = decode(text.as_bytes())?;
                    if !self.show(&line, several)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Line::End | Line::Quiet => return Ok(ExitCode::SUCCESS),
                Line::Interrupted => return Ok(ExitCode::from(Code::Interrupted as u8)),
            }
        }
    }

    fn path(&self) -> String {
        let mut path = format!("/v1/apps/{}/logs?follow={}", self.app, self.follow);
        let options =
            [("since", self.since), ("tail", self.tail.map(u64::from)), ("slot", self.slot.map(u64::from))];
        for (name, value) in options {
            if let Some(value) = value {
                let _ = write!(path, "&{name}={value}");
            }
        }
        path
    }

    /// Shows a line; `false` when nobody reads any more.
    fn show(&self, line: &LogLine, several: bool) -> Result<bool> {
        if self.json {
            let text = serde_json::to_string(line).map_err(crate::failure::Failure::own)?;
            return output::line(Stream::Output, &text, false);
        }
        let stream = if line.stream == "stdout" { Stream::Output } else { Stream::Errors };
        output::line(stream, &text(line, self.timestamps, several), self.raw)
    }
}

fn text(line: &LogLine, timestamps: bool, several: bool) -> String {
    let mut text = String::new();
    if timestamps {
        let _ = write!(text, "{} ", times::rfc3339(line.time));
    }
    if several {
        let _ = write!(text, "{}.{} | ", line.instance.app, line.instance.slot);
    }
    if line.stream == "qyvol" {
        text.push_str(OURS);
    } else if output::seen(&line.text).trim_start().starts_with(OURS.trim_end()) {
        text.push_str("app: ");
    }
    text.push_str(&line.text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        logs: Logs,
    }

    fn parsed(line: &str) -> std::result::Result<Logs, String> {
        let words = std::iter::once("logs").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.logs).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_the_question() {
        assert_eq!(parsed("db").unwrap().path(), "/v1/apps/db/logs?follow=false");
        let all = parsed("db -f --since 5 --tail 7 --slot 2").unwrap();
        assert_eq!(all.path(), "/v1/apps/db/logs?follow=true&since=5&tail=7&slot=2");
        for bad in ["", "../etc", "db?x=1", "Db", "db --tail -1", "db --since soon", "db --json --raw"] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_says_as_much_as_was_asked_for() {
        let line = LogLine {
            time: 1500,
            instance: "db.1@7".parse().unwrap(),
            stream: "stdout".into(),
            text: "hello".into(),
        };
        assert_eq!(text(&line, false, false), "hello");
        assert_eq!(text(&line, true, true), "1970-01-01T00:00:01.500Z db.1 | hello");
        let ours = LogLine { stream: "qyvol".into(), ..line };
        assert_eq!(text(&ours, false, false), "qyvol: hello");
        for claim in
            ["qyvol: hello", "  qyvol: x", "\x1b[31mqy\x1b[0mvol: x", "\rqyvol: x", "\x1b[5Gqyvol: x"]
        {
            let theirs = LogLine { stream: "stderr".into(), text: claim.into(), ..ours.clone() };
            assert_eq!(text(&theirs, false, false), format!("app: {claim}"));
        }
    }
}
