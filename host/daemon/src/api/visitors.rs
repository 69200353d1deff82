//! Who may speak to the API at all.
//!
//! The socket is open to its user alone, but workers are processes of that user, and run apps. One that an app has taken
//! over can connect to every socket that it can name: walls of files do not stop that before Linux 7. So the daemon hangs
//! up on its own workers. They cannot start other processes that would ask for them.

use std::sync::Arc;

use axum::serve::Listener;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

use crate::workers::process::WorkerProcesses;

/// Takes connections of everybody but workers.
#[derive(Debug)]
pub(crate) struct Visitors {
    listener: UnixListener,
    workers: Arc<WorkerProcesses>,
}

impl Visitors {
    pub(crate) const fn new(listener: UnixListener, workers: Arc<WorkerProcesses>) -> Self {
        Self { listener, workers }
    }

    fn welcome(&self, visitor: &UnixStream) -> bool {
        // Who cannot be told is not let in either.
        let process = visitor.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
        process.is_some_and(|process| !self.workers.contains(process))
    }
}

impl Listener for Visitors {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (visitor, address) = Listener::accept(&mut self.listener).await;
            if self.welcome(&visitor) {
                return (visitor, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[test]
    fn a_worker_is_hung_up_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let workers = Arc::new(WorkerProcesses::default());
        workers.add(std::process::id());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let mut visitors = Visitors::new(listener, Arc::clone(&workers));
            let accepting = tokio::spawn(async move { Listener::accept(&mut visitors).await });
            let mut refused = UnixStream::connect(&path).await.unwrap();
            assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
            assert!(!accepting.is_finished());
            workers.remove(std::process::id());
            let _welcome = UnixStream::connect(&path).await.unwrap();
            accepting.await.unwrap();
        });
    }
}
