//! The worker's end of a pipe to a client.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::task::{Context, Poll, Waker};

use qyv_wasi::{Error, Interest, Readiness, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;

/// How much a pipe takes at once when it takes anything, on Linux.
const PIPE_TAKES_BYTES: u64 = 4096;

/// An end that never blocks. Made and polled inside the reactor.
pub(crate) struct Pipe {
    fd: AsyncFd<OwnedFd>,
}

impl Pipe {
    /// A pipe that the guest reads, and the client's end.
    pub(crate) fn input() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = ends()?;
        Ok((Self::new(read, tokio::io::Interest::READABLE)?, write))
    }

    /// A pipe that the guest writes, and the client's end.
    pub(crate) fn output() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = ends()?;
        Ok((Self::new(write, tokio::io::Interest::WRITABLE)?, read))
    }

    fn new(fd: OwnedFd, interest: tokio::io::Interest) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        // SAFETY: an `OwnedFd` names the same open descriptor from here until it is dropped, which `AsyncFd` does after it
        // deregistered it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, interest) }?;
        Ok(Self { fd })
    }

    pub(super) fn read(&self, into: &mut [u8]) -> Result<usize> {
        rustix::io::read(self.fd.get_ref(), into).map_err(failed)
    }

    pub(super) fn write(&self, from: &[u8]) -> Result<usize> {
        rustix::io::write(self.fd.get_ref(), from).map_err(failed)
    }

    pub(super) fn ready(&self, interest: Interest, waker: Option<&Waker>) -> Option<Readiness> {
        let ready = self.look(interest);
        let (None, Some(waker)) = (ready, waker) else { return ready };
        let mut context = Context::from_waker(waker);
        loop {
            let polled = match interest {
                Interest::Read => self.fd.poll_read_ready(&mut context),
                Interest::Write => self.fd.poll_write_ready(&mut context),
            };
            let mut event = match polled {
                Poll::Ready(Ok(event)) => event,
                // The reactor is gone, and the process with it.
                Poll::Ready(Err(_)) => return Some(Readiness { bytes: 0, hangup: true }),
                Poll::Pending => return None,
            };
            // An event may be old: what it told of may have been taken since.
            if let Some(ready) = self.look(interest) {
                return Some(ready);
            }
            event.clear_ready();
        }
    }

    fn look(&self, interest: Interest) -> Option<Readiness> {
        let fd = self.fd.get_ref();
        let flags = if interest == Interest::Read { PollFlags::IN } else { PollFlags::OUT };
        let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), flags)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).ok()?;
        let seen = fds[0].revents();
        if seen.is_empty() {
            return None;
        }
        let bytes = match interest {
            Interest::Read => rustix::io::ioctl_fionread(fd).unwrap_or(0),
            Interest::Write => PIPE_TAKES_BYTES,
        };
        Some(Readiness { bytes, hangup: seen.intersects(PollFlags::HUP | PollFlags::ERR) })
    }
}

fn ends() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

fn failed(error: rustix::io::Errno) -> Error {
    match error {
        rustix::io::Errno::AGAIN | rustix::io::Errno::INTR => Error::AGAIN,
        rustix::io::Errno::PIPE => Error::PIPE,
        _ => Error::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_pipe_is_waited_for_and_hangs_up() {
        let (input, client) = Pipe::input().unwrap();
        assert_eq!(input.read(&mut [0; 8]), Err(Error::AGAIN));
        assert_eq!(input.ready(Interest::Read, None), None);
        let (output, reader) = Pipe::output().unwrap();
        let mut filled = 0;
        while let Ok(count) = output.write(&[7; 5000]) {
            filled += count;
        }
        assert_eq!(output.write(&[7]), Err(Error::AGAIN));
        let thread = std::thread::spawn(move || {
            rustix::io::write(&client, b"hello").unwrap();
            let mut buffer = vec![0; filled];
            rustix::io::read(&reader, &mut buffer).unwrap()
        });
        let wait = |pipe: &Pipe, interest| match pipe.ready(interest, None) {
            Some(ready) => Poll::Ready(ready),
            None => Poll::Pending,
        };
        let readable = poll_fn(|context| {
            let _ = input.ready(Interest::Read, Some(context.waker()));
            wait(&input, Interest::Read)
        })
        .await;
        assert_eq!(readable.bytes, 5);
        assert_eq!(input.read(&mut [0; 8]), Ok(5));
        poll_fn(|context| {
            let _ = output.ready(Interest::Write, Some(context.waker()));
            wait(&output, Interest::Write)
        })
        .await;
        thread.join().unwrap();
        // Both clients are gone.
        assert_eq!(input.read(&mut [0; 8]), Ok(0));
        assert!(output.ready(Interest::Write, None).is_some_and(|ready| ready.hangup));
        assert_eq!(output.write(&[7]), Err(Error::PIPE));
    }
}
