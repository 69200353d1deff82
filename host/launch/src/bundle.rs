//! The packaged files of a bundle.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use qyv_spec::bundle::{Bundle, ChunkCache};
use qyv_vfs::{PackedFile, PackedFiles};

/// How many decompressed chunks of 1 MiB are kept.
const CHUNKS_KEPT: usize = 4;

/// The files of a bundle, read in place.
pub struct BundleFiles {
    bundle: Arc<Bundle<File>>,
    cache: Mutex<ChunkCache>,
}

impl BundleFiles {
    /// The files of a bundle whose stored bytes were checked.
    #[must_use]
    pub fn new(bundle: Arc<Bundle<File>>) -> Self {
        Self { bundle, cache: Mutex::new(ChunkCache::new(CHUNKS_KEPT)) }
    }
}

impl PackedFiles for BundleFiles {
    fn len(&self) -> usize {
        self.bundle.files().len()
    }

    fn file(&self, index: usize) -> PackedFile<'_> {
        match self.bundle.file(index) {
            Some(file) => PackedFile {
                path: file.path,
                size: file.size,
                modified: file.modified.saturating_mul(1_000_000_000),
            },
            None => PackedFile { path: "", size: 0, modified: 0 },
        }
    }

    fn read_at(&self, index: usize, offset: u64, into: &mut [u8]) -> qyv_vfs::Result<usize> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        self.bundle.read_at(index, offset, into, &mut cache).map_err(|_| qyv_vfs::Error::IO)
    }
}
