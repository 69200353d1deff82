//! What a host gives to its guest besides files.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use qyv_vfs::{Error, Result};

/// The clocks of preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// Nanoseconds since 1970-01-01T00:00:00Z. May jump.
    Realtime,
    /// Nanoseconds since some moment; never goes back.
    Monotonic,
    /// CPU time of the guest.
    ProcessCpu,
    /// CPU time of the guest's only thread.
    ThreadCpu,
}

/// The standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Descriptor 0 at start.
    Stdin,
    /// Descriptor 1 at start.
    Stdout,
    /// Descriptor 2 at start.
    Stderr,
}

/// What stands behind a stream; decides the file type that the guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A terminal: `isatty` is true.
    Terminal,
    /// A file of the host; still not seekable for the guest.
    File,
    /// A pipe, a socket, or a buffer of the host.
    Pipe,
    /// Nothing: reads end at once, writes vanish.
    Null,
}

/// A connection of the guest, by the number that its host gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket(pub u32);

/// A listening socket of the guest, by the number that its host gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener(pub u32);

/// Something of the host that a guest may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A standard stream.
    Stream(Stream),
    /// A connection.
    Socket(Socket),
    /// A listening socket; it is only read, by accepting.
    Listener(Listener),
}

/// Which ways of a connection are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the other side.
    Receive,
    /// To the other side.
    Send,
    /// Both ways.
    Both,
}

/// What is waited for on a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Something to read, the end, or a failure; on a listener a connection to accept.
    Read,
    /// Space to write into, a reader that left, or a failure; on a connection that is being made: whether it was.
    Write,
}

/// A source is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes that can be read or written without waiting; at least 1 unless the other side left or the number is
    /// not known.
    pub bytes: u64,
    /// The other side left.
    pub hangup: bool,
}

/// The clocks, the random numbers, the streams and the connections of one guest. All calls return at once.
///
/// A host without services keeps the default bodies, which refuse. One with services makes up the numbers of [`Socket`]s
/// and [`Listener`]s; the core holds each of them once and gives it back with [`close`](Self::close). What fails on a
/// connection keeps failing: `CONNRESET` when the other side died, `CONNABORTED` when the grant was revoked.
pub trait Host {
    /// The time in nanoseconds. `INVAL` for a clock that this host lacks.
    fn clock_now(&mut self, clock: Clock) -> Result<u64>;

    /// The clock's resolution in nanoseconds, at least 1. `INVAL` for a clock that this host lacks.
    fn clock_resolution(&mut self, clock: Clock) -> Result<u64>;

    /// Fills `into` with random bytes fit for keys.
    fn random(&mut self, into: &mut [u8]) -> Result<()>;

    /// Reads at most `into.len()` bytes, which is never 0. `Ok(0)` is the end; `AGAIN` when there is nothing yet.
    fn stream_read(&mut self, stream: Stream, into: &mut [u8]) -> Result<usize>;

    /// Writes at most `from.len()` bytes, which is never 0, and returns how many it took, never 0. `AGAIN` when it
    /// can take none yet; `PIPE` when nobody reads any more.
    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize>;

    /// What stands behind the stream.
    fn stream_kind(&self, stream: Stream) -> StreamKind;

    /// Whether the source is ready, and how much; `None` when it is not. A source that failed is ready for everything.
    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness>;

    /// The guest offers its turn to others (`sched_yield`). May do nothing.
    fn yield_now(&mut self);

    /// Whether the guest may dial this service, and whether it exists; without a port, any of its ports. Nothing is
    /// dialled. A name with a colon is a host outside with its port, `db.example.org:5432` or `[2001:db8::1]:80`: whether
    /// it exists is not asked. `ACCES` when it was not granted, whether it exists or not; `NOENT` when nobody has that name.
    fn service(&mut self, _name: &str, _port: Option<u16>) -> Result<()> {
        Err(Error::ACCES)
    }

    /// The names of the services that the guest may dial, and the hosts outside with their ports, sorted, each once.
    fn services(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The description of a service in JSON. Errors as for [`service`](Self::service).
    fn service_info(&mut self, _name: &str) -> Result<String> {
        Err(Error::ACCES)
    }

    /// Dials a service. Errors as for [`service`](Self::service), and `CONNREFUSED` when it is down or its backlog is
    /// full; of a host outside also `NOENT` when its name has no address, `HOSTUNREACH` and `TIMEDOUT`. A dial that takes time gives its socket at once; see [`connected`](Self::connected).
    fn dial(&mut self, _name: &str, _port: Option<u16>, _direction: Direction) -> Result<Socket> {
        Err(Error::ACCES)
    }

    /// Whether a dial has succeeded. `AGAIN` while it is under way: the socket becomes ready for [`Interest::Write`],
    /// whatever its direction, when that is known. Until then [`receive`](Self::receive) and [`send`](Self::send) are
    /// `AGAIN` too; after a failure they fail alike.
    fn connected(&mut self, _socket: Socket) -> Result<()> {
        Ok(())
    }

    /// Begins to look up a host outside. What it gives is waited for with [`connected`](Self::connected) and closed as a
    /// connection that is being made. `ACCES` when the guest may connect to no port of it.
    fn look_up(&mut self, _name: &str) -> Result<Socket> {
        Err(Error::ACCES)
    }

    /// What a look-up found: addresses that the guest may connect to, at least one. `AGAIN` while it is under way, `NOENT`
    /// when the name has none, `TIMEDOUT`, `ACCES` when it has none that the guest may connect to.
    fn addresses(&mut self, _look_up: Socket) -> Result<Vec<IpAddr>> {
        Err(Error::NOTSOCK)
    }

    /// Connects to an address outside that was granted by its number, or that a look-up of this guest found. Errors as for
    /// [`dial`](Self::dial).
    fn connect(&mut self, _address: SocketAddr) -> Result<Socket> {
        Err(Error::ACCES)
    }

    /// After `ACCES` on a connection that was being made, or a look-up: what should have been granted, as
    /// `tcp://127.0.0.1:80`, when it is not what was asked for.
    fn missing(&mut self, _socket: Socket) -> Option<String> {
        None
    }

    /// Takes a connection that waits at a listener. `AGAIN` when there is none.
    fn accept(&mut self, _listener: Listener) -> Result<Socket> {
        Err(Error::NOTSOCK)
    }

    /// Receives at most `into.len()` bytes, which is never 0; with `peek` they are left to be received again. `Ok(0)` is
    /// the end; `AGAIN` when there is nothing yet.
    fn receive(&mut self, _socket: Socket, _into: &mut [u8], _peek: bool) -> Result<usize> {
        Err(Error::NOTSOCK)
    }

    /// Sends at most `from.len()` bytes, which is never 0, and returns how many it took, never 0. `AGAIN` when it can
    /// take none yet; `PIPE` when the other side receives no more, or this side was shut down.
    fn send(&mut self, _socket: Socket, _from: &[u8]) -> Result<usize> {
        Err(Error::NOTSOCK)
    }

    /// Ends one way of a connection, or both: receiving is then at its end, sending is `PIPE`.
    fn shutdown(&mut self, _socket: Socket, _direction: Direction) -> Result<()> {
        Err(Error::NOTSOCK)
    }

    /// The guest is done with a connection or a listener, whose number is not used again. Never called with a stream.
    fn close(&mut self, _source: Source) {}
}
