//! The chunks that were read last.

use alloc::vec::Vec;

use super::error::{Error, Result};
use super::limits::CHUNK_BYTES;

/// Chunks of packaged files, checked and decompressed. It belongs to the caller of [`Bundle::read_at`], who decides
/// how many threads share one and how it is locked.
///
/// It never holds more than the number of chunks it was made with, each of at most 1 MiB, and one stored chunk.
///
/// [`Bundle::read_at`]: super::Bundle::read_at
#[derive(Debug)]
pub struct ChunkCache {
    capacity: usize,
    /// The hash of the header of the bundle whose chunks these are. Another bundle empties the cache.
    bundle: [u8; 32],
    /// From the one used longest ago to the last one. Few enough to search.
    chunks: Vec<Cached>,
    /// The stored bytes of the chunk that is being read.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Cached {
    /// The place of the chunk's record in the header, unique in a bundle.
    key: usize,
    plain: Vec<u8>,
}

impl ChunkCache {
    /// Makes a cache of `chunks` chunks, at least one.
    #[must_use]
    pub const fn new(chunks: usize) -> Self {
        let capacity = if chunks == 0 { 1 } else { chunks };
        Self { capacity, bundle: [0; 32], chunks: Vec::new(), scratch: Vec::new() }
    }

    /// The chunk `key` of `bundle`, filled by `fill` when it is not held. `fill` is given the scratch buffer and the chunk.
    pub(crate) fn get(
        &mut self,
        bundle: &[u8; 32],
        key: usize,
        plain_bytes: usize,
        fill: impl FnOnce(&mut Vec<u8>, &mut [u8]) -> Result<()>,
    ) -> Result<&[u8]> {
        if self.bundle != *bundle {
            self.chunks.clear();
            self.bundle = *bundle;
        }
        let cached = if let Some(at) = self.chunks.iter().position(|cached| cached.key == key) {
            self.chunks.remove(at)
        } else {
            let mut plain =
                if self.chunks.len() >= self.capacity { self.chunks.remove(0).plain } else { Vec::new() };
            resize(&mut plain, plain_bytes)?;
            fill(&mut self.scratch, &mut plain)?;
            Cached { key, plain }
        };
        self.chunks.push(cached);
        Ok(self.chunks.last().map_or(&[], |cached| &cached.plain))
    }
}

/// Gives `buffer` exactly `bytes` bytes of unspecified content, or an error instead of an abort.
pub(crate) fn resize(buffer: &mut Vec<u8>, bytes: usize) -> Result<()> {
    debug_assert!(bytes as u64 <= CHUNK_BYTES, "chunks are bounded where the header is parsed");
    if buffer.len() < bytes {
        let missing = bytes - buffer.len();
        buffer.try_reserve_exact(missing).map_err(|_| Error::OutOfMemory { bytes: bytes as u64 })?;
    }
    buffer.resize(bytes, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn the_chunk_used_longest_ago_goes_first() {
        let mut cache = ChunkCache::new(2);
        let filled = Cell::new(0);
        let mut get = |key: usize| {
            let chunk = cache.get(&[1; 32], key, 4, |_, plain| {
                filled.set(filled.get() + 1);
                plain.fill(u8::try_from(key).unwrap());
                Ok(())
            });
            assert_eq!(chunk.unwrap(), [u8::try_from(key).unwrap(); 4]);
        };
        for key in [1, 2, 1, 3, 1] {
            get(key);
        }
        assert_eq!(filled.get(), 3);
        get(2);
        assert_eq!(filled.get(), 4);
    }

    #[test]
    fn chunks_of_another_bundle_are_not_given() {
        let mut cache = ChunkCache::new(2);
        for bundle in [1, 2] {
            let chunk = cache.get(&[bundle; 32], 1, 4, |_, plain| {
                plain.fill(bundle);
                Ok(())
            });
            assert_eq!(chunk.unwrap(), [bundle; 4]);
        }
    }

    #[test]
    fn a_failed_chunk_is_not_kept() {
        let mut cache = ChunkCache::new(0);
        assert!(cache.get(&[1; 32], 1, 4, |_, _| Err(Error::NoSuchEntry)).is_err());
        assert_eq!(
            cache
                .get(&[1; 32], 1, 4, |_, plain| {
                    plain.fill(7);
                    Ok(())
                })
                .unwrap(),
            [7; 4]
        );
    }
}
