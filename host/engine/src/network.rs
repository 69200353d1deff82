//! The network outside for a guest that has a thread to itself: what it holds there, by number, and how it waits.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use qyv_wasi::{Direction, Error, Interest, Readiness, Result, Socket};
use qyvol_net::{Outside, Outward};
use rustix::event::{EventfdFlags, eventfd};

/// What a guest holds of the network outside; without [`Outside`], nothing ever.
pub(crate) struct Network {
    outside: Option<Arc<Outside>>,
    sockets: Vec<Option<Outward>>,
    bell: Option<Arc<Bell>>,
}

/// Readable once something that was waited for may be there.
struct Bell(OwnedFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // One that was rung and not heard yet is full at worst.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl Network {
    pub(crate) fn new(outside: Option<Arc<Outside>>) -> Self {
        Self { outside, sockets: Vec::new(), bell: None }
    }

    /// What may be asked for `host:port`; `ACCES` for services, of which there are none.
    pub(crate) fn check(&self, name: &str, port: Option<u16>) -> Result<()> {
        self.outside()?.check(name)?;
        if port.is_some() { Err(Error::NOENT) } else { Ok(()) }
    }

    pub(crate) fn listed(&self) -> Vec<String> {
        self.outside.as_ref().map(|outside| outside.listed()).unwrap_or_default()
    }

    pub(crate) fn dial(&mut self, name: &str, port: Option<u16>, ways: Direction) -> Result<Socket> {
        self.check(name, port)?;
        let outward = self.outside()?.dial(name, ways)?;
        Ok(self.keep(outward))
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> Result<Socket> {
        let outward = self.outside()?.connect(address)?;
        Ok(self.keep(outward))
    }

    pub(crate) fn look_up(&mut self, name: &str) -> Result<Socket> {
        let outward = self.outside()?.look_up(name)?;
        Ok(self.keep(outward))
    }

    /// What has this number.
    pub(crate) fn get(&mut self, socket: Socket) -> Result<&mut Outward> {
        self.sockets.get_mut(socket.0 as usize).and_then(Option::as_mut).ok_or(Error::BADF)
    }

    pub(crate) fn close(&mut self, socket: Socket) {
        if let Some(place) = self.sockets.get_mut(socket.0 as usize) {
            *place = None;
        }
    }

    pub(crate) fn ready(
        &mut self,
        socket: Socket,
        interest: Interest,
        waker: Option<&Waker>,
    ) -> Option<Readiness> {
        match self.get(socket) {
            Ok(outward) => outward.ready(interest, waker),
            Err(_) => Some(Readiness { bytes: 0, hangup: true }),
        }
    }

    /// Whether one of these is ready; if none is, the bell rings when one may be. `None` without a bell: the process has
    /// no descriptor left.
    pub(crate) fn wait(&mut self, sources: &[(Socket, Interest)]) -> Option<bool> {
        if self.bell.is_none() {
            self.bell =
                Some(Arc::new(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?)));
        }
        let bell = self.bell.clone()?;
        // What rang for an earlier wait is heard.
        let _ = rustix::io::read(&bell.0, &mut [0; 8]);
        let waker = Waker::from(bell);
        Some(sources.iter().any(|(socket, interest)| self.ready(*socket, *interest, Some(&waker)).is_some()))
    }

    /// The bell of the last wait.
    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(|bell| bell.0.as_fd())
    }

    fn outside(&self) -> Result<&Arc<Outside>> {
        self.outside.as_ref().ok_or(Error::ACCES)
    }

    /// Keeps it under the lowest free number.
    fn keep(&mut self, outward: Outward) -> Socket {
        let free = self.sockets.iter().position(Option::is_none).unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        self.sockets[free] = Some(outward);
        Socket(u32::try_from(free).unwrap_or(u32::MAX))
    }
}
