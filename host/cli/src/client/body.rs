//! What is sent to the daemon.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// How much of a stream is sent at once, in bytes.
const PIECE_BYTES: u64 = 64 << 10;

/// No stream is as long.
const UNKNOWN: u64 = u64::MAX;

/// The body of a request.
pub(super) struct Sent {
    content: Content,
    /// How many bytes come; [`UNKNOWN`] of a stream that ends when it ends.
    left: u64,
    content_type: Option<&'static str>,
}

enum Content {
    Bytes(Bytes),
    /// As much as there is.
    Stream(Box<dyn Read + Send>),
}

impl Sent {
    pub(super) fn nothing() -> Self {
        Self { content: Content::Bytes(Bytes::new()), left: 0, content_type: None }
    }

    pub(super) fn json(bytes: Vec<u8>) -> Self {
        Self { content_type: Some("application/json"), ..Self::bytes(bytes) }
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        let left = bytes.len() as u64;
        let content_type = Some("application/octet-stream");
        Self { content: Content::Bytes(bytes.into()), left, content_type }
    }

    /// All that there is to read.
    pub(super) fn stream(input: Box<dyn Read + Send>) -> Self {
        let content_type = Some("application/octet-stream");
        Self { content: Content::Stream(input), left: UNKNOWN, content_type }
    }

    /// So many bytes to read, which are an archive of the format of tar.
    pub(super) fn archive(input: Box<dyn Read + Send>, bytes: u64) -> Self {
        Self { content: Content::Stream(input), left: bytes, content_type: Some("application/x-tar") }
    }

    pub(super) fn content_type(&self) -> Option<&'static str> {
        self.content_type
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    /// A stream is read in place: nothing else waits on this thread.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = self.left.min(PIECE_BYTES);
        let piece = match &mut self.content {
            Content::Bytes(bytes) => std::mem::take(bytes),
            Content::Stream(input) => match read(input, most) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        if piece.is_empty() && self.left != UNKNOWN {
            return Poll::Ready(Some(Err(std::io::Error::other("there is less to send than was announced"))));
        }
        if self.left != UNKNOWN {
            self.left = self.left.saturating_sub(piece.len() as u64);
        } else if piece.is_empty() {
            self.left = 0;
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.left == UNKNOWN { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}

fn read(input: &mut dyn Read, most: u64) -> std::io::Result<Bytes> {
    let mut piece = Vec::new();
    input.take(most).read_to_end(&mut piece)?;
    Ok(piece.into())
}
