//! A body that comes line by line for as long as there is something to say.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};

use super::{AWAY, Client};
use crate::failure::{Failure, Result};

/// The longest line, in bytes: the longest of a log, with every character escaped, is shorter.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<T> {
    /// A line, without its end.
    Text(T),
    /// Nothing in the time that was given.
    Quiet,
    /// The daemon has said everything.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// The lines. Ctrl-C is an event like others from now on, so that no line is cut in half.
pub(crate) struct Lines<'a> {
    client: &'a Client,
    body: Incoming,
    buffer: Buffer,
    ended: bool,
}

enum Came {
    Frame(Option<std::result::Result<hyper::body::Frame<Bytes>, hyper::Error>>),
    Quiet,
    Interrupted,
}

impl<'a> Lines<'a> {
    pub(super) fn new(client: &'a Client, body: Incoming) -> Result<Self> {
        client.interrupt.watch(&client.runtime)?;
        Ok(Self { client, body, buffer: Buffer::default(), ended: false })
    }

    /// Waits for the next line, however long it takes.
    pub(crate) fn next(&mut self) -> Result<Line<String>> {
        self.next_within(Duration::MAX)
    }

    /// Waits for the next line, for so long. Zero takes what is there.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Result<Line<String>> {
        loop {
            if let Some(line) = self.buffer.line() {
                return Ok(Line::Text(line));
            }
            if self.ended {
                return Ok(self.buffer.rest().map_or(Line::End, Line::Text));
            }
            let (client, body) = (self.client, &mut self.body);
            let came = client.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = client.interrupt.pressed() => Came::Interrupted,
                    frame = body.frame() => Came::Frame(frame),
                    () = tokio::time::sleep(patience) => Came::Quiet,
                }
            });
            match came {
                Came::Interrupted => return Ok(Line::Interrupted),
                Came::Quiet => return Ok(Line::Quiet),
                Came::Frame(None) => self.ended = true,
                Came::Frame(Some(Err(error))) => {
                    return Err(Failure::own(format!("the daemon hung up: {error}"))
                        .because(AWAY)
                        .hint("`qyvol daemon status` tells whether it runs; apps go on without it"));
                }
                Came::Frame(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.take(&data)?;
                    }
                }
            }
        }
    }
}

/// Bytes that become lines.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Where the first line begins that was not taken.
    start: usize,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Buffer {
    fn take(&mut self, data: &[u8]) -> Result<()> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        if self.bytes.len() + data.len() > LINE_BYTES_MAX && !data.contains(&b'\n') {
            return Err(Failure::own(format!("the daemon sent a line of more than {LINE_BYTES_MAX} bytes")));
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn line(&mut self) -> Option<String> {
        let found = self.bytes.get(self.searched..)?.iter().position(|byte| *byte == b'\n');
        let Some(found) = found else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + found;
        let line = text(&self.bytes[self.start..end]);
        self.start = end + 1;
        self.searched = self.start;
        Some(line)
    }

    /// What is left when no more comes.
    fn rest(&mut self) -> Option<String> {
        let rest = self.bytes.split_off(self.start);
        *self = Self::default();
        (!rest.is_empty()).then(|| text(&rest))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let sent = "one\r\n\ntwo ñ\nrest";
        for piece in 1..=sent.len() {
            let (mut buffer, mut lines) = (Buffer::default(), Vec::new());
            for data in sent.as_bytes().chunks(piece) {
                buffer.take(data).unwrap();
                while let Some(line) = buffer.line() {
                    lines.push(line);
                }
            }
            assert_eq!(lines, ["one", "", "two ñ"], "pieces of {piece}");
            assert_eq!((buffer.rest(), buffer.rest()), (Some("rest".into()), None));
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept_without_bound() {
        let mut buffer = Buffer::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..64).find(|_| buffer.take(&piece).is_err());
        assert_eq!(refused, Some(16));
    }
}
