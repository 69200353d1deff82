//! The standard streams of a component that shares threads: its host reads and writes them, as it does for a module.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use qyv_vfs::Error;
use qyv_wasi::{Interest, Source, Stream, StreamKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::{Buf as _, Bytes};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::error::stream_error;
use super::limits::{MAX_READ, WRITE_PERMIT};
use super::services::Line;

/// Bytes that a read makes room for when the host does not know how many there are.
const READ_UNKNOWN: usize = 4 << 10;

/// A standard stream of the guest. Clones are the same stream.
#[derive(Clone)]
pub(crate) struct Standard {
    host: Line,
    stream: Stream,
}

impl Standard {
    /// The stream of the guest that `host` serves.
    pub(crate) fn new(host: Line, stream: Stream) -> Self {
        Self { host, stream }
    }

    fn poll_ready(&self, interest: Interest, context: &mut Context<'_>) -> Poll<()> {
        self.host.poll_ready(Source::Stream(self.stream), interest, context)
    }

    /// Reads what is there into `into`; `AGAIN` when there is nothing yet.
    fn read(&self, into: &mut [u8]) -> qyv_vfs::Result<usize> {
        self.host.with(|host| host.stream_read(self.stream, into))
    }

    /// Writes what the host takes; `AGAIN` when it takes nothing yet.
    fn write(&self, from: &[u8]) -> qyv_vfs::Result<usize> {
        self.host.with(|host| host.stream_write(self.stream, from))
    }
}

impl IsTerminal for Standard {
    fn is_terminal(&self) -> bool {
        self.host.with(|host| host.stream_kind(self.stream)) == StreamKind::Terminal
    }
}

impl StdinStream for Standard {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Standard {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writing { to: self.clone(), rest: Bytes::new() })
    }
}

#[async_trait]
impl Pollable for Standard {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll_ready(Interest::Read, context)).await;
    }
}

#[async_trait]
impl InputStream for Standard {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let source = Source::Stream(self.stream);
        let Some(ready) = self.host.with(|host| host.ready(source, Interest::Read)) else {
            return Ok(Bytes::new());
        };
        let there = usize::try_from(ready.bytes).unwrap_or(MAX_READ).min(MAX_READ);
        let mut bytes = vec![0; size.min(if there == 0 { READ_UNKNOWN } else { there })];
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        match Self::read(self, &mut bytes) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes.into())
            }
            Err(Error::AGAIN) => Ok(Bytes::new()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// One stream of writes, with what the host has not taken of the last: at most [`WRITE_PERMIT`] bytes.
struct Writing {
    to: Standard,
    rest: Bytes,
}

impl Writing {
    fn drain(&mut self) -> StreamResult<()> {
        while !self.rest.is_empty() {
            match self.to.write(&self.rest) {
                Err(Error::AGAIN) => return Ok(()),
                Err(error) => {
                    self.rest.clear();
                    return Err(failed(error));
                }
                Ok(count) => self.rest.advance(count.min(self.rest.len())),
            }
        }
        // Gives the buffer back too.
        self.rest = Bytes::new();
        Ok(())
    }
}

#[async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        poll_fn(|context| {
            // A failure comes up again in the next write.
            let _ = self.drain();
            ready!(self.to.poll_ready(Interest::Write, context));
            if self.rest.is_empty() {
                return Poll::Ready(());
            }
            // There is room since a moment ago; the next look takes it.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_PERMIT || !self.rest.is_empty() {
            return Err(StreamError::trap("a write is longer than the stream permitted"));
        }
        self.rest = bytes;
        self.drain()
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.drain()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.drain()?;
        if !self.rest.is_empty() {
            return Ok(0);
        }
        let source = Source::Stream(self.to.stream);
        let ready = self.to.host.with(|host| host.ready(source, Interest::Write));
        // Where nobody reads any more, the write says so.
        Ok(ready.map_or(0, |ready| match usize::try_from(ready.bytes) {
            Ok(0) | Err(_) => WRITE_PERMIT,
            Ok(bytes) => bytes.min(WRITE_PERMIT),
        }))
    }

    async fn cancel(&mut self) {
        // What the guest has written is passed on, as the guest was told.
        while !self.rest.is_empty() {
            self.ready().await;
        }
    }
}

impl AsyncRead for Standard {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.read(buffer.initialize_unfilled()) {
                Err(Error::AGAIN) => ready!(self.poll_ready(Interest::Read, context)),
                Err(error) => return Poll::Ready(Err(io_error(error))),
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Standard {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.write(bytes) {
                Err(Error::AGAIN) => ready!(self.poll_ready(Interest::Write, context)),
                result => return Poll::Ready(result.map_err(io_error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn failed(error: Error) -> StreamError {
    if error == Error::PIPE { StreamError::Closed } else { stream_error(error) }
}

fn io_error(error: Error) -> io::Error {
    if error == Error::PIPE { io::ErrorKind::BrokenPipe.into() } else { io::Error::other(error) }
}
