//! The daemon's API as a client sees it: one request a connection, answers read to their end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks, and reads the answer, which is JSON.
pub(super) fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut answer = Vec::new();
    send(socket, method, path, &body)?.read_to_end(&mut answer).context("read the daemon's answer")?;
    let answer = String::from_utf8(answer).context("the daemon's answer is not UTF-8")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the daemon's answer has no end of its head")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status.starts_with('2'), "{method} {path}: {status} {body}");
    serde_json::from_str(body).with_context(|| format!("{method} {path} gave `{body}`"))
}

/// Events as they happen.
pub(super) struct Events(BufReader<UnixStream>);

impl Events {
    /// Follows what happens from now on.
    pub(super) fn follow(socket: &Path) -> Result<Self> {
        let mut events = Self(BufReader::new(send(socket, "GET", "/v1/events", "")?));
        // The first line after the head says that nothing is missed from here on.
        while !events.line()?.starts_with(':') {}
        Ok(events)
    }

    /// Waits until an app is in this state.
    pub(super) fn wait(&mut self, app: &str, state: &str) -> Result<()> {
        loop {
            let line = self.line()?;
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).context("an event is not JSON")?;
            if event["app"] == app && event["state"] == state {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).context("read the daemon's events")? == 0 {
            bail!("the daemon's events have ended");
        }
        Ok(line)
    }
}

/// Sends a request whose answer ends with its connection.
fn send(socket: &Path, method: &str, path: &str, body: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).context("connect to the daemon")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.0\r\nhost: qyvold\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).context("ask the daemon")?;
    Ok(stream)
}
