//! `qyvol attach`.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use qyv_spec::service::Name;
use serde_json::json;

use crate::attached;
use crate::client::Client;
use crate::failure::Result;

/// Watch what an instance writes from now on
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol attach web
  qyvol attach web.1 2>/dev/null      the second replica, without what it says to standard error

Ctrl-C ends the watching, not the app. The app waits for nobody: what is read too slowly here is missed, and said so.
What it has written before is shown by `qyvol logs`. When the app ends, its exit code is given.")]
pub(crate) struct Attach {
    /// Pass every byte to the terminal, control sequences too
    #[arg(long)]
    raw: bool,
    /// The app, or one of its replicas: `app`, `app.1`
    app: Target,
}

/// An app, or one of its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) app: Name,
    /// From 0; any when it is left out.
    pub(crate) slot: Option<u32>,
}

impl FromStr for Target {
    type Err = String;

    /// Reads `app` or `app.slot`: no name of an app has a dot.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (app, slot) = match text.split_once('.') {
            Some((app, slot)) => {
                let number = slot.parse();
                (
                    app,
                    Some(number.map_err(|_| format!("`{slot}` is no number of a replica; write `{app}.0`"))?),
                )
            }
            None => (text, None),
        };
        let app = app.parse().map_err(|invalid: qyv_spec::Invalid| invalid.message)?;
        Ok(Self { app, slot })
    }
}

impl Attach {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let mut path = format!("/v1/apps/{}/attach", self.app.app);
        if let Some(slot) = self.app.slot {
            path = format!("{path}?slot={slot}");
        }
        let session = Client::new()?.session(&path, &json!({}))?;
        attached::carry(&session, false, self.raw)
    }
}
