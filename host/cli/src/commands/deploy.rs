//! `qyvol deploy`.

mod ask;
pub(crate) mod image;
mod request;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use qyv_spec::grants::{Allow, Bind};
use qyv_spec::manifest::Kind;
use qyv_spec::service::Name;
use qyvol_protocol::api::{AppSummary, DeployRequest, Deployed};
use serde_json::json;

use crate::client::{AWAY, Bundle, Client};
use crate::commands::daemon::start;
use crate::failure::{Code, Result};
use crate::output;
use crate::run::options::{Directory, variable};
use crate::settle::{self, Arrival, Settled, Watcher};
use image::Image;

/// Deploy apps: the daemon runs them from now on, and again after a crash
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol deploy logger.qyv                        the app of a manifest, in place
  qyvol deploy .                                 all manifests of this folder, as one deployment
  qyvol deploy web.qyvbin --grant net --bind data=/srv/data
  qyvol deploy hello.wasm --type service --dir data::/data:ro
  qyvol deploy . --watch                         deploys again whenever a file changes, until Ctrl-C

What an app reaches for is granted by `--grant` and `--bind`, or by an answer on the terminal. It is
stored with the app, and a new version that reaches for more is asked about again.
The first `deploy` starts the daemon when none runs.
Exit codes: 0 every app is ready or done, 1 one failed, 126 the daemon refuses them")]
pub(crate) struct Deploy {
    /// `.qyv`, `.qyvbin`, `.wasm` or `.wat` files, or folders with manifests; all of them are one deployment
    #[arg(required = true, value_name = "APP")]
    paths: Vec<PathBuf>,
    /// Arguments of the app, after those of its manifest
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,

    /// Show a folder of this host to the app
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro]", help_heading = "Files")]
    directories: Vec<Directory>,
    /// Bind a slot of the manifest to a path of this host
    #[arg(long, value_name = "SLOT=HOST[:ro]", help_heading = "Files")]
    bind: Vec<Bind>,

    /// Set an environment variable of the apps, or hand over one of this process
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable, help_heading = "Rights")]
    environment: Vec<(String, String)>,
    /// Grant what the apps ask for: `all`, `net`, an address, …
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', help_heading = "Rights")]
    grant: Vec<Allow>,
    /// Deploy bundles that nobody signed
    #[arg(long, help_heading = "Rights")]
    allow_unsigned: bool,
    /// Accept a lower version than the one that runs
    #[arg(long, help_heading = "Rights")]
    force: bool,

    /// Run it as this, whatever its manifest says
    #[arg(long = "type", value_name = "TYPE", value_parser = kind, help_heading = "Life")]
    kind: Option<Kind>,
    /// How many replicas run
    #[arg(long, value_name = "N", help_heading = "Life")]
    replicas: Option<u32>,
    /// Do not wait until the apps are ready
    #[arg(short, long, help_heading = "Life")]
    detach: bool,
    /// Deploy again whenever a packaged file or a manifest changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["detach", "json"], help_heading = "Life")]
    watch: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> std::result::Result<Kind, String> {
    let all = [Kind::Command, Kind::Service, Kind::Http, Kind::Gui, Kind::Web];
    let words = all.map(Kind::word).join("`, `");
    all.into_iter().find(|kind| kind.word() == text).ok_or_else(|| format!("write `{words}`"))
}

/// What became of a deployment.
enum Outcome {
    /// Every app is up, or nobody waited for it.
    Up(Deployed),
    /// These are not.
    Down(Vec<Name>),
    Interrupted,
}

impl Deploy {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        // All mistakes of what was typed, before a daemon is started for it.
        let images = image::all(&self.paths)?;
        let client = Client::new()?;
        self.request(&images, Vec::new(), client.is_remote())?;
        if client.is_remote() && !(self.bind.is_empty() && self.directories.is_empty()) {
            output::note(&format!("`--bind` and `--dir` name folders of the host of `{}`", client.place()));
        }
        if self.watch {
            start::ensure(&client)?;
            return watch::watch(self, &client, images);
        }
        match self.deploy(&client, &images)? {
            Outcome::Up(deployed) => {
                if self.json {
                    output::json(&json!({ "deploy": 1, "apps": deployed.apps, "event": deployed.event }))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Down(failed) => Err(settle::tell_failures(&client, &failed)),
            Outcome::Interrupted => Ok(ExitCode::from(Code::Interrupted as u8)),
        }
    }

    /// Deploys everything at once, and waits for it.
    fn deploy(&self, client: &Client, images: &[Image]) -> Result<Outcome> {
        let remote = client.is_remote();
        let bundles: Vec<&Bundle> = images.iter().map(|image| &image.bundle).collect();
        let request = self.request(images, Vec::new(), remote)?;
        let deployed = match send(client, &request, &bundles) {
            Err(failure) if failure.code == Code::Refused => {
                // What is missing may be a matter of a question.
                let answered = ask::answered(client, images, &request, failure)?;
                client.deploy(&self.request(images, answered, remote)?, &bundles)?
            }
            other => other?,
        };
        if self.detach {
            return Ok(Outcome::Up(deployed));
        }
        let names: Vec<Name> = deployed.apps.iter().map(|app| app.app.clone()).collect();
        let arrival = |app: &AppSummary| {
            let revision = deployed.apps.iter().find(|deployed| deployed.app == app.app);
            if revision.is_some_and(|deployed| app.revision < deployed.revision) {
                return Arrival::Moving;
            }
            settle::up(app)
        };
        match Watcher::new(client, Some(deployed.event))?.wait(&names, arrival)? {
            Settled::All => Ok(Outcome::Up(deployed)),
            Settled::Without(failed) => Ok(Outcome::Down(failed)),
            Settled::Interrupted => {
                output::note("the apps are deployed and go on; `qyvol ps` shows them");
                Ok(Outcome::Interrupted)
            }
        }
    }
}

/// Deploys, by a daemon that is started when none runs: asking first whether one does would be one question more each time.
fn send(client: &Client, request: &DeployRequest, bundles: &[&Bundle]) -> Result<Deployed> {
    match client.deploy(request, bundles) {
        Err(failure) if failure.cause == AWAY => {
            start::ensure(client)?;
            client.deploy(request, bundles)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        deploy: Deploy,
    }

    fn parsed(line: &str) -> std::result::Result<Deploy, String> {
        let words = std::iter::once("deploy").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.deploy).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_typed_is_read() {
        let deploy = parsed("a.qyv b --grant net,env:KEY --type service --replicas 3 -- x --y").unwrap();
        assert_eq!((deploy.paths.len(), deploy.grant.len(), deploy.kind), (2, 2, Some(Kind::Service)));
        assert_eq!((deploy.replicas, deploy.arguments.len()), (Some(3), 2));
        for bad in [
            "",
            "a --type daemon",
            "a --replicas -1",
            "a --grant everything",
            "a --watch --detach",
            "a --dir x",
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
