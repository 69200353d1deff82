//! Clients who watch what an instance prints. It does not wait for them: what they read too slowly, they miss.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_wasi::Stream;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::sync::Notify;

use crate::instance::End;

/// The most clients that watch one instance.
const WATCHERS_MAX: usize = 16;

/// How much is on its way to a client at most, when the system allows it, in bytes.
const PIPE_BYTES: usize = 1 << 20;

/// Everybody who watches one instance.
#[derive(Default)]
pub(crate) struct Watchers {
    /// Looked at before the lock: mostly nobody watches.
    any: AtomicBool,
    list: Mutex<Vec<Arc<Watcher>>>,
}

/// One of them.
pub(crate) struct Watcher {
    /// The worker's ends, for standard output and error.
    ends: [OwnedFd; 2],
    missed: AtomicU64,
    over: Mutex<Option<End>>,
    /// Called when there is something to tell.
    pub(crate) news: Notify,
}

impl Watchers {
    /// Adds one, and gives the client's ends of its pipes.
    pub(crate) fn add(&self) -> io::Result<(Arc<Watcher>, [OwnedFd; 2])> {
        let pipe = || {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&write, true)?;
            // A smaller one makes a slow client miss more, nothing worse.
            let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
            Ok::<_, io::Error>((read, write))
        };
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let watcher = Watcher {
            ends: [out, err],
            missed: AtomicU64::new(0),
            over: Mutex::default(),
            news: Notify::new(),
        };
        let watcher = Arc::new(watcher);
        let mut list = self.lock();
        if list.len() >= WATCHERS_MAX {
            return Err(io::Error::other(format!("{WATCHERS_MAX} clients are attached to it already")));
        }
        list.push(Arc::clone(&watcher));
        self.any.store(true, Ordering::Release);
        Ok((watcher, [stdout, stderr]))
    }

    /// Takes one away.
    pub(crate) fn remove(&self, watcher: &Arc<Watcher>) {
        let mut list = self.lock();
        list.retain(|other| !Arc::ptr_eq(other, watcher));
        self.any.store(!list.is_empty(), Ordering::Release);
    }

    /// Copies what was printed to everybody.
    pub(super) fn copy(&self, stream: Stream, bytes: &[u8]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        for watcher in self.lock().iter() {
            watcher.copy(stream, bytes);
        }
    }

    /// Tells everybody how the instance has ended.
    pub(crate) fn ended(&self, end: &End) {
        for watcher in std::mem::take(&mut *self.lock()) {
            *watcher.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.clone());
            watcher.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Watcher>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    fn copy(&self, stream: Stream, bytes: &[u8]) {
        let end = &self.ends[usize::from(stream == Stream::Stderr)];
        let taken = match rustix::io::write(end, bytes) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            // It has gone, which its connection tells too.
            Err(_) => return,
            Ok(taken) => taken,
        };
        let missed = bytes.len().saturating_sub(taken);
        if missed > 0 {
            self.missed.fetch_add(missed as u64, Ordering::Relaxed);
            self.news.notify_one();
        }
    }

    /// How many bytes were missed since this was asked last.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// How the instance has ended, when it has.
    pub(crate) fn over(&self) -> Option<End> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_that_does_not_read_holds_up_nobody_and_learns_what_it_missed() {
        let watchers = Watchers::default();
        watchers.copy(Stream::Stdout, b"nobody");
        let (slow, _slow_ends) = watchers.add().unwrap();
        let (quick, [stdout, stderr]) = watchers.add().unwrap();
        let mut buffer = vec![0; 1 << 16];
        let mut read = 0;
        for _ in 0..100 {
            watchers.copy(Stream::Stdout, &[7; 1 << 15]);
            read += rustix::io::read(&stdout, &mut buffer).unwrap();
        }
        assert_eq!((read, quick.missed()), (100 << 15, 0));
        assert!(slow.missed() > 0 && slow.missed() == 0);
        watchers.copy(Stream::Stderr, b"bad");
        assert_eq!(rustix::io::read(&stderr, &mut buffer).unwrap(), 3);
        watchers.remove(&slow);
        drop((stdout, stderr));
        watchers.copy(Stream::Stdout, b"gone");
        for _ in 1..WATCHERS_MAX {
            watchers.add().unwrap();
        }
        assert!(watchers.add().is_err());
    }
}
