//! A plain writer as standard output.

use std::io::{self, ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use rustix::event::PollFlags;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use super::error::host_stream_error;
use super::limits::WRITE_PERMIT;
use crate::preview1::Stopped;
use crate::{Interrupt, Sink};

/// Standard output or error into a writer, which may be shared. It writes in place: a writer that blocks, blocks the
/// guest's thread. One that says `WouldBlock` instead is waited for.
#[derive(Clone)]
pub struct SinkStream {
    sink: Sink,
    terminal: bool,
    full: Option<Full>,
}

/// How to wait for a writer that is full.
#[derive(Clone)]
struct Full {
    descriptor: BorrowedFd<'static>,
    interrupt: Interrupt,
}

impl SinkStream {
    /// `terminal` is what the guest is told when it asks. A writer that says `WouldBlock` fails the guest's write.
    #[must_use]
    pub fn new(sink: Sink, terminal: bool) -> Self {
        Self { sink, terminal, full: None }
    }

    /// Waits when the writer says `WouldBlock` until `descriptor`, where its bytes go, takes more; a stop ends the wait
    /// and the guest.
    #[must_use]
    pub fn waiting(self, descriptor: BorrowedFd<'static>, interrupt: Interrupt) -> Self {
        Self { full: Some(Full { descriptor, interrupt }), ..self }
    }

    /// Does something that may find the writer full until it does not.
    fn retry<R>(&self, mut call: impl FnMut(&mut (dyn Write + Send)) -> io::Result<R>) -> StreamResult<R> {
        loop {
            match (self.with(&mut call), &self.full) {
                (Err(error), _) if error.kind() == ErrorKind::Interrupted => {}
                (Err(error), Some(full)) if error.kind() == ErrorKind::WouldBlock => {
                    full.interrupt
                        .wait(&[(full.descriptor, PollFlags::OUT)], None)
                        .map_err(|reason| StreamError::Trap(wasmtime::Error::new(Stopped(reason))))?;
                }
                (result, _) => return result.map_err(|error| host_stream_error(&error)),
            }
        }
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
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.retry(|writer| writer.write(rest))? {
                0 => return Err(host_stream_error(&ErrorKind::WriteZero.into())),
                count => rest = rest.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.retry(|writer| writer.flush())
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
