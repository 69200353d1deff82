//! The conversation with one worker: two threads, so that the overseer never waits for it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use std::{io, thread};

use qyvol_protocol::channel;
use qyvol_protocol::worker::{FromWorker, ToWorker};

use super::process::Process;
use crate::overseer::Message;

/// The most messages that wait for a worker: each of its instances starting, and as much again.
const QUEUE_MESSAGES: usize = 4096;

/// How long a worker may leave its socket unread before it is given up.
const UNREAD: Duration = Duration::from_secs(10);

/// How long a worker that has hung up may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A message with its descriptors.
type Outgoing = (ToWorker, Vec<OwnedFd>);

/// One end of the conversation. Dropped, it is over, and the worker is left alone.
#[derive(Debug)]
pub(crate) struct Link {
    queue: SyncSender<Outgoing>,
    socket: UnixStream,
}

impl Link {
    /// Begins to speak and listen. What the worker says goes to `inbox` under `worker`; when it hangs up or speaks
    /// nonsense, its process is ended, and then said to be gone.
    pub(crate) fn begin(
        worker: &str,
        socket: UnixStream,
        process: Process,
        inbox: SyncSender<Message>,
    ) -> io::Result<Self> {
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(Some(UNREAD))?;
        let (queue, outgoing) = sync_channel(QUEUE_MESSAGES);
        let (write, read, name) = (socket.try_clone()?, socket.try_clone()?, worker.to_owned());
        thread::Builder::new().name(format!("to {worker}")).spawn(move || speak(&write, &outgoing))?;
        let listen = move || {
            let why = hear(&name, &read, &inbox);
            let _ = read.shutdown(std::net::Shutdown::Both);
            process.end(GRACE);
            let _ = inbox.send(Message::Gone(name, why));
        };
        thread::Builder::new().name(format!("from {worker}")).spawn(listen)?;
        Ok(Self { queue, socket })
    }

    /// Queues a message. A worker whose queue is full does not read: it is given up.
    pub(crate) fn send(&self, message: ToWorker, descriptors: Vec<OwnedFd>) {
        if self.queue.try_send((message, descriptors)).is_err() {
            self.hang_up();
        }
    }

    /// Ends the conversation and the worker.
    pub(crate) fn hang_up(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

fn speak(socket: &UnixStream, outgoing: &Receiver<Outgoing>) {
    while let Ok((message, descriptors)) = outgoing.recv() {
        let borrowed: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
        if channel::send(socket, &message, &borrowed).is_err() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// Passes on what is said, and tells why it ended.
fn hear(worker: &str, socket: &UnixStream, inbox: &SyncSender<Message>) -> String {
    loop {
        match channel::receive::<FromWorker>(socket) {
            Ok(Some(received)) => {
                if inbox.send(Message::Said(worker.to_owned(), received.message)).is_err() {
                    return "the daemon ends".to_owned();
                }
            }
            Ok(None) => return "its process has ended".to_owned(),
            Err(error) => return format!("it could not be understood: {error}"),
        }
    }
}
