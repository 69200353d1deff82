//! One connection of a component, and its two streams.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use qyv_vfs::{Charge, Error};
use qyv_wasi::{Direction, Interest, Socket, Source};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::{Buf as _, Bytes};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::error::socket_stream_error;
use super::services::Line;

/// Bytes that one write to a connection takes at most.
pub(super) const SEND_PERMIT: usize = 16 << 10;

/// Bytes that one read of a connection gives at most.
const RECEIVE_MAX: u64 = 64 << 10;

/// Bytes that a read makes room for when the host does not know how many there are.
const RECEIVE_UNKNOWN: u64 = 4 << 10;

/// Bytes that a connection is charged: what a write leaves behind when memory is short, and itself.
pub(super) const CONNECTION_BYTES: u64 = SEND_PERMIT as u64 + 512;

/// A connection, closed when its socket and its streams are gone.
pub(super) struct Connection {
    host: Line,
    socket: Socket,
    sending: Mutex<Sending>,
    _charges: [Charge; 2],
}

/// What is on its way out.
///
/// The host says how much it takes, and that much is permitted. It may then take less, when the memory of the app is
/// short: the rest stays here, at most [`SEND_PERMIT`] bytes, and nothing else is permitted until it is gone.
#[derive(Default)]
struct Sending {
    rest: Bytes,
    /// The guest sends no more; the other side hears of it after the rest.
    ended: bool,
    failure: Option<Error>,
}

impl Connection {
    /// Takes a socket of the host's, and what it was charged.
    pub(super) fn new(host: Line, socket: Socket, charges: [Charge; 2]) -> Self {
        Self { host, socket, sending: Mutex::default(), _charges: charges }
    }

    fn source(&self) -> Source {
        Source::Socket(self.socket)
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the dial has succeeded; `AGAIN` while it is not known.
    pub(super) fn connected(&self) -> qyv_vfs::Result<()> {
        self.host.with(|host| host.connected(self.socket))
    }

    /// What a look-up found; `AGAIN` while it is not known.
    pub(super) fn addresses(&self) -> qyv_vfs::Result<Vec<IpAddr>> {
        self.host.with(|host| host.addresses(self.socket))
    }

    /// After `ACCES`: what should have been granted, when it is not what was asked for.
    pub(super) fn missing(&self) -> Option<String> {
        self.host.with(|host| host.missing(self.socket))
    }

    /// Ready when it is known whether the dial has succeeded.
    pub(super) fn poll_connected(&self, context: &mut Context<'_>) -> Poll<()> {
        self.host.poll_until((self.source(), Interest::Write), context, |host| {
            host.connected(self.socket) != Err(Error::AGAIN)
        })
    }

    /// Ends one way, or both.
    pub(super) fn shutdown(&self, direction: Direction) -> qyv_vfs::Result<()> {
        if direction != Direction::Receive {
            let mut sending = self.sending();
            if !sending.ended {
                sending.ended = true;
                if sending.rest.is_empty() {
                    self.host.with(|host| host.shutdown(self.socket, Direction::Send))?;
                }
            }
        }
        if direction != Direction::Send {
            self.host.with(|host| host.shutdown(self.socket, Direction::Receive))?;
        }
        Ok(())
    }

    /// Receives what is there, at most `size` bytes.
    fn receive(&self, size: usize) -> StreamResult<Bytes> {
        self.host.with(|host| {
            let Some(ready) = host.ready(self.source(), Interest::Read) else { return Ok(Bytes::new()) };
            let there = if ready.bytes == 0 { RECEIVE_UNKNOWN } else { ready.bytes.min(RECEIVE_MAX) };
            let mut bytes = vec![0; size.min(there as usize)];
            if bytes.is_empty() {
                return Ok(Bytes::new());
            }
            match host.receive(self.socket, &mut bytes, false) {
                Ok(0) => Err(StreamError::Closed),
                Ok(count) => {
                    bytes.truncate(count);
                    Ok(bytes.into())
                }
                Err(Error::AGAIN) => Ok(Bytes::new()),
                Err(error) => Err(socket_stream_error(error)),
            }
        })
    }

    /// Sends as much of the rest as the host takes.
    fn drain(&self, sending: &mut Sending) {
        if sending.rest.is_empty() {
            return;
        }
        self.host.with(|host| {
            while !sending.rest.is_empty() {
                match host.send(self.socket, &sending.rest) {
                    Ok(0) | Err(Error::AGAIN) => return,
                    Ok(count) => sending.rest.advance(count.min(sending.rest.len())),
                    Err(error) => {
                        sending.rest.clear();
                        sending.failure = Some(error);
                        return;
                    }
                }
            }
            // Gives the buffer back too.
            sending.rest = Bytes::new();
            if sending.ended {
                // Whether it failed before does not matter any more: nothing is sent.
                let _ = host.shutdown(self.socket, Direction::Send);
            }
        });
    }

    /// Ready when nothing is left of earlier writes.
    fn poll_drained(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut sending = self.sending();
        self.drain(&mut sending);
        if sending.rest.is_empty() {
            return Poll::Ready(());
        }
        ready!(self.host.poll_ready(self.source(), Interest::Write, context));
        // There is room since a moment ago; the next look takes it.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What goes on, or the failure that ended it.
    fn open_to_send(&self) -> StreamResult<MutexGuard<'_, Sending>> {
        let mut sending = self.sending();
        self.drain(&mut sending);
        match sending.failure {
            Some(error) => Err(socket_stream_error(error)),
            None if sending.ended => Err(StreamError::Closed),
            None => Ok(sending),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.host.close(self.source());
    }
}

/// What the other side sends.
pub(super) struct Incoming(pub(super) Arc<Connection>);

#[async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        let connection = &self.0;
        poll_fn(|context| {
            // The answer that is waited for may be to what is still here.
            let _ = connection.poll_drained(context);
            connection.host.poll_ready(connection.source(), Interest::Read, context)
        })
        .await;
    }
}

#[async_trait]
impl InputStream for Incoming {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.receive(size)
    }
}

/// What is sent to the other side.
pub(super) struct Outgoing(pub(super) Arc<Connection>);

#[async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        let connection = &self.0;
        poll_fn(|context| {
            ready!(connection.poll_drained(context));
            let sending = connection.sending();
            if sending.ended || sending.failure.is_some() {
                return Poll::Ready(());
            }
            connection.host.poll_ready(connection.source(), Interest::Write, context)
        })
        .await;
    }
}

#[async_trait]
impl OutputStream for Outgoing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut sending = self.0.open_to_send()?;
        if bytes.len() > SEND_PERMIT || !sending.rest.is_empty() {
            return Err(StreamError::trap("a write is longer than the stream permitted"));
        }
        sending.rest = bytes;
        self.0.drain(&mut sending);
        sending.failure.map_or(Ok(()), |error| Err(socket_stream_error(error)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.open_to_send().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let sending = self.0.open_to_send()?;
        if !sending.rest.is_empty() {
            return Ok(0);
        }
        // Where the other side left, the write says so.
        let permit = |bytes: u64| match usize::try_from(bytes) {
            Ok(0) | Err(_) => SEND_PERMIT,
            Ok(bytes) => bytes.min(SEND_PERMIT),
        };
        let ready = self.0.host.with(|host| host.ready(self.0.source(), Interest::Write));
        Ok(ready.map_or(0, |ready| permit(ready.bytes)))
    }

    async fn cancel(&mut self) {
        // What the guest has written is sent, as the guest was told.
        poll_fn(|context| self.0.poll_drained(context)).await;
    }
}
