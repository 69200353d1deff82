//! A client of HTTP/1.1 that does what it is told, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::sandbox::PATIENCE;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads one answer; what follows it is lost.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.begun().expect("the connection was closed before the end of the head")
    }

    /// The same, or `None` when the other side closes before the end of the head.
    #[track_caller]
    pub(crate) fn begun(&mut self) -> Option<Reply> {
        let mut reader = BufReader::new(&mut self.stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap() == 0 {
                return None;
            }
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let (bytes, whole) = body(&mut reader, &head.to_ascii_lowercase());
        Some(Reply { status, head, body: String::from_utf8_lossy(&bytes).into_owned(), whole })
    }

    /// Whether the other side closes without a word.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 64]), Ok(0) | Err(_))
    }
}

fn body(reader: &mut impl BufRead, head: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return (bytes, false);
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                return (bytes, false);
            }
            if size == 0 {
                return (bytes, true);
            }
            bytes.extend_from_slice(&chunk[..size]);
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let _ = reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes);
    let whole = length.is_none_or(|length| bytes.len() as u64 == length);
    (bytes, whole)
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn ask(address: &str, request: &str) -> Reply {
    let mut client = Client::connect(address);
    // A server that refuses early may have closed by then; what it said counts.
    let _ = client.stream.write_all(request.as_bytes());
    let mut reply = client.reply();
    if request.starts_with("HEAD ") {
        reply.body.clear();
    }
    reply
}
