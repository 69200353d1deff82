//! Listening sockets of the host: the daemon bound them, and the instances of an app that listen at one address take turns.
//!
//! Instances hold copies of one socket. If each accepted by itself, the first to be woken would take nearly all that comes. So
//! one task accepts for all of them here, and gives what came to the one whose turn it is. What an instance has not taken up
//! when it stops goes to the others.

mod room;

use std::collections::{HashMap, VecDeque};
use std::future::Future as _;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use qyv_spec::service::Name;
use rustix::net::sockopt::socket_cookie;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::Sleep;

pub(crate) use self::room::{Occupied, Room};

/// How long to wait when the process cannot take a connection that is there.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes on their way in each direction of a check.
const CHECK_BYTES: usize = 16 << 10;

/// Checks that wait for an instance at once: one that does not accept is found out by the first.
const CHECKS_MAX: usize = 4;

/// The addresses at which instances of this process listen.
pub(crate) struct Doors {
    open: Mutex<HashMap<(Name, String), Weak<Door>>>,
    reactor: Handle,
}

/// One address of one app, for as long as an instance listens there.
#[derive(Default)]
struct Door(Mutex<State>);

#[derive(Default)]
struct State {
    /// By their cookies: copies of one socket are one. There are two when a daemon was replaced meanwhile.
    sockets: Vec<(u64, TcpListener)>,
    takers: Vec<Place>,
    /// Whose turn it is, modulo how many there are.
    turn: usize,
    numbers: u64,
    acceptor: Option<Waker>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// What waits for one instance.
struct Place {
    number: u64,
    room: Arc<Room>,
    waiting: VecDeque<Taken>,
    waker: Option<Waker>,
}

/// A connection that was accepted, and the room that it takes.
pub(crate) struct Taken {
    pub(crate) stream: Come,
    pub(crate) occupied: Occupied,
}

/// What came.
pub(crate) enum Come {
    /// Somebody, at the address.
    Client(TcpStream),
    /// The worker itself, to see whether this instance works.
    Check(DuplexStream),
}

/// A way to one instance, whoever's turn it is.
pub(crate) struct Bell {
    door: Weak<Door>,
    number: u64,
}

/// An instance's part of what comes to an address.
pub(crate) struct Taker {
    door: Arc<Door>,
    number: u64,
}

impl Doors {
    /// None yet.
    pub(crate) fn new(reactor: Handle) -> Self {
        Self { open: Mutex::default(), reactor }
    }

    /// Lets an instance take connections of a socket that is bound and listens, as many at once as there is `room`.
    pub(crate) fn open(
        &self,
        app: &Name,
        address: &str,
        socket: OwnedFd,
        room: &Arc<Room>,
    ) -> std::io::Result<Taker> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        let cookie = socket_cookie(&socket)?;
        let key = (app.clone(), address.to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, door| door.strong_count() > 0);
        let known = open.get(&key).and_then(Weak::upgrade);
        let door = known.clone().unwrap_or_default();
        let mut state = door.state();
        if !state.sockets.iter().any(|(other, _)| *other == cookie) {
            let _entered = self.reactor.enter();
            state.sockets.push((cookie, TcpListener::from_std(socket)?));
        }
        state.numbers += 1;
        let number = state.numbers;
        let room = Arc::clone(room);
        state.takers.push(Place { number, room, waiting: VecDeque::new(), waker: None });
        let acceptor = state.acceptor.take();
        drop(state);
        acceptor.into_iter().for_each(Waker::wake);
        if known.is_none() {
            self.reactor.spawn(accept(Arc::downgrade(&door)));
            open.insert(key, Arc::downgrade(&door));
        }
        Ok(Taker { door, number })
    }
}

/// Accepts until nobody listens any more.
async fn accept(door: Weak<Door>) {
    std::future::poll_fn(|context| {
        let Some(door) = door.upgrade() else { return Poll::Ready(()) };
        let mut woken = Vec::new();
        door.state().accept(context, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        Poll::Pending
    })
    .await;
}

impl State {
    /// Gives out what has come, while there is room for it, and remembers whom to wake when there is more. Who is given
    /// something is in the queue under the same lock, so that nothing is accepted for one who takes no more.
    fn accept(&mut self, context: &mut Context<'_>, woken: &mut Vec<Waker>) {
        self.acceptor = Some(context.waker().clone());
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return;
            }
            self.pause = None;
        }
        while let Some(index) = self.next(context.waker()) {
            let come = self.sockets.iter().find_map(|(_, socket)| match socket.poll_accept(context) {
                Poll::Ready(come) => Some(come),
                Poll::Pending => None,
            });
            match come {
                Some(Ok((stream, _))) => {
                    let place = &mut self.takers[index];
                    let occupied = place.room.occupy();
                    place.waiting.push_back(Taken { stream: Come::Client(stream), occupied });
                    woken.extend(place.waker.take());
                    self.turn = index + 1;
                }
                // Out of descriptors, for one: others must close some first.
                Some(Err(_)) => {
                    let mut pause = Box::pin(tokio::time::sleep(PAUSE));
                    if pause.as_mut().poll(context).is_pending() {
                        self.pause = Some(pause);
                        return;
                    }
                }
                None => return,
            }
        }
    }

    /// Who gets what comes next: the first that has room, beginning with the one whose turn it is. When nobody has,
    /// `waker` is woken once somebody has.
    fn next(&self, waker: &Waker) -> Option<usize> {
        let count = self.takers.len();
        (0..count)
            .map(|offset| (self.turn + offset) % count)
            .find(|index| self.takers[*index].room.is_free_or_wake(waker))
    }

    fn place(&mut self, number: u64) -> Option<&mut Place> {
        self.takers.iter_mut().find(|place| place.number == number)
    }

    /// Takes an instance out, and gives what waits for it to the others, whether they have room or not. What is returned is
    /// nobody's: there are no others.
    fn leave(&mut self, number: u64, woken: &mut Vec<Waker>) -> VecDeque<Taken> {
        let Some(index) = self.takers.iter().position(|place| place.number == number) else {
            return VecDeque::new();
        };
        let mut left = self.takers.remove(index).waiting;
        // Others are not asked whether this one works.
        left.retain(|taken| matches!(taken.stream, Come::Client(_)));
        if self.turn > index {
            self.turn -= 1;
        }
        let count = self.takers.len();
        if count > 0 {
            for mut taken in left.drain(..) {
                let place = &mut self.takers[self.turn % count];
                taken.occupied = place.room.occupy();
                place.waiting.push_back(taken);
                woken.extend(place.waker.take());
                self.turn = self.turn % count + 1;
            }
        }
        left
    }
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Door {
    /// Lets the acceptor see that it is over.
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.acceptor.take().into_iter().for_each(Waker::wake);
    }
}

impl Bell {
    /// A connection that waits for the instance behind those that came before, whether it has room or not.
    ///
    /// # Errors
    ///
    /// Why there is none, for people.
    pub(crate) fn ring(&self) -> Result<DuplexStream, &'static str> {
        const GONE: &str = "it listens no more";
        let door = self.door.upgrade().ok_or(GONE)?;
        let (ours, theirs) = tokio::io::duplex(CHECK_BYTES);
        let waker = {
            let mut state = door.state();
            let place = state.place(self.number).ok_or(GONE)?;
            let checks = place.waiting.iter().filter(|taken| matches!(taken.stream, Come::Check(_)));
            if checks.count() >= CHECKS_MAX {
                return Err("it accepts no connections");
            }
            let occupied = place.room.occupy();
            place.waiting.push_back(Taken { stream: Come::Check(theirs), occupied });
            place.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(ours)
    }
}

impl Taker {
    /// How this instance is reached apart from others at the address.
    pub(crate) fn bell(&self) -> Bell {
        Bell { door: Arc::downgrade(&self.door), number: self.number }
    }

    /// The connection that has waited longest for this instance.
    pub(crate) fn take(&self) -> Option<Taken> {
        self.door.state().place(self.number)?.waiting.pop_front()
    }

    /// How many wait. When none does, `waker` is woken once one does.
    pub(crate) fn ready(&self, waker: Option<&Waker>) -> usize {
        let mut state = self.door.state();
        let Some(place) = state.place(self.number) else { return 0 };
        if place.waiting.is_empty() {
            place.waker = waker.cloned();
        }
        place.waiting.len()
    }

    /// Waits for a connection.
    pub(crate) async fn next(&self) -> Taken {
        std::future::poll_fn(|context| {
            if self.ready(Some(context.waker())) == 0 {
                return Poll::Pending;
            }
            self.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Takes no more. What waits goes to other instances; where there are none it is returned.
    pub(crate) fn close(&self) -> VecDeque<Taken> {
        let mut woken = Vec::new();
        let left = self.door.state().leave(self.number, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        left
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        drop(self.close());
    }
}

#[cfg(test)]
mod tests;
