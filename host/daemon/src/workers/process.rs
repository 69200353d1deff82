//! A worker's process, held so that its number cannot become another's.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// Which process it is: a number may be given again, a number with its time of start is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// In ticks since the machine's start.
    pub(crate) started: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name within parentheses may hold anything; the start is the 20th field after it.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let started = rest.split_ascii_whitespace().nth(19).and_then(|field| field.parse().ok());
        started.map(|started| Self { pid, started }).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The numbers of all processes of workers, for who must tell them from others.
#[derive(Debug, Default)]
pub(crate) struct WorkerProcesses(Mutex<BTreeSet<u32>>);

impl WorkerProcesses {
    pub(crate) fn add(&self, pid: u32) {
        self.lock().insert(pid);
    }

    pub(crate) fn remove(&self, pid: u32) {
        self.lock().remove(&pid);
    }

    pub(crate) fn contains(&self, pid: u32) -> bool {
        self.lock().contains(&pid)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that can be waited for and killed.
#[derive(Debug)]
pub(crate) struct Process {
    pidfd: OwnedFd,
    /// When it is a child of this process, to be reaped.
    child: Option<Child>,
}

impl Process {
    /// Holds a child.
    pub(crate) fn of_child(child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pidfd: pidfd_open(pid, PidfdFlags::empty())?, child: Some(child) })
    }

    /// Holds the process that an earlier daemon has started; `NotFound` when it has ended.
    pub(crate) fn of_other(id: ProcessId) -> io::Result<Self> {
        let pid = i32::try_from(id.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // Asked after it is held: now the number cannot pass to another.
        if ProcessId::of(id.pid)? != id {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { pidfd, child: None })
    }

    /// Waits until it has ended; `false` when it has not in that time.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let timeout = Timespec::try_from(most).ok();
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                ready => return ready.is_ok_and(|count| count > 0),
            }
        }
    }

    /// Ends it: after `grace`, by force. Returns when it is gone; how it ended is known of a child.
    pub(crate) fn end(mut self, grace: Duration) -> Option<ExitStatus> {
        if !self.wait(grace) {
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
            // One that hangs within the kernel holds this thread, and its instances' slots: nothing else may run there.
            while !self.wait(Duration::from_secs(60)) {
                let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
            }
        }
        self.child.as_mut()?.wait().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_process_is_ended_and_told_from_a_later_one_of_its_number() {
        let child = sleeper();
        let id = ProcessId::of(child.id()).unwrap();
        let process = Process::of_child(child).unwrap();
        assert!(!process.wait(Duration::ZERO));
        let wrong = ProcessId { started: id.started + 1, ..id };
        assert_eq!(Process::of_other(wrong).unwrap_err().kind(), io::ErrorKind::NotFound);
        let other = Process::of_other(id).unwrap();
        process.end(Duration::ZERO);
        assert!(other.wait(Duration::ZERO));
        assert!(Process::of_other(id).is_err());
    }
}
