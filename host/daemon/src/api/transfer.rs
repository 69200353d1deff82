//! Bodies that are made, or read, by threads that wait for disks.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use futures_core::Stream as _;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Parts that wait for the slower side.
const PARTS: usize = 8;

/// How much is put into one part, in bytes.
const PART_BYTES: usize = 64 << 10;

/// The most bytes that are let go after the work on them has ended.
const REST_BYTES_MAX: usize = 8 << 20;

/// The most bytes of what is said at the end.
const SUMMARY_BYTES_MAX: usize = 8 << 10;

/// The trailer with what is said at the end, as JSON of ASCII.
const SUMMARY: HeaderName = HeaderName::from_static(qyvol_protocol::api::SUMMARY_TRAILER);

/// A part of a body, or its end.
enum Part {
    Bytes(Bytes),
    Summary(HeaderMap),
}

/// The body that somebody writes.
struct Written {
    parts: mpsc::Receiver<Part>,
    done: bool,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Written {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.parts.poll_recv(context).map(|part| {
            self.done = !matches!(part, Some(Part::Bytes(_)));
            match part {
                Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Part::Summary(trailers)) => Some(Ok(Frame::trailers(trailers))),
                // The client must not take what it has for the whole.
                None => Some(Err(io::Error::other("it could not be read"))),
            }
        })
    }
}

/// Writes a body. Dropped without a word at the end, the body breaks off.
pub(super) struct Writer {
    parts: mpsc::Sender<Part>,
    buffer: Vec<u8>,
}

/// A body and who writes it, from a thread that may wait.
pub(super) fn written(permit: OwnedSemaphorePermit) -> (Writer, Body) {
    let (sender, parts) = mpsc::channel(PARTS);
    let body = Body::new(Written { parts, done: false, _permit: permit });
    (Writer { parts: sender, buffer: Vec::with_capacity(PART_BYTES) }, body)
}

impl Writer {
    /// Ends the body, with a word about it; one that is too long is left out.
    pub(super) fn end(mut self, summary: &serde_json::Value) {
        if self.flush().is_err() {
            return;
        }
        let trailers = ascii(&summary.to_string()).map(|value| (SUMMARY, value));
        // The client has gone: nobody to tell.
        let _ = self.parts.blocking_send(Part::Summary(trailers.into_iter().collect()));
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PART_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES)));
        self.parts.blocking_send(Part::Bytes(part)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// JSON with all that is not ASCII escaped; `None` when it is too long.
fn ascii(json: &str) -> Option<HeaderValue> {
    let mut text = String::new();
    for character in json.chars() {
        if character.is_ascii() && !character.is_ascii_control() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    if text.len() > SUMMARY_BYTES_MAX {
        return None;
    }
    HeaderValue::from_str(&text).ok()
}

/// What a client sends, for a thread that may wait.
pub(super) struct Reader {
    parts: mpsc::Receiver<Result<Bytes, ()>>,
    rest: Bytes,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.parts.blocking_recv() {
                None => return Ok(0),
                Some(Ok(part)) => self.rest = part,
                Some(Err(())) => return Err(io::Error::other("the upload was cut off")),
            }
        }
        let count = into.len().min(self.rest.len());
        into[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

/// Lets `work` read a body on a thread that may wait, and answers with what it says.
pub(super) async fn read<T: Send + 'static>(
    body: Body,
    work: impl FnOnce(&mut Reader) -> T + Send + 'static,
) -> Result<T, crate::fault::Fault> {
    let (sender, parts) = mpsc::channel(PARTS);
    let worked = tokio::task::spawn_blocking(move || work(&mut Reader { parts, rest: Bytes::new() }));
    let mut stream = Box::pin(body.into_data_stream());
    let mut left = REST_BYTES_MAX;
    while let Some(part) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let (broken, length) = (part.is_err(), part.as_ref().map_or(0, Bytes::len));
        // What comes after the work has ended is let go, so that a client that is still at it hears the answer.
        if sender.send(part.map_err(drop)).await.is_err() {
            left = left.saturating_sub(length);
        }
        if broken || left == 0 {
            break;
        }
    }
    drop(sender);
    worked.await.map_err(crate::fault::Fault::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_the_end_is_one_line_of_ascii() {
        let value = ascii(&serde_json::json!({ "a": "ñ\n𝄞" }).to_string()).unwrap();
        let back: serde_json::Value = serde_json::from_slice(value.as_bytes()).unwrap();
        assert_eq!(back["a"], "ñ\n𝄞");
        assert!(ascii(&"x".repeat(SUMMARY_BYTES_MAX + 1)).is_none());
    }
}
