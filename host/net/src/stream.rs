//! One connection to the network outside.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use qyv_spec::service::Scheme;
use qyv_svc::outbound::Host;
use qyv_vfs::{Error, Result};
use qyv_wasi::{Direction, Interest, Readiness};
use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, Shutdown};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::failure::{Failure, error_of};
use crate::outside::Places;
use crate::pending::{Cell, Pending};

type Reached = std::result::Result<TcpStream, Failure>;

/// How a connection is cut when its grant is taken back, and why it was allowed.
pub(crate) struct Cut {
    pub(crate) scheme: Scheme,
    pub(crate) name: Option<Host>,
    address: OnceLock<SocketAddr>,
    cut: AtomicBool,
    stream: OnceLock<Weak<Cell<Reached>>>,
    pub(crate) told: Notify,
}

impl Cut {
    pub(crate) fn new(scheme: Scheme, name: Option<Host>) -> Self {
        Self {
            scheme,
            name,
            address: OnceLock::new(),
            cut: AtomicBool::new(false),
            stream: OnceLock::new(),
            told: Notify::new(),
        }
    }

    /// Where it leads.
    pub(crate) fn reached(&self, address: SocketAddr) {
        // Known once: a connection has one other end.
        let _ = self.address.set(address);
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// Ends it now, on both sides.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.told.notify_one();
        let Some(cell) = self.stream.get().and_then(Weak::upgrade) else { return };
        if let Some(Ok(stream)) = cell.get() {
            // One that is over already is none the worse.
            let _ = rustix::net::shutdown(stream, Shutdown::Both);
        }
        cell.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

/// A connection that is being made or was.
pub(crate) struct Stream {
    pending: Pending<Reached>,
    cut: Arc<Cut>,
    /// The guest receives no more.
    deaf: bool,
    /// The guest sends no more.
    dumb: bool,
    /// What was shut down while it was being made has still to be told to the other side.
    owed: bool,
    /// What a look at the connection brought up: the kernel tells it once.
    failed: Option<Error>,
    _places: Places,
}

impl Stream {
    pub(crate) fn start(
        reactor: &Handle,
        reach: impl Future<Output = Reached> + Send + 'static,
        cut: Arc<Cut>,
        ways: Direction,
        places: Places,
    ) -> Self {
        let pending = Pending::start(reactor, reach);
        let _ = cut.stream.set(Arc::downgrade(pending.cell()));
        let (deaf, dumb) = (ways == Direction::Send, ways == Direction::Receive);
        Self { pending, cut, deaf, dumb, owed: dumb, failed: None, _places: places }
    }

    pub(crate) fn connected(&mut self) -> Result<()> {
        self.live().map(drop)
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.pending.get()?.as_ref().err()
    }

    pub(crate) fn receive(&mut self, into: &mut [u8], peek: bool) -> Result<usize> {
        let deaf = self.deaf;
        let stream = self.live()?;
        if deaf || into.is_empty() {
            return Ok(0);
        }
        let flags = if peek { RecvFlags::DONTWAIT | RecvFlags::PEEK } else { RecvFlags::DONTWAIT };
        let got = stream.try_io(tokio::io::Interest::READABLE, || receive(stream, into, flags));
        self.noted(got)
    }

    pub(crate) fn send(&mut self, from: &[u8]) -> Result<usize> {
        let dumb = self.dumb;
        let stream = self.live()?;
        if dumb {
            return Err(Error::PIPE);
        }
        let sent = stream.try_write(from);
        self.noted(sent)
    }

    pub(crate) fn shutdown(&mut self, ways: Direction) {
        self.deaf |= ways != Direction::Send;
        if ways != Direction::Receive {
            self.dumb = true;
            self.owed = true;
        }
        // Tells the other side when there is one.
        let _ = self.live();
    }

    pub(crate) fn ready(&mut self, interest: Interest, waker: Option<&Waker>) -> Option<Readiness> {
        let over = Some(Readiness { bytes: 0, hangup: true });
        self.pending.get_or_wake(waker)?;
        if (interest == Interest::Read && self.deaf) || (interest == Interest::Write && self.dumb) {
            return over;
        }
        let Ok(stream) = self.live() else { return over };
        let mut context = Context::from_waker(waker.unwrap_or(Waker::noop()));
        loop {
            let polled = match interest {
                Interest::Read => stream.poll_read_ready(&mut context),
                Interest::Write => stream.poll_write_ready(&mut context),
            };
            match polled {
                Poll::Pending => return None,
                Poll::Ready(Err(_)) => return over,
                Poll::Ready(Ok(())) => {}
            }
            // What the reactor saw may be over by now.
            let looked = match interest {
                Interest::Read => stream.try_io(tokio::io::Interest::READABLE, || {
                    receive(stream, &mut [0], RecvFlags::DONTWAIT | RecvFlags::PEEK)
                }),
                Interest::Write => stream.try_io(tokio::io::Interest::WRITABLE, || writable(stream)),
            };
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.failed = Some(error_of(&error));
                    return over;
                }
                Ok(0) => return over,
                Ok(_) if interest == Interest::Write => return Some(Readiness { bytes: 0, hangup: false }),
                Ok(_) => {
                    let bytes = rustix::io::ioctl_fionread(stream).unwrap_or(1).max(1);
                    return Some(Readiness { bytes, hangup: false });
                }
            }
        }
    }

    pub(crate) fn reset(&mut self) {
        if let Some(Ok(stream)) = self.pending.get() {
            // Without it the end is told in order, which is only less exact.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO));
        }
    }

    /// The connection, when it is there and was neither cut nor failed.
    fn live(&mut self) -> Result<&TcpStream> {
        match self.pending.get() {
            _ if self.cut.is_cut() => Err(Error::CONNABORTED),
            None => Err(Error::AGAIN),
            Some(Err(failure)) => Err(failure.error),
            Some(Ok(_)) if self.failed.is_some() => Err(self.failed.unwrap_or(Error::IO)),
            Some(Ok(stream)) => {
                if std::mem::take(&mut self.owed) {
                    // One that is over already is none the worse.
                    let _ = rustix::net::shutdown(stream, Shutdown::Write);
                }
                Ok(stream)
            }
        }
    }

    /// Keeps a failure, which the kernel tells once.
    fn noted(&mut self, result: io::Result<usize>) -> Result<usize> {
        result.map_err(|error| {
            let error = error_of(&error);
            // Sending may be over while there is still something to receive.
            if !matches!(error, Error::AGAIN | Error::PIPE) {
                self.failed = Some(error);
            }
            if self.cut.is_cut() { Error::CONNABORTED } else { error }
        })
    }
}

fn receive(stream: &TcpStream, into: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, into, flags)?.0)
}

/// 1 when there is room, 0 when nobody takes anything any more.
fn writable(stream: &TcpStream) -> io::Result<usize> {
    let mut look = [PollFd::new(stream, PollFlags::OUT)];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut look, Some(&now))?;
    let seen = look[0].revents();
    if seen.intersects(PollFlags::ERR | PollFlags::HUP) {
        Ok(0)
    } else if seen.contains(PollFlags::OUT) {
        Ok(1)
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
