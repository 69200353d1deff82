//! `qyvol scale`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyvol_protocol::api;
use serde_json::json;

use crate::client::Client;
use crate::failure::{Code, Failure, Result};
use crate::output;
use crate::settle::{self, Arrival, Settled, Watcher};

/// Change how many replicas of apps run
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol scale web=3
  qyvol scale web=3 worker=0")]
pub(crate) struct Scale {
    /// The apps, and how many replicas of each
    #[arg(required = true, value_name = "APP=N", value_parser = wanted)]
    apps: Vec<(Name, u32)>,
    /// Do not wait until they run
    #[arg(short, long)]
    detach: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

fn wanted(text: &str) -> std::result::Result<(Name, u32), String> {
    let (name, count) = text.split_once('=').ok_or("write `APP=N`, as in `web=3`")?;
    let count = count.parse().map_err(|_| format!("`{count}` is no number of replicas"))?;
    Ok((name.parse().map_err(|invalid: qyv_spec::Invalid| invalid.to_string())?, count))
}

impl Scale {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        for (index, (app, _)) in self.apps.iter().enumerate() {
            if self.apps.iter().take(index).any(|(other, _)| other == app) {
                return Err(Failure::usage(format!("`{app}` is named twice")));
            }
        }
        let client = Client::new()?;
        let mut watcher = if self.detach { None } else { Some(Watcher::new(&client, None)?) };
        for (app, replicas) in &self.apps {
            client.post_change(&format!("/v1/apps/{app}/scale"), &api::Scale { replicas: *replicas })?;
        }
        let names: Vec<Name> = self.apps.iter().map(|(name, _)| name.clone()).collect();
        let arrival = |app: &api::AppSummary| {
            let enough = app.state != "ready" || app.ready == app.replicas;
            if enough { settle::up(app) } else { Arrival::Moving }
        };
        match watcher.as_mut().map(|watcher| watcher.wait(&names, arrival)).transpose()? {
            None | Some(Settled::All) => {}
            Some(Settled::Interrupted) => return Ok(ExitCode::from(Code::Interrupted as u8)),
            Some(Settled::Without(failed)) => return Err(settle::tell_failures(&client, &failed)),
        }
        if self.json {
            let apps: Vec<_> =
                self.apps.iter().map(|(app, replicas)| json!({ "app": app, "replicas": replicas })).collect();
            output::json(&json!({ "scale": 1, "apps": apps }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_and_its_replicas_are_read() {
        assert_eq!(wanted("web=3"), Ok(("web".parse().unwrap(), 3)));
        assert_eq!(wanted("web=0"), Ok(("web".parse().unwrap(), 0)));
        for bad in ["web", "web=", "web=-1", "web=3=4", "=3", "Web=3", "web=99999999999"] {
            assert!(wanted(bad).is_err(), "{bad:?}");
        }
    }
}
