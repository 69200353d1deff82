//! The client's side of the daemon's API: HTTP/1.1 over the daemon's Unix socket, one connection a request.
//!
//! Commands wait for answers, so everything here blocks. A failure of the daemon becomes a [`Failure`] with the daemon's
//! own words, and its exit code.

mod body;
mod interrupt;
mod lines;
mod problem;
mod sse;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use qyvol_protocol::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use body::Sent;
use interrupt::Interrupt;
pub(crate) use lines::{Line, Lines};
pub(crate) use sse::Events;

/// The most bytes of an answer that is no stream: 10,000 apps in all detail are fewer.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// How long a daemon that lives may take to say who it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest path that a Unix socket may have on Linux, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Speaks with the daemon of this user.
pub(crate) struct Client {
    runtime: Runtime,
    socket: PathBuf,
    interrupt: Interrupt,
}

impl Client {
    /// A client for the daemon that was chosen. Nothing is connected yet.
    pub(crate) fn new() -> Result<Self> {
        Self::local()
    }

    /// A client for the daemon of this user, on this host.
    pub(crate) fn local() -> Result<Self> {
        let socket = crate::folders::socket()?;
        if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let message =
                format!("`{}` is too long for a socket ({SOCKET_PATH_BYTES_MAX} bytes)", socket.display());
            return Err(Failure::own(message)
                .hint(format!("set `{}` to a shorter folder", crate::folders::RUNTIME_VARIABLE)));
        }
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::own)?;
        Ok(Self { runtime, socket, interrupt: Interrupt::default() })
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The daemon, or `None` when none runs.
    pub(crate) fn running(&self) -> Result<Option<api::Info>> {
        let asked = self.runtime.block_on(async {
            let stream = match UnixStream::connect(&self.socket).await {
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(self.unreachable(&error)),
                Ok(stream) => stream,
            };
            let answer = exchange(stream, Method::GET, "/v1/info", Sent::nothing());
            let answer = tokio::time::timeout(PROBE_TIMEOUT, answer).await.map_err(|_| {
                let seconds = PROBE_TIMEOUT.as_secs();
                Failure::own(format!("the daemon did not answer within {seconds} s"))
                    .hint("its log may tell why: `qyvol daemon --help` says where its state is")
            })?;
            answer.map(Some)
        })?;
        let Some(response) = asked else { return Ok(None) };
        self.read(response).map(Some)
    }

    /// Asks for something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.send(Method::GET, path, Sent::nothing())?;
        self.read(response)
    }

    /// Asks for a change that has no answer but that it was done.
    pub(crate) fn change(&self, method: Method, path: &str) -> Result<()> {
        self.send(method, path, Sent::nothing()).map(drop)
    }

    /// Sends JSON, and reads the answer.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let response = self.send(Method::POST, path, json(body)?)?;
        self.read(response)
    }

    /// Sends JSON for which there is no answer but that it was done.
    pub(crate) fn post_change(&self, path: &str, body: &impl Serialize) -> Result<()> {
        self.send(Method::POST, path, json(body)?).map(drop)
    }

    /// Sends bytes to be kept at `path`.
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.send(Method::PUT, path, Sent::bytes(bytes)).map(drop)
    }

    /// Sends a file to be kept at `path`, from its current place to its end.
    pub(crate) fn put_file(&self, path: &str, file: File, bytes: u64) -> Result<()> {
        self.send(Method::PUT, path, Sent::file(file, bytes)).map(drop)
    }

    /// Whether there is something at `path`.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        let response = self.runtime.block_on(self.ask(Method::HEAD, path, Sent::nothing()))?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // The answer to `HEAD` has no words.
            status => Err(problem::failure(status, b"")),
        }
    }

    /// Opens a stream of lines.
    pub(crate) fn lines(&self, path: &str) -> Result<Lines<'_>> {
        let response = self.send(Method::GET, path, Sent::nothing())?;
        Lines::new(self, response.into_body())
    }

    /// Waits for so long, or until Ctrl-C, which is `true`.
    pub(crate) fn pause(&self, time: Duration) -> Result<bool> {
        self.interrupt.watch(&self.runtime)?;
        Ok(self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupt.pressed() => true,
                () = tokio::time::sleep(time) => false,
            }
        }))
    }

    /// Opens a stream of events.
    pub(crate) fn events(&self, path: &str) -> Result<Events<'_>> {
        Ok(Events::new(self.lines(path)?))
    }

    /// Sends a request whose answer must be a good one.
    fn send(&self, method: Method, path: &str, body: Sent) -> Result<Response<Incoming>> {
        let response = self.runtime.block_on(self.ask(method, path, body))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let answer = self.bytes(response).unwrap_or_default();
        Err(problem::failure(status, &answer))
    }

    async fn ask(&self, method: Method, path: &str, body: Sent) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match is_absent(&error) {
            true => Failure::own("no daemon runs")
                .hint("start it: `qyvol daemon start`; the first `qyvol deploy` does that by itself"),
            false => self.unreachable(&error),
        })?;
        exchange(stream, method, path, body).await
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T> {
        let bytes = self.bytes(response)?;
        decode(&bytes)
    }

    fn bytes(&self, response: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let collected = self.runtime.block_on(body.collect());
        collected.map(http_body_util::Collected::to_bytes).map_err(hung_up)
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        Failure::at_path("reach the daemon at", &self.socket, error)
    }
}

/// Sends a request on a connection of its own, and waits for the head of the answer.
async fn exchange(stream: UnixStream, method: Method, path: &str, body: Sent) -> Result<Response<Incoming>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(hung_up)?;
    // It ends with the answer, or with the client; what goes wrong on it is the answer's error too.
    drop(tokio::spawn(connection));
    let mut request = Request::builder().method(method).uri(path).header("host", "qyvold");
    if let Some(kind) = body.content_type() {
        request = request.header("content-type", kind);
    }
    let request = request.body(body).map_err(Failure::own)?;
    sender.send_request(request).await.map_err(hung_up)
}

/// Reads JSON of the daemon's.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::own(format!("the daemon says what this `qyvol` does not understand: {error}")).hint(
            "they are of different versions; `qyvol daemon stop && qyvol daemon start` makes them one, and apps go on \
             meanwhile",
        )
    })
}

/// A name as one component of a path: whatever is in it, it is no other path.
pub(crate) fn segment(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            // A dot alone would be a folder.
            b'.' if name.bytes().any(|other| other != b'.') => text.push('.'),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn json(body: &impl Serialize) -> Result<Sent> {
    serde_json::to_vec(body).map(Sent::json).map_err(Failure::own)
}

/// Whether nobody listens there: no socket, or one that its daemon left behind.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn hung_up(error: impl std::fmt::Display) -> Failure {
    Failure::own(format!("the daemon hung up before its answer was whole: {error}"))
        .hint("`qyvol daemon status` tells whether it runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_whatever_is_in_it() {
        for (name, path) in
            [("db-1.x_~", "db-1.x_~"), ("../a", "..%2Fa"), ("..", "%2E%2E"), ("a?b#ñ ", "a%3Fb%23%C3%B1%20")]
        {
            assert_eq!(segment(name), path);
        }
    }
}
