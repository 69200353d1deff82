//! The bytes of a connection: what has arrived and is not taken yet, what is to be sent and is not gone yet.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use crate::error::ErrorKind;
use crate::task::{Interest, ready};

/// Most bytes of one read.
const READ_BYTES_MAX: usize = 64 << 10;

/// A buffer of this size stays with a connection that has nothing in it.
const IDLE_BYTES_MAX: usize = 4 << 10;

thread_local! {
    /// One for all connections: a read does not know how much there is.
    static ARRIVED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES_MAX]);
}

/// A socket that never makes the thread wait.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    inbox: RefCell<Buffer>,
    ended: Cell<bool>,
    outbox: RefCell<Buffer>,
    /// Bytes that were written, since the beginning.
    written: Cell<u64>,
}

/// Bytes, of which the first have been taken.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            inbox: RefCell::default(),
            ended: Cell::new(false),
            outbox: RefCell::default(),
            written: Cell::new(0),
        }
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub(super) async fn decided(&self) -> Result<(), ErrorKind> {
        self.ready(Interest::Write).await?;
        // The first use says whether it failed; what has already arrived is kept.
        match self.fill() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(ErrorKind::of(&error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn ready(&self, interest: Interest) -> Result<(), ErrorKind> {
        ready(self.fd(), interest).await.map_err(|error| ErrorKind::of(&error))
    }

    /// Reads once. `false` is the end.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing has arrived; those of the connection.
    pub(super) fn fill(&self) -> io::Result<bool> {
        if self.ended.get() {
            return Ok(false);
        }
        let count = ARRIVED.with_borrow_mut(|arrived| {
            let count = retry(|| (&self.stream).read(arrived))?;
            self.inbox.borrow_mut().bytes.extend_from_slice(arrived.get(..count).unwrap_or_default());
            io::Result::Ok(count)
        })?;
        self.ended.set(count == 0);
        Ok(count > 0)
    }

    /// Lets `take` take from the front of what has arrived.
    pub(super) fn take<T>(&self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        let mut inbox = self.inbox.borrow_mut();
        let mut rest = inbox.rest();
        let result = take(&mut rest);
        let left = rest.len();
        inbox.taken = inbox.bytes.len() - left;
        inbox.tidy();
        result
    }

    /// Lets `encode` append to what is to be sent, and returns how many bytes will have been written then.
    pub(super) fn put<E>(&self, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<u64, E> {
        let mut outbox = self.outbox.borrow_mut();
        encode(&mut outbox.bytes)?;
        Ok(self.written.get() + outbox.rest().len() as u64)
    }

    /// Writes until so many bytes have been written since the beginning. Others may have written them meanwhile: what was put
    /// first goes first, whoever writes.
    ///
    /// # Errors
    ///
    /// Those of the connection. Nothing is left to be sent then.
    pub(super) async fn flush(&self, until: u64) -> Result<(), ErrorKind> {
        while self.written.get() < until {
            match self.write() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(Interest::Write).await?;
                }

                Err(error) => return Err(ErrorKind::of(&error)),
            }
        }
        Ok(())
    }

    /// Writes once.
    fn write(&self) -> io::Result<()> {
        let mut outbox = self.outbox.borrow_mut();
        let count = match retry(|| (&self.stream).write(outbox.rest())) {
            // Somebody else has met the failure and emptied the buffer, or the system takes nothing any more.
            Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
            Ok(count) => count,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    *outbox = Buffer::default();
                }
                return Err(error);
            }
        };
        self.written.set(self.written.get() + count as u64);
        outbox.taken += count;
        outbox.tidy();
        Ok(())
    }

    /// Sends what is left, then the end.
    pub(super) async fn finish(&self) -> Result<(), ErrorKind> {
        let all = self.written.get() + self.outbox.borrow().rest().len() as u64;
        self.flush(all).await?;
        self.stream.shutdown(Shutdown::Write).map_err(|error| ErrorKind::of(&error))
    }

    fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Gives memory back when all was taken.
    fn tidy(&mut self) {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE_BYTES_MAX);
            self.taken = 0;
        }
    }
}

/// Signals are no failure.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
