//! redb over a file of a [`Disk`](crate::Disk).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::disk::DiskFile;

/// A file for redb, which remembers whether a sync has ever failed.
///
/// A kernel forgets what it could not write once it has said so: a second sync would succeed over lost bytes. So nothing
/// may be built on this file again until the process has started anew.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) sync_failed: Arc<AtomicBool>,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync().inspect_err(|_| self.sync_failed.store(true, Ordering::Relaxed))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }
}
