//! A connection that stops being HTTP: the worker of an instance speaks on it.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use hyper::header::{CONNECTION, UPGRADE};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use qyvol_protocol::channel;
use qyvol_protocol::session::{self, FromSession};
use serde::Serialize;
use tokio::net::UnixStream;

use super::{Client, Place, Sent, hung_up, json, problem};
use crate::failure::{Failure, Result};

/// What a worker says about a program or an instance. Dropped, it is over, and what it ran is ended.
pub(crate) struct Session {
    connection: StdUnixStream,
}

impl Session {
    /// Waits for the next word, and what came along with it; `None` when there is no more.
    pub(crate) fn next(&self) -> Result<Option<(FromSession, Vec<OwnedFd>)>> {
        let received = channel::receive(&self.connection).map_err(lost)?;
        Ok(received.map(|received| (received.message, received.descriptors)))
    }
}

/// The connection broke.
pub(crate) fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::own(format!("the worker of the app hung up: {error}"))
        .hint("`qyvol ps` tells what became of the app")
}

impl Client {
    /// Asks for a session at `path`.
    pub(crate) fn session(&self, path: &str, body: &impl Serialize) -> Result<Session> {
        let Place::Socket(socket) = &self.place else {
            // What the program reads and writes goes through descriptors, which no network carries.
            return Err(Failure::own("programs of another host cannot be run or watched from here")
                .hint("do it on that host, for example by `ssh`"));
        };
        let body = json(body)?;
        let answered = self.runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.map_err(|error| self.unreached(&error))?;
            upgrade(stream, path, body).await
        })?;
        match answered {
            Ok(connection) => Ok(Session { connection }),
            Err(refused) => {
                let status = refused.status();
                Err(problem::failure(status, &self.bytes(refused).unwrap_or_default()))
            }
        }
    }
}

type Refused = hyper::Response<hyper::body::Incoming>;

async fn upgrade(
    stream: UnixStream,
    path: &str,
    body: Sent,
) -> Result<std::result::Result<StdUnixStream, Refused>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(hung_up)?;
    // What goes wrong on it is the answer's error too.
    drop(tokio::spawn(connection.with_upgrades()));
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "qyvold")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, session::UPGRADE);
    if let Some(kind) = body.content_type() {
        request = request.header("content-type", kind);
    }
    let request = request.body(body).map_err(Failure::own)?;
    let mut response = sender.send_request(request).await.map_err(hung_up)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(response));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(hung_up)?;
    let parts = upgraded.downcast::<TokioIo<UnixStream>>().map_err(|_| hung_up("it is no Unix socket"))?;
    // What the worker says has descriptors with it, which were lost if HTTP had read it.
    if !parts.read_buf.is_empty() {
        return Err(hung_up("it spoke too soon"));
    }
    let connection = parts.io.into_inner().into_std().map_err(hung_up)?;
    connection.set_nonblocking(false).map_err(hung_up)?;
    (&connection).write_all(&[session::LISTENING]).map_err(hung_up)?;
    Ok(Ok(connection))
}
