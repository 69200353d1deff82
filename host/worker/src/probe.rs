//! Whether an instance works.

use std::sync::Arc;
use std::time::Duration;

use qyv_spec::app::Probe;
use qyv_svc::ListenerId;
use qyv_vfs::Budget;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::instance::{End, Instance, Purpose};
use crate::services::Services;
use crate::stdio::{Kept, Stdio};
use crate::worker::Worker;

/// What one probe may hold, in bytes.
const PROBE_BYTES: u64 = 64 << 10;

/// How often it is looked whether a connection was accepted.
const LOOK: Duration = Duration::from_millis(5);

/// Tries what the manifest says, within `timeout`.
pub(crate) async fn probe(
    worker: &Arc<Worker>,
    instance: &Instance,
    what: &Probe,
    timeout: Duration,
) -> Result<(), String> {
    let tried = async {
        match what {
            // The instance itself: others may share its address.
            Probe::Http(path) if let Some(server) = instance.server() => server.probe(path.as_str()).await,
            Probe::Http(path) => http(instance, path.as_str()).await,
            Probe::Service(name) => {
                let listener =
                    instance.listener(name).ok_or_else(|| format!("it does not serve `{name}`"))?;
                accepts(&worker.services, listener).await
            }
            Probe::Exec(args) => exec(worker, instance, args).await,
        }
    };
    tokio::time::timeout(timeout, tried).await.unwrap_or_else(|_| Err("it did not answer in time".into()))
}

/// An app that listens is asked for a page, which must be found.
async fn http(instance: &Instance, path: &str) -> Result<(), String> {
    let bell = instance.bell().ok_or_else(|| "it listens on no address".to_owned())?;
    let text = |error: std::io::Error| error.to_string();
    let mut stream = bell.ring()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: qyvol\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.map_err(text)?;
    match &status {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', _, _] => Ok(()),
        other => Err(format!("it answered `{}`", String::from_utf8_lossy(other).escape_debug())),
    }
}

/// The app's program, run with these arguments, must end with 0. Given up, it is ended.
async fn exec(worker: &Arc<Worker>, instance: &Instance, args: &[String]) -> Result<(), String> {
    let said = Kept::default();
    let mut check = instance.beside(worker, Purpose::Probe, None, (args, &[]), Stdio::kept(&said))?;
    match check.end().await {
        Some(End { code: 0, .. }) => Ok(()),
        Some(End { cause, code, .. }) if cause == "exit" => {
            Err(format!("its check ended with {code}: {}", said.text())
                .trim_end_matches([':', ' '])
                .to_owned())
        }
        Some(End { message, .. }) => Err(format!("its check failed: {message}")),
        None => Err("it has ended".into()),
    }
}

/// A service must accept a connection.
async fn accepts(services: &Services, listener: ListenerId) -> Result<(), String> {
    let budget = Budget::new(PROBE_BYTES);
    let (_end, number) = services
        .with(|network, wakes| network.probe(listener, &budget, wakes))
        .map_err(|error| format!("it takes no connection: {error}"))?;
    loop {
        match services.with(|network, _| network.accepted(listener)) {
            Some(accepted) if accepted >= number => return Ok(()),
            Some(_) => tokio::time::sleep(LOOK).await,
            None => return Err("it takes no connections any more".into()),
        }
    }
}
