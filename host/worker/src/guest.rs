//! What a guest gets from its worker: clocks, randomness, its streams, its connections.

use std::future::Future as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use qyv_svc::{AppId, Dial, End, ListenerId};
use qyv_vfs::Budget;
use qyv_wasi::{
    Clock, Denial, Direction, Error, Interest, Listener, Readiness, Result, Socket, Source, Stream,
    StreamKind, Wait,
};
use qyvol_engine::shared::SharedHost;
use qyvol_engine::system;
use qyvol_net::{Outside, Outward};
use qyvol_protocol::system::SERVICE;
use tokio::time::{Instant, Sleep};

use crate::executor::{Meter, may_wait};
use crate::services::{Services, Shared};
use crate::stdio::Stdio;
use crate::system::Caller;
use crate::tcp::Accepting;

/// The longest single sleep; a wait that is longer is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(86_400);

/// Random bytes that are made at once. More take a while, in which the thread's place may go to others.
const RANDOM_BYTES_QUICK: usize = 256 << 10;

/// What a guest listens on.
pub(crate) enum Listening {
    /// A service.
    Service(ListenerId),
    /// A socket of the host.
    Tcp(Accepting),
}

/// A connection of a guest.
enum Held {
    /// To or from a service.
    Service(End<Shared>),
    /// To the network outside, or a look-up there.
    Outside(Outward),
}

/// The host of one guest.
pub(crate) struct GuestHost {
    app: AppId,
    services: Arc<Services>,
    stdio: Stdio,
    meter: Arc<Meter>,
    memory: Budget,
    outside: Arc<Outside>,
    sockets: Vec<Option<Held>>,
    /// How many of them there are, for whoever looks from outside.
    connections: Arc<AtomicU32>,
    listeners: Vec<Option<Listening>>,
    sleep: Option<Pin<Box<Sleep>>>,
    denials: Arc<Mutex<Vec<Denial>>>,
    /// Who it is for the system's own service.
    caller: Caller,
}

impl GuestHost {
    pub(crate) fn new(
        app: AppId,
        services: Arc<Services>,
        stdio: Stdio,
        meter: Arc<Meter>,
        outside: Arc<Outside>,
        listeners: Vec<Listening>,
        caller: Caller,
    ) -> Self {
        Self {
            app,
            services,
            stdio,
            meter,
            memory: caller.memory.clone(),
            outside,
            sockets: Vec::new(),
            connections: Arc::default(),
            listeners: listeners.into_iter().map(Some).collect(),
            sleep: None,
            denials: Arc::default(),
            caller,
        }
    }

    /// Where the guest's denials are found when it is gone.
    pub(crate) fn denials(&self) -> Arc<Mutex<Vec<Denial>>> {
        Arc::clone(&self.denials)
    }

    /// Counts the guest's open connections.
    pub(crate) fn connections(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.connections)
    }

    fn socket(&mut self, socket: Socket) -> Result<&mut Held> {
        self.sockets.get_mut(socket.0 as usize).and_then(Option::as_mut).ok_or(Error::BADF)
    }

    fn listener(&self, listener: Listener) -> Result<&Listening> {
        self.listeners.get(listener.0 as usize).and_then(Option::as_ref).ok_or(Error::BADF)
    }

    /// Keeps a connection under the lowest free number. There are never more than `limits.fds`.
    fn keep(&mut self, held: Held) -> Socket {
        let free = self.sockets.iter().position(Option::is_none).unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        self.sockets[free] = Some(held);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Socket(u32::try_from(free).unwrap_or(u32::MAX))
    }

    fn ready_or_wake(
        &mut self,
        source: Source,
        interest: Interest,
        waker: Option<&Waker>,
    ) -> Option<Readiness> {
        let hangup = Some(Readiness { bytes: 0, hangup: true });
        match source {
            Source::Stream(stream) => self.stdio.ready(stream, interest, waker),
            Source::Socket(socket) => match self.socket(socket) {
                Ok(Held::Outside(outward)) => outward.ready(interest, waker),
                Ok(Held::Service(end)) => {
                    let interest = match interest {
                        Interest::Read => qyv_svc::Interest::Read,
                        Interest::Write => qyv_svc::Interest::Write,
                    };
                    let ready = end.ready(interest, waker)?;
                    Some(Readiness { bytes: ready.bytes, hangup: ready.hangup })
                }
                Err(_) => hangup,
            },
            Source::Listener(listener) => match self.listener(listener) {
                Ok(Listening::Service(id)) => {
                    let id = *id;
                    let ready = self.services.with(|network, wakes| network.ready(id, waker, wakes))?;
                    Some(Readiness { bytes: ready.bytes, hangup: ready.hangup })
                }
                Ok(Listening::Tcp(accepting)) => match accepting.ready(waker) {
                    0 => None,
                    count => Some(Readiness { bytes: count as u64, hangup: false }),
                },
                Err(_) => hangup,
            },
        }
    }
}

/// Whether a name is that of a host outside, with its port: those of services have no colon.
fn is_outside(name: &str) -> bool {
    name.contains(':')
}

fn ways(direction: Direction) -> qyv_svc::Direction {
    match direction {
        Direction::Receive => qyv_svc::Direction::Receive,
        Direction::Send => qyv_svc::Direction::Send,
        Direction::Both => qyv_svc::Direction::Both,
    }
}

impl qyv_wasi::Host for GuestHost {
    fn clock_now(&mut self, clock: Clock) -> Result<u64> {
        match clock {
            // The thread runs many guests: what is the guest's own was counted.
            Clock::ProcessCpu | Clock::ThreadCpu => Ok(self.meter.used_in_turn()),
            Clock::Realtime | Clock::Monotonic => system::clock_now(clock),
        }
    }

    fn clock_resolution(&mut self, clock: Clock) -> Result<u64> {
        system::clock_resolution(clock)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<()> {
        if into.len() <= RANDOM_BYTES_QUICK {
            return system::random(into);
        }
        may_wait(|| system::random(into))
    }

    fn stream_read(&mut self, stream: Stream, into: &mut [u8]) -> Result<usize> {
        self.stdio.read(stream, into)
    }

    fn stream_write(&mut self, stream: Stream, from: &[u8]) -> Result<usize> {
        self.stdio.write(stream, from)
    }

    fn stream_kind(&self, stream: Stream) -> StreamKind {
        self.stdio.kind(stream)
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        self.ready_or_wake(source, interest, None)
    }

    fn yield_now(&mut self) {}

    fn service(&mut self, name: &str, port: Option<u16>) -> Result<()> {
        if is_outside(name) {
            self.outside.check(name)?;
            return if port.is_some() { Err(Error::NOENT) } else { Ok(()) };
        }
        self.services.with(|network, _| network.service(self.app, name, port))
    }

    fn services(&mut self) -> Vec<String> {
        let mut names: Vec<_> = self
            .services
            .with(|network, _| network.services(self.app).map(|name| name.as_str().to_owned()).collect());
        names.extend(self.outside.listed());
        names.sort_unstable();
        names
    }

    fn service_info(&mut self, name: &str) -> Result<String> {
        if is_outside(name) {
            return self.outside.check(name).and(Err(Error::NOENT));
        }
        self.services.with(|network, _| network.info(self.app, name))
    }

    fn dial(&mut self, name: &str, port: Option<u16>, direction: Direction) -> Result<Socket> {
        if is_outside(name) {
            qyv_wasi::Host::service(self, name, port)?;
            let outward = self.outside.dial(name, direction)?;
            return Ok(self.keep(Held::Outside(outward)));
        }
        if name == SERVICE {
            qyv_wasi::Host::service(self, name, port)?;
            let end = self.caller.dial(ways(direction))?;
            return Ok(self.keep(Held::Service(end)));
        }
        let dial = Dial { app: self.app, name, port, ways: ways(direction), budget: &self.memory };
        let end = self.services.dial(&dial)?;
        Ok(self.keep(Held::Service(end)))
    }

    fn connected(&mut self, socket: Socket) -> Result<()> {
        match self.socket(socket)? {
            Held::Service(end) => end.connected(),
            Held::Outside(outward) => outward.connected(),
        }
    }

    fn look_up(&mut self, name: &str) -> Result<Socket> {
        let outward = self.outside.look_up(name)?;
        Ok(self.keep(Held::Outside(outward)))
    }

    fn addresses(&mut self, look_up: Socket) -> Result<Vec<IpAddr>> {
        match self.socket(look_up)? {
            Held::Service(_) => Err(Error::NOTSOCK),
            Held::Outside(outward) => outward.addresses(),
        }
    }

    fn connect(&mut self, address: SocketAddr) -> Result<Socket> {
        let outward = self.outside.connect(address)?;
        Ok(self.keep(Held::Outside(outward)))
    }

    fn missing(&mut self, socket: Socket) -> Option<String> {
        match self.socket(socket).ok()? {
            Held::Service(_) => None,
            Held::Outside(outward) => outward.missing(),
        }
    }

    fn accept(&mut self, listener: Listener) -> Result<Socket> {
        let end = match self.listener(listener)? {
            Listening::Service(id) => {
                let id = *id;
                self.services.with(|network, _| network.accept(id))?
            }
            Listening::Tcp(accepting) => accepting.accept()?,
        };
        Ok(self.keep(Held::Service(end)))
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        match self.socket(socket)? {
            Held::Service(end) => end.receive(into, peek),
            Held::Outside(outward) => outward.receive(into, peek),
        }
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        match self.socket(socket)? {
            Held::Service(end) => end.send(from),
            Held::Outside(outward) => outward.send(from),
        }
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        match self.socket(socket)? {
            Held::Service(end) => end.shutdown(ways(direction)),
            Held::Outside(outward) => outward.shutdown(direction)?,
        }
        Ok(())
    }

    fn close(&mut self, source: Source) {
        match source {
            Source::Stream(_) => {}
            Source::Socket(socket) => {
                let place = self.sockets.get_mut(socket.0 as usize);
                if place.and_then(Option::take).is_some() {
                    self.connections.fetch_sub(1, Ordering::Relaxed);
                }
            }
            Source::Listener(listener) => {
                let place = self.listeners.get_mut(listener.0 as usize);
                if let Some(Listening::Service(id)) = place.and_then(Option::take) {
                    self.services.close(id);
                }
            }
        }
    }
}

impl SharedHost for GuestHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        for (source, interest) in wait.sources() {
            if self.ready_or_wake(*source, *interest, Some(context.waker())).is_some() {
                self.sleep = None;
                return Poll::Ready(());
            }
        }
        let Some((clock, at)) = wait.deadline() else { return Poll::Pending };
        let Ok(now) = qyv_wasi::Host::clock_now(self, clock) else { return Poll::Ready(()) };
        let left = Duration::from_nanos(at.saturating_sub(now)).min(SLEEP_MAX);
        if left.is_zero() {
            self.sleep = None;
            return Poll::Ready(());
        }
        let deadline = Instant::now() + left;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        if sleep.as_mut().poll(context).is_ready() {
            self.sleep = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn outside(&self) -> Option<Arc<Outside>> {
        Some(Arc::clone(&self.outside))
    }

    fn ended(&mut self, denials: &[Denial]) {
        *self.denials.lock().unwrap_or_else(PoisonError::into_inner) = denials.to_vec();
    }
}

impl Drop for GuestHost {
    /// A guest that dies in the middle of a conversation has not ended it in order.
    fn drop(&mut self) {
        for held in self.sockets.drain(..).flatten() {
            match held {
                Held::Service(end) => end.fail(qyv_svc::Failure::Reset),
                Held::Outside(mut outward) => outward.reset(),
            }
        }
    }
}
