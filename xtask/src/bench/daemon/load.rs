//! A client of HTTP/1.1 that keeps its connections: as fast as it is answered, or at a fixed rate.
//!
//! Each connection has a thread of its own, which waits in the kernel: what is measured is the server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::quiet::Elsewhere;

/// Connections of a client with a fixed rate: so many requests may be late at once.
const OPEN_CONNECTIONS: usize = 32;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the answers took.
pub(super) struct Load {
    /// In order.
    latencies: Vec<Duration>,
    took: Duration,
}

impl Load {
    fn new(mut latencies: Vec<Duration>, took: Duration) -> Result<Self> {
        ensure!(!latencies.is_empty(), "nothing was answered");
        latencies.sort_unstable();
        Ok(Self { latencies, took })
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
        let count = self.latencies.len() as f64;
        count / self.took.as_secs_f64()
    }

    /// The latency that this part of the requests stayed within, in milliseconds.
    pub(super) fn milliseconds(&self, part: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a list: between 0 and its length"
        )]
        let place = (part * self.latencies.len() as f64) as usize;
        let last = self.latencies.len() - 1;
        self.latencies[place.min(last)].as_secs_f64() * 1e3
    }
}

/// Each of `connections` sends its next request as soon as the one before is answered.
pub(super) fn closed(address: SocketAddr, connections: usize, time: Duration) -> Result<Load> {
    let connections = Connection::open_all(address, connections)?;
    let start = Instant::now();
    run(connections, |connection| {
        let mut latencies = Vec::new();
        while start.elapsed() < time {
            let sent = Instant::now();
            connection.get()?;
            latencies.push(sent.elapsed());
        }
        Ok(latencies)
    })
}

/// Requests are due at a fixed rate. What one takes counts from when it was due, so that a server that keeps others waiting
/// is not spared. The client itself waits for no processor, where that is allowed.
pub(super) fn open(address: SocketAddr, rate: u32, time: Duration) -> Result<Load> {
    let connections = Connection::open_all(address, OPEN_CONNECTIONS)?;
    let _elsewhere = Elsewhere::begin();
    let (next, every) = (AtomicU32::new(0), Duration::from_secs(1) / rate);
    // Time for the threads to begin.
    let start = Instant::now() + Duration::from_millis(100);
    run(connections, |connection| {
        let mut latencies = Vec::new();
        loop {
            let due = every * next.fetch_add(1, Ordering::Relaxed);
            if due >= time {
                return Ok(latencies);
            }
            let due = start + due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.get()?;
            latencies.push(due.elapsed());
        }
    })
}

/// Does the same with each connection, on a thread of its own, and joins what they found.
fn run(
    connections: Vec<Connection>,
    work: impl Fn(&mut Connection) -> Result<Vec<Duration>> + Sync,
) -> Result<Load> {
    let (start, work) = (Instant::now(), &work);
    let latencies = std::thread::scope(|scope| {
        let client = |mut connection: Connection| scope.spawn(move || work(&mut connection));
        let clients: Vec<_> = connections.into_iter().map(client).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        anyhow::Ok(all)
    })?;
    Load::new(latencies, start.elapsed())
}

/// A connection that is kept.
struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Connection {
    /// Opens so many, each of which has had an answer: what the beginning of a connection takes is not measured.
    fn open_all(address: SocketAddr, count: usize) -> Result<Vec<Self>> {
        let open = |_| {
            let mut connection = Self::open(address)?;
            connection.get()?;
            Ok(connection)
        };
        (0..count).map(open).collect()
    }

    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new() })
    }

    /// Asks for `/`, and reads the answer, which must be a good one.
    fn get(&mut self) -> Result<()> {
        self.stream
            .get_mut()
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .context("send a request")?;
        self.read_line()?;
        ensure!(self.line.starts_with("HTTP/1.1 200"), "the answer is `{}`", self.line.trim_end());
        let (mut length, mut chunked) = (0, false);
        loop {
            self.read_line()?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().context("a length is no number")?,
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        if !chunked {
            return self.skip(length);
        }
        loop {
            self.read_line()?;
            let size = u64::from_str_radix(self.line.trim_end(), 16).context("the size of a chunk")?;
            self.skip(size + 2)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let count = self.stream.read_line(&mut self.line).context("read an answer")?;
        ensure!(count > 0, "the server hung up");
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.stream.by_ref().take(bytes), &mut std::io::sink())?;
        ensure!(skipped == bytes, "an answer was cut off");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::daemon::native::{beside, server};

    #[test]
    fn answers_are_read_however_they_are_framed() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        ] {
            let load = closed(server(answer).unwrap(), 2, Duration::from_millis(50)).unwrap();
            assert!(load.rate() > 10.0 && load.milliseconds(0.5) <= load.milliseconds(0.99));
            let load = open(server(answer).unwrap(), 100, Duration::from_millis(100)).unwrap();
            assert_eq!(load.latencies.len(), 10);
        }
        let refuses = server(b"HTTP/1.1 500 No\r\n\r\n").unwrap();
        assert!(closed(refuses, 1, Duration::from_millis(50)).is_err());
        let load = beside(1, |address| open(address, 100, Duration::from_millis(100))).unwrap();
        assert_eq!(load.latencies.len(), 10);
    }
}
