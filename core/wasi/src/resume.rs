//! What a call that waits must remember until it is re-entered.

use alloc::string::String;

use crate::poll::Start;
use crate::{Direction, Host, Process, Socket, Source};

/// At most one call waits, so one of these is enough. A call of another function drops it.
#[derive(Debug)]
pub(crate) enum Resume {
    /// Since when a `poll_oneoff` waits.
    Poll(Start),
    /// How far a `sock_recv` came that is to fill its buffers.
    Receive(Received),
    /// The connection that a `path_open` is making.
    Dial(Dial),
}

/// A `sock_recv` by its arguments (descriptor, buffers, their count, flags), and the bytes that it has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) arguments: [u32; 4],
    pub(crate) bytes: u32,
}

/// A dial that is under way.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
    pub(crate) direction: Direction,
    pub(crate) socket: Socket,
}

impl Process {
    /// At the begin of every call: drops what another function left that waited and was never re-entered.
    #[inline]
    pub(crate) fn begin<H: Host + ?Sized>(&mut self, host: &mut H, call: &str) {
        let waited = match &self.resume {
            None => return,
            Some(Resume::Poll(_)) => "poll_oneoff",
            Some(Resume::Receive(_)) => "sock_recv",
            Some(Resume::Dial(_)) => "path_open",
        };
        if call != waited {
            self.forget(host);
        }
    }

    /// Drops what a call left that waited.
    pub(crate) fn forget<H: Host + ?Sized>(&mut self, host: &mut H) {
        if let Some(Resume::Dial(dial)) = self.resume.take() {
            host.close(Source::Socket(dial.socket));
        }
    }
}
