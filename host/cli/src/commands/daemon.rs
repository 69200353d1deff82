//! `qyvol daemon`: the process that looks after deployed apps.

pub(crate) mod manifests;
mod run;
pub(crate) mod start;
mod token;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hyper::Method;
use qyvol_protocol::api::Info;
use serde_json::json;

use crate::client::Client;
use crate::commands::inspect::deployed::wall;
use crate::failure::{Code, Failure, Result};
use crate::{output, times};

/// Start, stop and look at the daemon, which runs deployed apps
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol daemon start
  qyvol daemon status
  qyvol daemon stop                 apps go on for a minute, or until the next daemon takes them over
  qyvol daemon stop --apps          stops the apps first

The first `qyvol deploy` starts the daemon by itself; nothing else does.
Its socket is `$XDG_RUNTIME_DIR/qyvol/qyvold.sock` (root: `/run/qyvol`), its state
`~/.local/state/qyvol` (root: `/var/lib/qyvol`); `QYVOL_RUNTIME_DIR` and `QYVOL_STATE_DIR` name others.")]
pub(crate) struct Daemon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Be the daemon: stay in the foreground until it is told to stop
    #[command(after_help = "Examples:
  qyvol daemon run                  as a service manager starts it; it says what goes wrong on standard error
  qyvol daemon run --manifests /srv/apps
  qyvol daemon run --listen 10.0.0.5:7443 --tls-cert host.pem --tls-key host.key")]
    Run(Settings),
    /// Start the daemon in the background, unless it runs
    #[command(after_help = "Examples:
  qyvol daemon start
  qyvol daemon start --manifests ~/apps
  qyvol daemon start --listen 127.0.0.1:7443   and `qyvol daemon token` prints how to connect")]
    Start {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        format: Format,
    },
    /// Stop the daemon
    #[command(after_help = "Examples:
  qyvol daemon stop
  qyvol daemon stop --apps")]
    Stop {
        /// Stop the apps first; without it they go on for a minute, or until the next daemon takes them over
        #[arg(long)]
        apps: bool,
    },
    /// Say whether the daemon runs, and what it looks after (exit code 1 when none runs)
    #[command(after_help = "Examples:
  qyvol daemon status
  qyvol daemon status --json | jq .daemon.pid")]
    Status(Format),
    /// Print how clients of other hosts connect to the daemon of this one
    #[command(after_help = "Examples:
  qyvol daemon token
  eval \"$(qyvol daemon token)\"      this shell's commands go over TCP from now on
  qyvol daemon token --new          the token before opens nothing any more

The token lets its holder do all that the daemon's user may do.")]
    Token {
        /// Make a new token in place of the one that is there
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        format: Format,
    },
}

/// What the daemon is told at its start.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Settings {
    /// The folder whose manifests and bundles are deployed, and followed [default: /etc/qyvol.d for root,
    /// `~/.config/qyvol/qyvol.d` else]
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Answer clients of other hosts too, at this address: over TLS, and with the token that `qyvol daemon token` prints
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The certificate for them, and those that vouch for it, in PEM; without it the daemon makes one
    #[arg(long, value_name = "FILE", requires_all = ["listen", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Args)]
struct Format {
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Daemon {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        if client.is_remote() && !matches!(self.action, Action::Stop { .. } | Action::Status(_)) {
            return Err(Failure::usage("this is about the daemon of this host, and another one was chosen")
                .hint("type it on that host, or without `--host` and `QYVOL_HOST`"));
        }
        match &self.action {
            Action::Run(settings) => run::run(settings),
            Action::Start { settings, format } => start(&client, settings, *format),
            Action::Stop { apps } => stop(&client, *apps),
            Action::Status(format) => status(&client, *format),
            Action::Token { new, format } => token::token(*new, format.json),
        }
    }
}

fn start(client: &Client, settings: &Settings, format: Format) -> Result<ExitCode> {
    let info = match client.running()? {
        Some(info) => {
            output::note(&format!("the daemon runs already, as process {}", info.pid));
            info
        }
        None => start::start(client, settings)?,
    };
    if format.json {
        output::json(&json!({ "daemon_start": 1, "daemon": info }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How long a daemon may take to end. With `--apps` it waits for the apps first, each as long as its `stop_grace`.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

fn stop(client: &Client, apps: bool) -> Result<ExitCode> {
    let Some(info) = client.running()? else {
        output::note("no daemon runs");
        return Ok(ExitCode::SUCCESS);
    };
    client.change(Method::POST, if apps { "/v1/daemon/stop?apps=true" } else { "/v1/daemon/stop" })?;
    let begun = Instant::now();
    // Gone when nobody listens; a daemon that ends hangs up on those who ask.
    while !matches!(client.running(), Ok(None)) {
        if begun.elapsed() > STOP_PATIENCE {
            let message = format!("the daemon, process {}, still runs after {STOP_PATIENCE:?}", info.pid);
            return Err(Failure::own(message).hint(format!("if it hangs: `kill {}`", info.pid)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = if apps || info.instances == 0 { "" } else { "; the apps go on without it for a minute" };
    output::note(&format!("the daemon, process {}, has ended{left}", info.pid));
    Ok(ExitCode::SUCCESS)
}

fn status(client: &Client, format: Format) -> Result<ExitCode> {
    let info = client.running()?;
    let log = start::log_file()?;
    let manifests = info.as_ref().map(|_| manifests::all(client)).transpose()?.flatten();
    if format.json {
        let (socket, running) = (client.place(), info.is_some());
        output::json(&json!({
            "daemon_status": 1, "running": running, "socket": socket, "log": log, "daemon": info,
            "manifests": manifests,
        }))?;
    } else {
        match &info {
            Some(info) => {
                let followed = manifests.as_ref().map(manifests::about).unwrap_or_default();
                output::data(&(about(info, client, times::now()) + &followed))?;
            }
            None => output::data(&format!("no daemon runs\nsocket   {}\n", client.place()))?,
        }
        output::data(&format!("log      {}\n", log.display()))?;
    }
    Ok(if info.is_some() { ExitCode::SUCCESS } else { ExitCode::from(Code::Found as u8) })
}

fn about(info: &Info, client: &Client, now: u64) -> String {
    let mut text = format!(
        "qyvold {} runs as process {}, since {}\napps     {}, {} instances\nstate    {}\nsocket   {}\n",
        info.version,
        info.pid,
        times::age(info.started, now),
        info.apps,
        info.instances,
        info.state,
        client.place(),
    );
    if let Some(remote) = &info.remote {
        let _ =
            writeln!(text, "listens  https://{}, certificate sha256:{}", remote.address, remote.certificate);
    }
    for worker in &info.workers {
        let walls: Vec<String> = worker.walls.iter().map(wall).collect();
        let own = if worker.own { ", one app alone" } else { "" };
        let _ = writeln!(
            text,
            "worker   {}: process {}, {} instances{own}; walls: {}",
            worker.worker,
            worker.pid,
            worker.instances,
            if walls.is_empty() { "none".to_owned() } else { walls.join(", ") },
        );
    }
    text
}
