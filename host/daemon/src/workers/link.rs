//! The conversation with one worker: two threads, so that the overseer never waits for it.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
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
            let heard = hear(&name, &read, &inbox);
            let _ = read.shutdown(std::net::Shutdown::Both);
            let lost = Lost::of(heard, process.end(GRACE));
            let _ = inbox.send(Message::Gone(name, lost));
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

/// Why a worker is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) why: String,
    /// Whether it ended by itself, to say that it cannot work.
    pub(crate) failed: bool,
}

impl Lost {
    /// From what was wrong with what it said, if anything, and how its process ended, if that is known.
    fn of(heard: Result<(), String>, ended: Option<ExitStatus>) -> Self {
        let failed = heard.is_ok() && ended.is_some_and(|status| status.code().is_some_and(|code| code != 0));
        let why = match (heard, ended) {
            (Err(why), _) => why,
            (Ok(()), Some(status)) => format!("its process has ended ({status})"),
            (Ok(()), None) => "its process has ended".to_owned(),
        };
        Self { why, failed }
    }
}

/// Passes on what is said until nothing more comes; an error when it makes no sense.
fn hear(worker: &str, socket: &UnixStream, inbox: &SyncSender<Message>) -> Result<(), String> {
    loop {
        match channel::receive::<FromWorker>(socket) {
            Ok(Some(received)) => {
                if inbox.send(Message::Said(worker.to_owned(), received.message)).is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            // It ended without having read what it was told, or in the midst of a word.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                return Ok(());
            }
            Err(error) => return Err(format!("it could not be understood: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_worker_that_does_not_read_holds_up_nobody_and_is_ended() {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (inbox, messages) = sync_channel(8);
        let link = Link::begin("deaf", ours, Process::of_child(child).unwrap(), inbox).unwrap();
        // More than the socket and the queue hold together; each call returns at once, or this test never ends.
        let long = "x".repeat(1 << 16);
        let exec = || {
            ToWorker::Exec(Box::new(qyvol_protocol::worker::Exec {
                instance: "app.0@1".parse().unwrap(),
                program: None,
                args: vec![long.clone()],
                env: std::collections::BTreeMap::new(),
                stdin: false,
            }))
        };
        for _ in 0..QUEUE_MESSAGES + 64 {
            link.send(exec(), Vec::new());
        }
        let gone = messages.recv().unwrap();
        assert!(matches!(gone, Message::Gone(worker, _) if worker == "deaf"));
        drop(theirs);
    }

    #[test]
    fn a_worker_that_speaks_nonsense_is_ended() {
        use std::io::Write as _;
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (inbox, messages) = sync_channel(8);
        let _link = Link::begin("mad", ours, Process::of_child(child).unwrap(), inbox).unwrap();
        theirs.write_all(&[0xff; 64]).unwrap();
        let gone = messages.recv().unwrap();
        assert!(matches!(gone, Message::Gone(_, lost) if lost.why.contains("out of bounds") && !lost.failed));
    }

    #[test]
    fn one_that_ends_is_told_from_one_that_was_killed_and_has_not_to_be_understood() {
        let lost = |script: &str| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut command = Command::new("sh");
            // It is told something that it never reads.
            let child = command.args(["-c", script]).stdin(OwnedFd::from(theirs)).spawn().unwrap();
            drop(command);
            let (inbox, messages) = sync_channel(8);
            let link = Link::begin("brief", ours, Process::of_child(child).unwrap(), inbox).unwrap();
            link.send(ToWorker::Drain, Vec::new());
            match messages.recv().unwrap() {
                Message::Gone(_, lost) => lost,
                _ => panic!("it said something"),
            }
        };
        let ended = lost("sleep 0.2; exit 1");
        assert_eq!(ended, Lost { why: "its process has ended (exit status: 1)".into(), failed: true });
        assert!(!lost("exit 0").failed);
        let killed = lost("kill -9 $$");
        assert!(killed.why.contains("signal: 9") && !killed.failed, "{killed:?}");
    }
}
