//! Connections to addresses of the host at which an app listens, as a program of preview 1 or a component takes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use qyv_svc::End;
use qyv_vfs::Budget;
use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::door::{Come, Room, Taken, Taker};
use crate::pump::pump;
use crate::services::Shared;

/// Connections that wait to be accepted by a guest at most: those that it has not accepted when it ends may be lost. The
/// kernel's own backlog comes on top.
pub(crate) const BACKLOG_MAX: usize = 16;

/// Room for those that wait at one socket.
pub(crate) fn backlog() -> Arc<Room> {
    Room::new(BACKLOG_MAX)
}

/// A listening socket whose connections become ends of the service network's kind.
pub(crate) struct Accepting {
    taker: Taker,
    memory: Budget,
    /// They end with the app, whatever the other sides do.
    pumps: Mutex<JoinSet<()>>,
    reactor: Handle,
}

impl Accepting {
    /// Takes what comes to `taker`. What the guest sends is charged to `memory`.
    pub(crate) fn new(taker: Taker, memory: &Budget, reactor: &Handle) -> Self {
        Self { taker, memory: memory.clone(), pumps: Mutex::default(), reactor: reactor.clone() }
    }

    /// The connection that has waited longest; `AGAIN` when none waits.
    pub(crate) fn accept(&self) -> qyv_vfs::Result<End<Shared>> {
        loop {
            let Taken { stream, occupied } = self.taker.take().ok_or(qyv_vfs::Error::AGAIN)?;
            drop(occupied);
            // A connection that the app has no memory for is hung up on.
            let Ok((far, near)) = End::pair(&self.memory, &self.memory) else { continue };
            let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            while pumps.try_join_next().is_some() {}
            match stream {
                Come::Client(stream) => {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = stream.into_std() else { continue };
                    pumps.spawn_on(pump(far, stream.into()), &self.reactor);
                }
                Come::Check(mut stream) => {
                    // It speaks over memory, and what is carried to apps comes from sockets. Checks are few.
                    let _entered = self.reactor.enter();
                    let Ok((mut here, there)) = UnixStream::pair() else { continue };
                    let Ok(there) = there.into_std() else { continue };
                    pumps.spawn_on(pump(far, there.into()), &self.reactor);
                    let across = async move {
                        // Whichever breaks off, the other hears it.
                        let _ = copy_bidirectional(&mut stream, &mut here).await;
                    };
                    pumps.spawn_on(across, &self.reactor);
                }
            }
            return Ok(near);
        }
    }

    /// How many connections wait. When none does, `waker` is woken once one does.
    pub(crate) fn ready(&self, waker: Option<&Waker>) -> usize {
        self.taker.ready(waker)
    }
}
