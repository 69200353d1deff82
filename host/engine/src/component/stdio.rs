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

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;
    use crate::Reason;

    /// Writes to a pipe that says `WouldBlock` when it is full.
    struct Pipe(&'static OwnedFd);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(rustix::io::write(self.0, bytes)?)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The reading end, and a stream into the other.
    fn pipe(interrupt: &Interrupt) -> (OwnedFd, SinkStream) {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let writer: &'static OwnedFd = Box::leak(Box::new(writer));
        let stream = SinkStream::new(Arc::new(Mutex::new(Pipe(writer))), false);
        (reader, stream.waiting(writer.as_fd(), interrupt.clone()))
    }

    #[test]
    fn a_full_pipe_is_waited_for() {
        let interrupt = Interrupt::new().unwrap();
        let (reader, mut stream) = pipe(&interrupt);
        let total = 10 * WRITE_PERMIT;
        let thread = std::thread::spawn(move || {
            let (mut seen, mut buffer) = (0, vec![0; 5000]);
            while seen < total {
                match rustix::io::read(&reader, &mut buffer) {
                    Ok(count) => seen += count,
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
            seen
        });
        for _ in 0..10 {
            stream.write(vec![7; WRITE_PERMIT].into()).unwrap();
        }
        assert_eq!(thread.join().unwrap(), total);
        // The reader is gone.
        assert!(matches!(stream.write(vec![7].into()), Err(StreamError::Closed)));
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let interrupt = Interrupt::new().unwrap();
        let (_reader, mut stream) = pipe(&interrupt);
        let stopper = interrupt.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            stopper.raise(Reason::Terminate);
        });
        let ended = (0..100).find_map(|_| stream.write(vec![7; WRITE_PERMIT].into()).err());
        thread.join().unwrap();
        let Some(StreamError::Trap(error)) = ended else { panic!("{ended:?}") };
        assert!(error.is::<Stopped>());
    }
}
