//! `qyvol events`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api::Event;

use crate::client::{Client, Line};
use crate::failure::{Code, Failure, Result};
use crate::output::{self, Stream};
use crate::times;

/// Follow what happens to apps, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol events
  qyvol events --app logger
  qyvol events --since 0 --json | jq -c '[.id, .app, .state]'

Events are numbered for as long as the daemon's state lives; `--since` resumes after the last one that was seen.")]
pub(crate) struct Events {
    /// Begin after the event of this number, with what is kept
    #[arg(long, value_name = "ID")]
    since: Option<u64>,
    /// Only this app's
    #[arg(long)]
    app: Option<Name>,
    /// Report each event as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let mut events = client.events(self.since, self.app.as_ref())?;
        loop {
            match events.next()? {
                Line::Text(event) => {
                    let text = match self.json {
                        true => serde_json::to_string(&event).map_err(Failure::own)?,
                        false => text(&event),
                    };
                    if !output::line(Stream::Output, &text, false)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Line::End | Line::Quiet => return Ok(ExitCode::SUCCESS),
                Line::Interrupted => return Ok(ExitCode::from(Code::Interrupted as u8)),
            }
        }
    }
}

fn text(event: &Event) -> String {
    let about = match (&event.instance, &event.app) {
        (Some(instance), _) => instance.to_string(),
        (None, Some(app)) => app.to_string(),
        (None, None) => "-".into(),
    };
    let message = event.message.replace('\n', " ");
    format!("{} {} {} {about} {message}", event.id, times::rfc3339(event.time), event.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let mut event = Event {
            id: 7,
            time: 0,
            kind: "state".into(),
            app: Some("db".parse().unwrap()),
            instance: Some("db.0@3".parse().unwrap()),
            state: Some("failed".into()),
            message: "trap:\nunreachable".into(),
        };
        assert_eq!(text(&event), "7 1970-01-01T00:00:00.000Z state db.0@3 trap: unreachable");
        event.instance = None;
        assert!(text(&event).contains(" state db trap"));
        event.app = None;
        assert!(text(&event).contains(" state - trap"));
    }
}
