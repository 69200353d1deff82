//! Bodies that are sent as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Parts on their way to a slow client.
pub(crate) const PARTS: usize = 16;

/// What is received from a channel; gives its permit back when the client goes away.
pub(crate) struct Parts {
    pub(crate) receiver: mpsc::Receiver<Bytes>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Stream for Parts {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|part| part.map(Ok))
    }
}

impl Parts {
    pub(crate) fn body(self) -> Body {
        Body::from_stream(self)
    }
}
