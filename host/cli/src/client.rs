//! The client's side of the daemon's API: HTTP/1.1 over the daemon's Unix socket, or over TLS to a daemon of another host,
//! one connection a request.
//!
//! Commands wait for answers, so everything here blocks. A failure of the daemon becomes a [`Failure`] with the daemon's
//! own words, and its exit code.

mod body;
mod deployment;
mod interrupt;
mod lines;
mod problem;
mod remote;
mod session;
mod sse;

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use qyv_spec::service::Name;
use qyvol_protocol::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use body::Sent;
pub(crate) use deployment::Bundle;
use interrupt::Interrupt;
pub(crate) use lines::{Line, Lines};
pub(crate) use remote::Choice;
use remote::Remote;
pub(crate) use session::{Session, lost};
pub(crate) use sse::Events;

/// The most bytes of an answer that is no stream: 10,000 apps in all detail are fewer.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// How long a daemon that lives may take to say who it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The cause of failures that another try may mend: no daemon answers.
pub(crate) const AWAY: &str = "daemon-away";

/// How long a daemon that is away is waited for, and how often it is looked for.
const BACK_PATIENCE: Duration = Duration::from_secs(20);
const BACK_PERIOD: Duration = Duration::from_millis(100);

/// How long reaching a daemon of another host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest path that a Unix socket may have on Linux, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Speaks with the daemon of this user, or with one of another host.
pub(crate) struct Client {
    runtime: Runtime,
    place: Place,
    interrupt: Interrupt,
}

/// Where the daemon is.
enum Place {
    Socket(PathBuf),
    Remote(Box<Remote>),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(out),
            Self::Remote(remote) => remote.fmt(out),
        }
    }
}

/// A connection, whatever it goes over.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Client {
    /// A client for the daemon that was chosen, that of this user unless another one was. Nothing is connected yet.
    pub(crate) fn new() -> Result<Self> {
        match Remote::chosen()? {
            Some(remote) => Self::of(Place::Remote(Box::new(remote))),
            None => Self::local(),
        }
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
        Self::of(Place::Socket(socket))
    }

    fn of(place: Place) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::own)?;
        Ok(Self { runtime, place, interrupt: Interrupt::default() })
    }

    /// Where the daemon is, for people: its socket, or its URL.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    /// Whether the daemon is on another host: paths that are typed here are not its paths.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Remote(_))
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        Ok(match &self.place {
            Place::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Place::Remote(remote) => {
                let connected = tokio::time::timeout(CONNECT_TIMEOUT, remote.connect()).await;
                Box::new(connected.map_err(|_| ErrorKind::TimedOut)??)
            }
        })
    }

    /// The daemon, or `None` when none runs.
    pub(crate) fn running(&self) -> Result<Option<api::Info>> {
        let asked = self.runtime.block_on(async {
            let stream = match self.connect().await {
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(self.unreachable(&error)),
                Ok(stream) => stream,
            };
            let answer = self.exchange(stream, Method::GET, "/v1/info", Sent::nothing());
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

    /// Opens a stream of events: those after the event `since`, or from now on.
    pub(crate) fn events(&self, since: Option<u64>, app: Option<&Name>) -> Result<Events<'_>> {
        Events::open(self, since, app)
    }

    /// Whether a daemon answers that was away, which is waited for.
    pub(crate) fn is_back(&self) -> Result<bool> {
        let begun = Instant::now();
        while !matches!(self.running(), Ok(Some(_))) {
            if begun.elapsed() > BACK_PATIENCE || self.pause(BACK_PERIOD)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Receives a body; tells what the daemon says of it at its end.
    pub(crate) fn receive(&self, path: &str, output: &mut dyn Write) -> Result<Option<Value>> {
        let mut body = self.send(Method::GET, path, Sent::nothing())?.into_body();
        let mut summary = None;
        while let Some(frame) = self.runtime.block_on(body.frame()) {
            match frame.map_err(hung_up)?.into_data() {
                Ok(data) => output.write_all(&data).map_err(Failure::own)?,
                Err(frame) => {
                    let trailers = frame.into_trailers().ok();
                    let said = trailers.as_ref().and_then(|trailers| trailers.get(api::SUMMARY_TRAILER));
                    summary = said.and_then(|said| serde_json::from_slice(said.as_bytes()).ok());
                }
            }
        }
        Ok(summary)
    }

    /// Sends all that there is to read, to be kept at `path`; the answer, as it came.
    pub(crate) fn put_stream(&self, path: &str, input: Box<dyn Read + Send>) -> Result<Bytes> {
        let response = self.send(Method::PUT, path, Sent::stream(input))?;
        self.bytes(response)
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
        let stream = self.connect().await.map_err(|error| self.unreached(&error))?;
        self.exchange(stream, method, path, body).await
    }

    /// Why there is no connection.
    fn unreached(&self, error: &std::io::Error) -> Failure {
        match is_absent(error) && !self.is_remote() {
            true => Failure::own("no daemon runs")
                .because(AWAY)
                .hint("start it: `qyvol daemon start`; the first `qyvol deploy` does that by itself"),
            false => self.unreachable(error),
        }
    }

    /// Sends a request on a connection of its own, and waits for the head of the answer.
    async fn exchange(
        &self,
        stream: Box<dyn Connection>,
        method: Method,
        path: &str,
        body: Sent,
    ) -> Result<Response<Incoming>> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(hung_up)?;
        // It ends with the answer, or with the client; what goes wrong on it is the answer's error too.
        drop(tokio::spawn(connection));
        // What streams say at their end.
        let mut request = Request::builder().method(method).uri(path).header("te", "trailers");
        request = match &self.place {
            Place::Socket(_) => request.header("host", "qyvold"),
            Place::Remote(remote) => {
                request.header("host", &remote.authority).header("authorization", remote.authorization())
            }
        };
        if let Some(kind) = body.content_type() {
            request = request.header("content-type", kind);
        }
        let request = request.body(body).map_err(Failure::own)?;
        sender.send_request(request).await.map_err(hung_up)
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
        match &self.place {
            Place::Socket(path) => {
                let failure = Failure::at_path("reach the daemon at", path, error);
                match error.kind() {
                    ErrorKind::PermissionDenied => failure.hint(format!(
                        "it answers its own user only: run this as that user, or name the folder of your own in `{}`",
                        crate::folders::RUNTIME_VARIABLE
                    )),
                    _ => failure,
                }
            }
            Place::Remote(_) => Failure::own(format!("cannot reach the daemon at `{}`: {error}", self.place))
                .because(AWAY)
                .hint("`qyvol daemon token` on that host prints its address, its token and its certificate"),
        }
    }
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
    encode(body).map(Sent::json)
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(Failure::own)
}

/// Whether nobody listens there: no socket, or one that its daemon left behind.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn hung_up(error: impl fmt::Display) -> Failure {
    Failure::own(format!("the daemon hung up before its answer was whole: {error}"))
        .because(AWAY)
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
