//! Listening sockets of the host that an app was granted: the daemon bound them, the worker accepts.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use qyv_svc::End;
use qyv_vfs::Budget;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use crate::pump::pump;
use crate::services::Shared;

/// Connections that wait to be accepted by the guest at most; the kernel's own backlog comes on top.
const BACKLOG_MAX: usize = 128;

/// A listening socket whose connections become ends of the service network's kind.
pub(crate) struct Accepting {
    shared: Arc<Mutex<Queue>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Queue {
    ends: VecDeque<End<Shared>>,
    guest: Option<Waker>,
    /// The acceptor waits for room.
    acceptor: Option<Waker>,
}

impl Accepting {
    /// Accepts on a TCP socket that is bound and listens. What the guest sends is charged to `memory`.
    pub(crate) fn start(socket: OwnedFd, memory: &Budget, reactor: &Handle) -> std::io::Result<Self> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        let listener = {
            let _entered = reactor.enter();
            TcpListener::from_std(socket)?
        };
        let shared = Arc::new(Mutex::new(Queue::default()));
        let (queue, memory) = (Arc::clone(&shared), memory.clone());
        let task = reactor.spawn(async move {
            // They end with the app, whatever the other sides do.
            let mut pumps = JoinSet::new();
            loop {
                while pumps.try_join_next().is_some() {}
                std::future::poll_fn(|context| {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    if queue.ends.len() < BACKLOG_MAX {
                        return std::task::Poll::Ready(());
                    }
                    queue.acceptor = Some(context.waker().clone());
                    std::task::Poll::Pending
                })
                .await;
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                // A connection that the app has no memory for is hung up on.
                let Ok((far, near)) = End::pair(&memory, &memory) else { continue };
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.into_split();
                pumps.spawn(pump(far, reader, writer));
                let waker = {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.ends.push_back(near);
                    queue.guest.take()
                };
                waker.into_iter().for_each(Waker::wake);
            }
        });
        Ok(Self { shared, task })
    }

    /// The connection that has waited longest; `AGAIN` when none waits.
    pub(crate) fn accept(&self) -> qyv_vfs::Result<End<Shared>> {
        let (end, waker) = {
            let mut queue = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            (queue.ends.pop_front(), queue.acceptor.take())
        };
        waker.into_iter().for_each(Waker::wake);
        end.ok_or(qyv_vfs::Error::AGAIN)
    }

    /// How many connections wait. When none does, `waker` is woken once one does.
    pub(crate) fn ready(&self, waker: Option<&Waker>) -> usize {
        let mut queue = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.ends.is_empty() {
            queue.guest = waker.cloned();
        }
        queue.ends.len()
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
        let ends = std::mem::take(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner).ends);
        drop(ends);
    }
}
