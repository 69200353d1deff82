//! Being told by the kernel that something happens in a folder.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// What is told: all that may change which files there are, or what is in them.
const FLAGS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The kernel's word, where it can be had.
pub(super) struct Notice(Option<OwnedFd>);

impl Notice {
    pub(super) fn new() -> Self {
        Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok())
    }

    /// Watches the folder, which may be another one of that name than before; `false` when it cannot be watched. Watching
    /// one that is watched changes nothing.
    pub(super) fn watch(&mut self, folder: &Path) -> bool {
        self.0.as_ref().is_some_and(|notice| inotify::add_watch(notice, folder, FLAGS).is_ok())
    }

    /// Waits until something happened, for `longest` at most.
    pub(super) fn wait(&self, longest: Duration) {
        let Some(notice) = &self.0 else { return std::thread::sleep(longest) };
        let mut polled = [PollFd::new(notice, PollFlags::IN)];
        let timeout = Timespec::try_from(longest).ok();
        if poll(&mut polled, timeout.as_ref()).is_err() {
            // Interrupted: a round more does no harm, and many in a row are held up here.
            std::thread::sleep(Duration::from_millis(10));
        }
        // What happened is seen in the folder; an event of which there were too many is as good as any.
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(notice, &mut buffer);
        while reader.next().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_new_file_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut notice = Notice::new();
        assert!(!notice.watch(&folder.path().join("none")));
        assert!(notice.watch(folder.path()) && notice.watch(folder.path()));
        std::fs::write(folder.path().join("a"), "").unwrap();
        let hour = Duration::from_secs(3600);
        let clock = Instant::now();
        notice.wait(hour);
        assert!(clock.elapsed() < hour);
        // What was told is told once: the next wait lasts.
        notice.wait(Duration::from_millis(1));
    }
}
