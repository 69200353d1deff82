//! What a guest gets from this process: clocks, random numbers, the standard streams.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use qyv_wasi::{
    Clock, Denial, Direction, Error, Interest, Readiness, Result, Socket, Source, Stream, StreamKind, Wait,
};
use qyvol_net::Outside;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;

use crate::interrupt::{Interrupt, Reason};
use crate::network::Network;
use crate::shared::SharedHost;
use crate::system;

/// How often a guest looks at its connections when the process has no descriptor left to be woken by.
const LOOK: Duration = Duration::from_millis(10);

/// Where a guest's output goes. Shared, so that the process can still write its last words.
pub type Sink = Arc<Mutex<dyn Write + Send>>;

/// The standard streams of a guest.
#[derive(Clone)]
pub struct Stdio {
    /// Whether the guest reads this process's standard input; otherwise its input is empty.
    pub stdin: bool,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
}

/// One output stream of a guest.
#[derive(Clone)]
pub struct Output {
    /// Where the bytes go.
    pub sink: Sink,
    /// What the guest is told that it is.
    pub kind: StreamKind,
}

impl Output {
    /// This process's standard output, without a buffer of its own.
    #[must_use]
    pub fn stdout() -> Self {
        let fd = rustix::stdio::stdout();
        Self { sink: Arc::new(Mutex::new(Direct(fd))), kind: kind_of(fd) }
    }

    /// This process's standard error.
    #[must_use]
    pub fn stderr() -> Self {
        let fd = rustix::stdio::stderr();
        Self { sink: Arc::new(Mutex::new(Direct(fd))), kind: kind_of(fd) }
    }

    /// The same stream through another sink, such as a filter around it.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(Sink) -> Sink) -> Self {
        Self { sink: wrap(self.sink), kind: self.kind }
    }
}

impl Default for Stdio {
    fn default() -> Self {
        Self { stdin: true, stdout: Output::stdout(), stderr: Output::stderr() }
    }
}

/// Writes to a descriptor with one system call a write.
struct Direct(BorrowedFd<'static>);

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.0, bytes) {
                Err(rustix::io::Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// [`qyv_wasi::Host`] for a guest that has a thread to itself.
pub(crate) struct ProcessHost {
    stdio: Stdio,
    stdin_kind: StreamKind,
    network: Network,
    interrupt: Interrupt,
}

impl ProcessHost {
    pub(crate) fn new(stdio: Stdio, outside: Option<Arc<Outside>>, interrupt: Interrupt) -> Self {
        let stdin_kind = if stdio.stdin { kind_of(rustix::stdio::stdin()) } else { StreamKind::Null };
        Self { stdio, stdin_kind, network: Network::new(outside), interrupt }
    }

    /// Blocks until what a call waits for has come, or the guest is to stop.
    pub(crate) fn wait(&mut self, wait: &Wait) -> std::result::Result<(), Reason> {
        let deadline = wait.deadline().map(|(clock, at)| {
            let now = self.clock_now_or_zero(clock);
            let left = Duration::from_nanos(at.saturating_sub(now));
            // A time so far ahead that it cannot be told is as good as a year.
            Instant::now()
                .checked_add(left)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(365 * 86_400))
        });
        let sockets: Vec<_> = wait
            .sources()
            .iter()
            .filter_map(|(source, interest)| match source {
                Source::Socket(socket) => Some((*socket, *interest)),
                // Nothing is ever accepted here.
                Source::Stream(_) | Source::Listener(_) => None,
            })
            .collect();
        let mut interests: Vec<_> = wait
            .sources()
            .iter()
            .filter_map(|(source, interest)| match source {
                Source::Stream(stream) => Some((descriptor(*stream), flags(*interest))),
                Source::Socket(_) | Source::Listener(_) => None,
            })
            .collect();
        if !sockets.is_empty() {
            // The call is made again, and looks for itself.
            match self.network.wait(&sockets) {
                Some(false) => {}
                Some(true) => return self.interrupt.reason().map_or(Ok(()), Err),
                None => {
                    let look = Instant::now() + LOOK;
                    let until = deadline.map_or(look, |deadline| deadline.min(look));
                    return self.interrupt.wait(&interests, Some(until));
                }
            }
            interests.extend(self.network.bell().map(|bell| (bell, PollFlags::IN)));
        }
        self.interrupt.wait(&interests, deadline)
    }

    fn clock_now_or_zero(&mut self, clock: Clock) -> u64 {
        qyv_wasi::Host::clock_now(self, clock).unwrap_or(0)
    }

    fn output(&self, stream: Stream) -> &Output {
        if stream == Stream::Stderr { &self.stdio.stderr } else { &self.stdio.stdout }
    }

    fn is_input_null(&self, stream: Stream) -> bool {
        stream == Stream::Stdin && !self.stdio.stdin
    }
}

impl qyv_wasi::Host for ProcessHost {
    fn clock_now(&mut self, clock: Clock) -> Result<u64> {
        system::clock_now(clock)
    }

    fn clock_resolution(&mut self, clock: Clock) -> Result<u64> {
        system::clock_resolution(clock)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<()> {
        system::random(into)
    }

    fn stream_read(&mut self, stream: Stream, into: &mut [u8]) -> Result<usize> {
        if stream != Stream::Stdin {
            return Err(Error::BADF);
        }
        if self.is_input_null(stream) {
            return Ok(0);
        }
        let stdin = rustix::stdio::stdin();
        // A file never blocks; anything else is asked first, so that a stop reaches a guest that waits for input.
        if self.stdin_kind != StreamKind::File && !is_ready(stdin, PollFlags::IN) {
            return Err(Error::AGAIN);
        }
        rustix::io::read(stdin, into).map_err(|error| match error {
            rustix::io::Errno::AGAIN | rustix::io::Errno::INTR => Error::AGAIN,
            rustix::io::Errno::ISDIR => Error::ISDIR,
            rustix::io::Errno::BADF => Error::BADF,
            _ => Error::IO,
        })
    }

    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize> {
        let mut sink = self.output(stream).sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.write(from).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Error::AGAIN,
            io::ErrorKind::BrokenPipe => Error::PIPE,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NOSPC,
            _ if error.raw_os_error() == Some(libc::EBADF) => Error::BADF,
            _ => Error::IO,
        })
    }

    fn stream_kind(&self, stream: Stream) -> StreamKind {
        if stream == Stream::Stdin { self.stdin_kind } else { self.output(stream).kind }
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        let stream = match source {
            Source::Stream(stream) => stream,
            Source::Socket(socket) => return self.network.ready(socket, interest, None),
            Source::Listener(_) => return None,
        };
        if self.is_input_null(stream) {
            return Some(Readiness { bytes: 0, hangup: true });
        }
        let mut descriptors = [PollFd::from_borrowed_fd(descriptor(stream), flags(interest))];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut descriptors, Some(&now)).ok()?;
        let seen = descriptors[0].revents();
        if seen.is_empty() {
            return None;
        }
        let bytes = match interest {
            Interest::Read => rustix::io::ioctl_fionread(descriptor(stream)).unwrap_or(1),
            Interest::Write => 1,
        };
        Some(Readiness { bytes, hangup: seen.intersects(PollFlags::HUP | PollFlags::ERR) })
    }

    fn yield_now(&mut self) {
        rustix::thread::sched_yield();
    }

    fn service(&mut self, name: &str, port: Option<u16>) -> Result<()> {
        self.network.check(name, port)
    }

    fn services(&mut self) -> Vec<String> {
        self.network.listed()
    }

    fn service_info(&mut self, name: &str) -> Result<String> {
        self.network.check(name, None).and(Err(Error::NOENT))
    }

    fn dial(&mut self, name: &str, port: Option<u16>, direction: Direction) -> Result<Socket> {
        self.network.dial(name, port, direction)
    }

    fn connected(&mut self, socket: Socket) -> Result<()> {
        self.network.get(socket)?.connected()
    }

    fn look_up(&mut self, name: &str) -> Result<Socket> {
        self.network.look_up(name)
    }

    fn addresses(&mut self, look_up: Socket) -> Result<Vec<IpAddr>> {
        self.network.get(look_up)?.addresses()
    }

    fn connect(&mut self, address: SocketAddr) -> Result<Socket> {
        self.network.connect(address)
    }

    fn missing(&mut self, socket: Socket) -> Option<String> {
        self.network.get(socket).ok()?.missing()
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        self.network.get(socket)?.receive(into, peek)
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        self.network.get(socket)?.send(from)
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        self.network.get(socket)?.shutdown(direction)
    }

    fn close(&mut self, source: Source) {
        if let Source::Socket(socket) = source {
            self.network.close(socket);
        }
    }
}

/// For a component, whose own runtime waits for all but its connections.
impl SharedHost for ProcessHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        let mut sources = wait.sources().iter();
        let ready = sources.any(|(source, interest)| match source {
            Source::Socket(socket) => self.network.ready(*socket, *interest, Some(context.waker())).is_some(),
            Source::Stream(_) | Source::Listener(_) => true,
        });
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn ended(&mut self, _: &[Denial]) {}
}

fn descriptor(stream: Stream) -> BorrowedFd<'static> {
    match stream {
        Stream::Stdin => rustix::stdio::stdin(),
        Stream::Stdout => rustix::stdio::stdout(),
        Stream::Stderr => rustix::stdio::stderr(),
    }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
    }
}

fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags) -> bool {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&now)), Ok(0))
}

/// What stands behind a descriptor of this process.
fn kind_of(fd: impl AsFd) -> StreamKind {
    let fd = fd.as_fd();
    if rustix::termios::isatty(fd) {
        return StreamKind::Terminal;
    }
    match rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::RegularFile) => StreamKind::File,
        Ok(FileType::CharacterDevice) => StreamKind::Null,
        _ => StreamKind::Pipe,
    }
}
