//! A connection and its messages.

use std::cell::{Cell, RefCell};
use std::io;

use qyv_svc::protocol::{self, Decoder, Framing, Malformed};

use super::socket::Socket;
use crate::error::{Error, ErrorKind, Result};
use crate::task::Interest;

/// A connection to another app, or from one. Dropping it ends it.
///
/// Sending and receiving take `&self`, so that one task can receive while another sends. What one dropped halfway (by
/// [`race`](crate::task::race) or [`timeout`](crate::task::timeout)) has begun to send goes out whole, before what is sent
/// next; what it has begun to receive comes out of the next [`recv`](Self::recv).
#[derive(Debug)]
pub struct Connection {
    address: String,
    framing: Framing,
    /// `None` when it could not be dialled.
    socket: Option<Socket>,
    incoming: RefCell<Incoming>,
    /// Why it is of no use any more: every call answers this from then on.
    failure: Cell<Option<ErrorKind>>,
    /// Whether a call has answered it.
    told: Cell<bool>,
}

#[derive(Debug)]
enum Incoming {
    Open(Decoder),
    Ended,
    Failed(ErrorKind),
}

impl Connection {
    pub(super) fn new(address: &str, socket: Socket, framing: Framing) -> Self {
        Self {
            address: address.to_owned(),
            framing,
            socket: Some(socket),
            incoming: RefCell::new(Incoming::Open(Decoder::new(framing))),
            failure: Cell::new(None),
            told: Cell::new(false),
        }
    }

    /// One that could not be dialled.
    pub(super) fn failed(address: &str, kind: ErrorKind) -> Self {
        Self {
            address: address.to_owned(),
            framing: Framing::default(),
            socket: None,
            incoming: RefCell::new(Incoming::Ended),
            failure: Cell::new(Some(kind)),
            told: Cell::new(false),
        }
    }

    /// The address that was dialled, or the name of the listening socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How its messages are told apart.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Sends a message, and waits until the other side's buffer has it: that is not yet that it was read.
    ///
    /// # Errors
    ///
    /// That of the dial, when it failed; [`ErrorKind::MessageTooLong`] and [`ErrorKind::Malformed`], after which
    /// nothing was sent and the connection is as before; those of the connection.
    pub async fn send(&self, message: impl AsRef<[u8]>) -> Result<()> {
        self.told(self.try_send(message.as_ref()).await)
    }

    /// Says that nothing more is sent. The other side receives what was sent and then the end, and can go on sending.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn finish(&self) -> Result<()> {
        let finished = async { self.kept(self.live()?.finish().await) };
        self.told(finished.await)
    }

    /// Receives a message; `None` is the end. For lines it is without the `\n`, for a stream what has arrived.
    ///
    /// # Errors
    ///
    /// That of the dial, when it failed; [`ErrorKind::Malformed`] and [`ErrorKind::MessageTooLong`] from the first
    /// message on that is none; those of the connection.
    pub async fn recv(&self) -> Result<Option<Vec<u8>>> {
        self.told(self.try_recv().await)
    }

    /// Receives a message as text; `None` is the end.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), and [`Malformed::NotUtf8`] for a frame or a part of a stream that is no text.
    pub async fn recv_text(&self) -> Result<Option<String>> {
        let text = async {
            let text = self.try_recv().await?.map(String::from_utf8).transpose();
            text.map_err(|_| ErrorKind::Malformed(Malformed::NotUtf8))
        };
        self.told(text.await)
    }

    async fn try_send(&self, message: &[u8]) -> std::result::Result<(), ErrorKind> {
        let socket = self.live()?;
        let until = socket.put(|out| protocol::encode(self.framing, message, out))?;
        self.kept(socket.flush(until).await)
    }

    async fn try_recv(&self) -> std::result::Result<Option<Vec<u8>>, ErrorKind> {
        let socket = self.live()?;
        loop {
            // Looked at each time: another task may have read what this one waited for.
            if let Some(message) = self.arrived(socket)? {
                return Ok(Some(message));
            }
            match socket.fill() {
                Ok(true) => {}
                Ok(false) => return self.end(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.ready(Interest::Read).await?;
                }

                Err(error) => return self.kept(Err(ErrorKind::of(&error))),
            }
        }
    }

    /// The next message of those that have arrived.
    fn arrived(&self, socket: &Socket) -> std::result::Result<Option<Vec<u8>>, ErrorKind> {
        let mut incoming = self.incoming.borrow_mut();
        match &mut *incoming {
            Incoming::Open(decoder) => Ok(socket.take(|bytes| decoder.decode(bytes))?),
            Incoming::Ended => Ok(None),
            Incoming::Failed(kind) => Err(*kind),
        }
    }

    /// No more bytes come: the last line may have no `\n`.
    fn end(&self) -> std::result::Result<Option<Vec<u8>>, ErrorKind> {
        let Incoming::Open(decoder) = self.incoming.replace(Incoming::Ended) else { return Ok(None) };
        decoder.finish().map_err(|malformed| {
            let kind = ErrorKind::from(malformed);
            *self.incoming.borrow_mut() = Incoming::Failed(kind);
            kind
        })
    }

    fn live(&self) -> std::result::Result<&Socket, ErrorKind> {
        match (self.failure.get(), &self.socket) {
            (None, Some(socket)) => Ok(socket),
            (failure, _) => Err(failure.unwrap_or(ErrorKind::Closed)),
        }
    }

    /// Keeps a failure of both directions. When only this one is closed, the other may still have something to give.
    fn kept<T>(&self, result: std::result::Result<T, ErrorKind>) -> std::result::Result<T, ErrorKind> {
        result.inspect_err(|kind| {
            if matches!(kind, ErrorKind::Denied | ErrorKind::Down | ErrorKind::Reset | ErrorKind::Revoked) {
                self.failure.set(Some(*kind));
            }
        })
    }

    fn told<T>(&self, result: std::result::Result<T, ErrorKind>) -> Result<T> {
        result.map_err(|kind| {
            self.told.set(true);
            Error::new(kind, &self.address)
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(kind) = self.failure.get()
            && !self.told.get()
        {
            // Dropped unseen, it says itself what nobody has asked for.
            drop(Error::new(kind, &self.address));
        }
    }
}
