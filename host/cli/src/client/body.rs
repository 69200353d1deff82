//! What is sent to the daemon.

use std::fs::File;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// How much of a file is sent at once, in bytes.
const PIECE_BYTES: u64 = 64 << 10;

/// The body of a request.
pub(super) struct Sent {
    content: Content,
    left: u64,
    content_type: Option<&'static str>,
}

enum Content {
    Bytes(Bytes),
    File(File),
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

    /// The next `left` bytes of a file.
    pub(super) fn file(file: File, left: u64) -> Self {
        Self { content: Content::File(file), left, content_type: Some("application/octet-stream") }
    }

    /// All that there is to read.
    pub(super) fn stream(input: Box<dyn Read + Send>) -> Self {
        let content_type = Some("application/octet-stream");
        Self { content: Content::Stream(input), left: u64::MAX, content_type }
    }

    pub(super) fn content_type(&self) -> Option<&'static str> {
        self.content_type
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    /// A file is read in place: nothing else waits on this thread.
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
            Content::File(file) => match read(file, most) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
            Content::Stream(input) => match read(input, most) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        if piece.is_empty() && matches!(self.content, Content::Stream(_)) {
            self.left = 0;
            return Poll::Ready(None);
        }
        if piece.is_empty() {
            return Poll::Ready(Some(Err(std::io::Error::other(
                "the file became shorter while it was sent",
            ))));
        }
        if !matches!(self.content, Content::Stream(_)) {
            self.left = self.left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.content {
            Content::Stream(_) => SizeHint::default(),
            _ => SizeHint::with_exact(self.left),
        }
    }
}

fn read(input: &mut dyn Read, most: u64) -> std::io::Result<Bytes> {
    let mut piece = Vec::new();
    input.take(most).read_to_end(&mut piece)?;
    Ok(piece.into())
}
