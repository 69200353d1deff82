//! Carrying bytes between a connection of the service network and a socket of the host.
//!
//! A task of the reactor does it. What is short and can go at once does not wait for that: the thread on which a guest
//! sends writes to the socket itself, and looks for the answer while it has nothing else to do ([`direct`]).

mod direct;

use std::future::{Future as _, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use qyv_svc::{Direction, End, Failure, Interest};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::Interest as Watched;
use tokio::io::unix::AsyncFd;

use self::direct::Direct;
use crate::services::Shared;

/// How much is carried at once.
const BUFFER_BYTES: usize = 16 << 10;

/// How long the one side is listened to after the other has ended sending.
const LISTENING: Duration = Duration::from_secs(60);

/// How long to wait when the reactor cannot watch for room.
const PAUSE: Duration = Duration::from_millis(10);

/// What the task shares with those who carry directly.
struct Carried {
    end: End<Shared>,
    /// Watched for what there is to read alone: otherwise all that the other side reads would wake the reactor, as it makes
    /// room to write.
    socket: AsyncFd<OwnedFd>,
    /// From the connection to the socket.
    out: Mutex<Way>,
    /// From the socket to the connection.
    into: Mutex<Way>,
    task: Mutex<Waker>,
}

/// One way. A connection on which nothing goes holds no buffer: there may be thousands.
#[derive(Default)]
struct Way {
    /// The task waits for something to carry: meanwhile others may carry it. Otherwise they would overtake the task.
    waits: bool,
    /// What was taken from the one side and is not with the other yet: the task's to carry.
    left: Vec<u8>,
    /// What failed, for the task.
    failed: Option<io::Error>,
}

/// Carries bytes both ways until both have ended, one side fails, or the app's side is closed. `socket` is connected and
/// waits for nothing.
pub(crate) async fn pump(end: End<Shared>, socket: OwnedFd) {
    // Out of memory for one more: who holds the other end of the connection hears that nobody has this one.
    let Ok(carried) = Carried::new(end, socket) else { return };
    let direct = Waker::from(Arc::new(Direct::new(&carried)));
    if carried.carry(&direct).await.is_err() {
        carried.end.fail(Failure::Reset);
    }
}

impl Carried {
    fn new(end: End<Shared>, socket: OwnedFd) -> io::Result<Arc<Self>> {
        let socket = watch(socket, Watched::READABLE)?;
        let task = Mutex::new(Waker::noop().clone());
        Ok(Arc::new(Self { end, socket, out: Mutex::default(), into: Mutex::default(), task }))
    }

    async fn carry(&self, direct: &Waker) -> io::Result<()> {
        let out = async {
            loop {
                let bytes = poll_fn(|context| self.poll_receive(direct, context)).await?;
                if bytes.is_empty() {
                    return Ok::<_, io::Error>(shutdown(&self.socket, Shutdown::Write)?);
                }
                self.write(&bytes).await?;
            }
        };
        let into = async {
            loop {
                let bytes = poll_fn(|context| self.poll_read(context)).await?;
                if bytes.is_empty() {
                    self.end.shutdown(Direction::Send);
                    return Ok::<_, io::Error>(());
                }
                self.send(&bytes).await?;
            }
        };
        let (mut out, mut into) = (pin!(out), pin!(into));
        let (mut sent, mut received): (Option<Pin<Box<tokio::time::Sleep>>>, _) = (None, false);
        poll_fn(|context| {
            lock(&self.task).clone_from(context.waker());
            if sent.is_none()
                && let Poll::Ready(result) = out.as_mut().poll(context)
            {
                result?;
                sent = Some(Box::pin(tokio::time::sleep(LISTENING)));
            }
            if !received && let Poll::Ready(result) = into.as_mut().poll(context) {
                result?;
                received = true;
            }
            let Some(patience) = &mut sent else { return Poll::Pending };
            if received {
                return Poll::Ready(Ok(()));
            }
            // Who has closed its end hears no more, and the other side is not waited for. Who has only ended sending may
            // listen for a while.
            let gone = self.end.ready(Interest::Write, None).is_some_and(|ready| ready.hangup);
            if gone || patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
            }
            Poll::Pending
        })
        .await
    }

    /// What was sent, at most [`BUFFER_BYTES`]; nothing at its end.
    fn poll_receive(&self, direct: &Waker, context: &Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let mut way = lock(&self.out);
        way.waits = false;
        if !way.left.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut way.left)));
        }
        let mut buffer = [0; BUFFER_BYTES];
        match self.end.receive(&mut buffer, false) {
            Err(qyv_vfs::Error::AGAIN) => {}
            result => return Poll::Ready(result.map(|count| buffer[..count].to_vec()).map_err(failed)),
        }
        if self.end.ready(Interest::Read, Some(direct)).is_some() {
            context.waker().wake_by_ref();
        }
        way.waits = true;
        Poll::Pending
    }

    /// The same of the socket.
    fn poll_read(&self, context: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let mut way = lock(&self.into);
        way.waits = false;
        if !way.left.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut way.left)));
        }
        if let Some(error) = way.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            let Poll::Ready(ready) = self.socket.poll_read_ready(context) else {
                way.waits = true;
                return Poll::Pending;
            };
            let mut ready = ready?;
            let mut buffer = [0; BUFFER_BYTES];
            match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                result => return Poll::Ready(Ok(result.map(|(_, count)| buffer[..count].to_vec())?)),
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.writable().await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the socket may take more.
    async fn writable(&self) {
        let own = self.socket.get_ref().try_clone();
        match own.and_then(|own| watch(own, Watched::WRITABLE)) {
            // Writing tells what failed.
            Ok(socket) => drop(socket.writable().await),
            // Out of descriptors, for one: others must close some first.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }

    async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.end.send(bytes) {
                Err(qyv_vfs::Error::AGAIN) => {
                    poll_fn(|context| match self.end.ready(Interest::Write, Some(context.waker())) {
                        Some(_) => Poll::Ready(()),
                        None => Poll::Pending,
                    })
                    .await;
                }
                result => bytes = bytes.get(result.map_err(failed)?..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// Has the reactor of this task watch a socket.
fn watch(socket: OwnedFd, what: Watched) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open, it belongs to what is returned, and nothing here replaces it there.
    Ok(unsafe { AsyncFd::register_with_interest(socket, what) }?)
}

fn failed(error: qyv_vfs::Error) -> io::Error {
    io::Error::other(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
