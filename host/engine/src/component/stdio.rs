//! A plain writer as standard output.

use std::io::{self, ErrorKind, Write};
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use super::limits::WRITE_PERMIT;
use crate::Sink;

/// Standard output or error into a writer, which may be shared. It writes in place: a writer that blocks, blocks the
/// guest's thread.
#[derive(Clone)]
pub struct SinkStream {
    sink: Sink,
    terminal: bool,
}

impl SinkStream {
    /// `terminal` is what the guest is told when it asks.
    #[must_use]
    pub fn new(sink: Sink, terminal: bool) -> Self {
        Self { sink, terminal }
    }

    fn with<R>(&self, call: impl FnOnce(&mut (dyn Write + Send)) -> R) -> R {
        call(&mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl IsTerminal for SinkStream {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for SinkStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

fn stream_error(error: io::Error) -> StreamError {
    if error.kind() == ErrorKind::BrokenPipe {
        StreamError::Closed
    } else {
        StreamError::LastOperationFailed(error.into())
    }
}

#[async_trait]
impl Pollable for SinkStream {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for SinkStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_PERMIT {
            return Err(StreamError::trap("a write is longer than the stream permitted"));
        }
        self.with(|writer| writer.write_all(&bytes)).map_err(stream_error)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.with(|writer| writer.flush()).map_err(stream_error)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for SinkStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.with(|writer| writer.write(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.with(|writer| writer.flush()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
