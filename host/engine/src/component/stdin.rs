//! This process's standard input.
//!
//! It is read in place and only when the guest asks: what the guest leaves is there for who comes next, no thread waits,
//! and a guest that waits for input can be stopped and can wait for other things at the same time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::stdio::stdin;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, StreamResult};

use super::error::host_stream_error;
use super::limits::MAX_READ;

/// Standard input of this process, for any number of streams, which share it.
pub(super) struct HostStdin;

impl IsTerminal for HostStdin {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(stdin())
    }
}

impl StdinStream for HostStdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Input::default())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Input::default())
    }
}

/// One stream over it.
#[derive(Default)]
struct Input {
    events: Option<Events>,
}

/// How it is learnt that there is something to read.
enum Events {
    Epoll(AsyncFd<std::os::fd::OwnedFd>),
    /// Files and some devices never make anybody wait, and epoll does not take them.
    AlwaysReady,
}

impl Input {
    /// Waits for input, its end or its failure; the read tells which.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.events.is_none() {
            self.events = Some(Events::new()?);
        }
        let Some(Events::Epoll(events)) = &self.events else { return Poll::Ready(Ok(())) };
        loop {
            let mut event = std::task::ready!(events.poll_read_ready(context))?;
            // An event may be old: another stream, or the guest's last read, may have taken what it told of.
            if has_input() {
                return Poll::Ready(Ok(()));
            }
            event.clear_ready();
        }
    }
}

impl Events {
    fn new() -> io::Result<Self> {
        let copy = rustix::io::fcntl_dupfd_cloexec(stdin(), 0)?;
        // SAFETY: an `OwnedFd` names the same open descriptor from here until it is dropped, which `AsyncFd` does after
        // it deregistered it.
        let registered = unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) };
        match registered.map_err(io::Error::from) {
            Ok(events) => Ok(Self::Epoll(events)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Self::AlwaysReady),
            Err(error) => Err(error),
        }
    }
}

/// Whether a read would return at once.
fn has_input() -> bool {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(poll(&mut [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)], Some(&now)), Ok(0))
}

/// `WouldBlock` when there is nothing yet.
fn read(into: &mut [u8]) -> io::Result<usize> {
    if !has_input() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    match rustix::io::read(stdin(), into) {
        Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        result => Ok(result?),
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        // An error here comes up again in the read.
        let _ = std::future::poll_fn(|context| self.poll_ready(context)).await;
    }
}

#[async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut bytes = vec![0; size.min(MAX_READ)];
        match read(&mut bytes) {
            Ok(0) => Err(wasmtime_wasi_io::streams::StreamError::Closed),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes.into())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(host_stream_error(&error)),
        }
    }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.poll_ready(context))?;
            match read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    buffer.advance(result?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
