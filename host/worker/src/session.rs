//! Clients of `exec` and `attach`, on connections that the daemon has handed over ([`qyvol_protocol::session`]).

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use qyvol_protocol::InstanceId;
use qyvol_protocol::channel;
use qyvol_protocol::session::{FromSession, LISTENING};
use qyvol_protocol::worker::Exec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::instance::{Beside, End, Instance, Purpose};
use crate::stdio::{Pipe, Stdio, Watcher};
use crate::worker::Worker;

/// How long a client may take to read what is said to it.
const UNREAD: Duration = Duration::from_secs(5);

/// How often a client is told what it missed, at most.
const MISSED: Duration = Duration::from_millis(500);

/// Runs a program beside an instance, for the client on the connection that came along.
pub(crate) fn exec(worker: &Arc<Worker>, exec: Exec, descriptors: Vec<OwnedFd>) {
    let Some(mut client) = Client::take(worker, descriptors) else { return };
    let runner = Arc::clone(worker);
    worker.reactor.spawn(async move {
        if !client.listens().await {
            return;
        }
        // Its native code may have to be read.
        let began = tokio::task::spawn_blocking(move || begin(&runner, &exec)).await;
        match began {
            Ok(Ok((beside, theirs))) => {
                if client.started(theirs) {
                    client.wait(beside).await;
                }
            }
            Ok(Err(message)) => client.refuse(message).await,
            Err(_) => {}
        }
    });
}

/// Runs a program, and gives the client's ends of its streams.
fn begin(worker: &Arc<Worker>, exec: &Exec) -> Result<(Beside, Vec<OwnedFd>), String> {
    let instance = find(worker, &exec.instance)?;
    let text = |error: io::Error| error.to_string();
    let mut theirs = Vec::new();
    let mut ours = |(ours, end): (Pipe, OwnedFd)| {
        theirs.push(end);
        ours
    };
    let stdin = if exec.stdin { Some(ours(Pipe::input().map_err(text)?)) } else { None };
    let (stdout, stderr) = (ours(Pipe::output().map_err(text)?), ours(Pipe::output().map_err(text)?));
    let env: Vec<_> = exec.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let stdio = Stdio::pipes(stdin, stdout, stderr);
    let program = exec.program.as_ref();
    let beside = instance.beside(worker, Purpose::Exec, program, (&exec.args, &env), stdio)?;
    Ok((beside, theirs))
}

/// Copies what an instance prints to the client on the connection that came along.
pub(crate) fn attach(worker: &Arc<Worker>, id: InstanceId, descriptors: Vec<OwnedFd>) {
    let Some(mut client) = Client::take(worker, descriptors) else { return };
    let runner = Arc::clone(worker);
    worker.reactor.spawn(async move {
        if !client.listens().await {
            return;
        }
        let begin = || {
            let instance = find(&runner, &id)?;
            let (watcher, theirs) = instance.watchers.add().map_err(|error| error.to_string())?;
            Ok((instance, watcher, theirs))
        };
        match begin() {
            Ok((instance, watcher, theirs)) => {
                if client.started(theirs.into()) {
                    client.watch(&watcher).await;
                }
                instance.watchers.remove(&watcher);
            }
            Err(message) => client.refuse(message).await,
        }
    });
}

fn find(worker: &Worker, id: &InstanceId) -> Result<Arc<Instance>, String> {
    worker.instance(id).ok_or_else(|| format!("`{id}` has ended"))
}

/// A client that says nothing but that it listens, and goes when it likes.
struct Client {
    connection: UnixStream,
}

impl Client {
    /// `None` when what came along is no connection.
    fn take(worker: &Worker, mut descriptors: Vec<OwnedFd>) -> Option<Self> {
        let connection = StdUnixStream::from(descriptors.pop()?);
        connection.set_nonblocking(true).ok()?;
        let _inside = worker.reactor.enter();
        Some(Self { connection: UnixStream::from_std(connection).ok()? })
    }

    /// Waits until it listens; `false` when it has gone, or takes too long.
    async fn listens(&mut self) -> bool {
        let said = tokio::time::timeout(UNREAD, self.connection.read_u8()).await;
        matches!(said, Ok(Ok(LISTENING)))
    }

    /// Says that it runs, and passes the client's ends on; `false` when the client has gone already. The first words on a
    /// connection always find room.
    fn started(&self, ends: Vec<OwnedFd>) -> bool {
        let ends: Vec<BorrowedFd<'_>> = ends.iter().map(OwnedFd::as_fd).collect();
        let sent = channel::encode(&FromSession::Started, ends.len())
            .and_then(|bytes| Ok(channel::send_beginning(&self.connection, &bytes, &ends)? == bytes.len()));
        sent.unwrap_or(false)
    }

    async fn refuse(mut self, message: String) {
        self.ended(End { cause: "refused".to_owned(), code: 126, message, denials: Vec::new() }).await;
    }

    /// Waits until either the program or the client is gone, which ends the program.
    async fn wait(mut self, mut beside: Beside) {
        let end = tokio::select! {
            end = beside.end() => end,
            () = gone(&mut self.connection) => return,
        };
        if let Some(end) = end {
            self.ended(end).await;
        }
    }

    /// Tells what was missed until either the instance or the client is gone.
    async fn watch(mut self, watcher: &Watcher) {
        loop {
            tokio::select! {
                () = watcher.news.notified() => {}
                () = gone(&mut self.connection) => break,
            }
            let over = watcher.over();
            let bytes = watcher.missed();
            if bytes > 0 && !self.say(&FromSession::Missed { bytes }).await {
                break;
            }
            if let Some(end) = over {
                self.ended(end).await;
                break;
            }
            tokio::time::sleep(MISSED).await;
        }
    }

    async fn ended(&mut self, end: End) {
        let End { cause, code, message, denials } = end;
        self.say(&FromSession::Ended { cause, code, message, denials }).await;
    }

    /// `false` when the client is gone, or does not listen.
    async fn say(&mut self, what: &FromSession) -> bool {
        let Ok(bytes) = channel::encode(what, 0) else { return false };
        let sent = tokio::time::timeout(UNREAD, self.connection.write_all(&bytes)).await;
        matches!(sent, Ok(Ok(())))
    }
}

/// Returns when the other side has closed, or says anything, which no client does.
async fn gone(connection: &mut UnixStream) {
    let _ = connection.read_u8().await;
}
