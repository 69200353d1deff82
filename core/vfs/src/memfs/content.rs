//! What is in a file: chunks under their numbers, so that a hole costs nothing.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use crate::{Budget, Charge, Error, Result};

/// Bytes in a chunk. Large enough that finding one is cheap beside copying it, small enough that a hole is one.
const CHUNK: u64 = 64 * 1024;

/// Bytes that a chunk takes beside its room: its place in the tree and the allocator's own.
const CHUNK_COST: u64 = 64;

/// The smallest room of a chunk, in bytes.
const ROOM_MIN: usize = 64;

/// The bytes of a regular file.
///
/// A chunk holds the beginning of its 64 KiB; what lies behind its length, and every chunk that is not there, reads
/// as zeros. Room grows in powers of two, so that appending byte by byte copies each byte about once.
#[derive(Debug)]
pub(super) struct Content {
    size: u64,
    /// None is empty; none reaches beyond `size`.
    chunks: BTreeMap<u64, Vec<u8>>,
    /// The sum of the chunks' lengths, from the volume's quota.
    stored: Charge,
    /// The sum of the chunks' [`cost`], from the app's memory.
    memory: Charge,
}

impl Content {
    pub(super) fn new(bytes: &Budget, memory: &Budget) -> Self {
        Self { size: 0, chunks: BTreeMap::new(), stored: bytes.hold(), memory: memory.hold() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fills the buffers in order from `offset`. Returns the bytes read.
    pub(super) fn read(&self, offset: u64, buffers: &mut [&mut [u8]]) -> usize {
        let mut at = offset;
        for buffer in buffers {
            let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
            let length = buffer.len().min(left);
            let (buffer, unfilled) = buffer.split_at_mut(length);
            self.copy_out(at, buffer);
            at += length as u64;
            if !unfilled.is_empty() {
                break;
            }
        }
        (at - offset) as usize
    }

    fn copy_out(&self, mut at: u64, mut into: &mut [u8]) {
        while !into.is_empty() {
            let (number, from) = (at / CHUNK, (at % CHUNK) as usize);
            let (piece, rest) = into.split_at_mut(into.len().min(CHUNK as usize - from));
            let stored = self.chunks.get(&number).and_then(|chunk| chunk.get(from..)).unwrap_or(&[]);
            let (copied, zeros) = piece.split_at_mut(piece.len().min(stored.len()));
            copied.copy_from_slice(&stored[..copied.len()]);
            zeros.fill(0);
            at += (copied.len() + zeros.len()) as u64;
            into = rest;
        }
    }

    /// Writes the buffers in order at `offset`. Returns the bytes written: fewer when a budget ends, `NOSPC` or
    /// `NOMEM` when not even one fits. The caller has checked that the end fits in an `i64`.
    pub(super) fn write(&mut self, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let mut at = offset;
        let mut stopped = None;
        'all: for buffer in buffers {
            let mut left = *buffer;
            while !left.is_empty() {
                let from = (at % CHUNK) as usize;
                let (piece, rest) = left.split_at(left.len().min(CHUNK as usize - from));
                match self.write_piece(at / CHUNK, from, piece) {
                    Ok(length) => {
                        at += length as u64;
                        if length < piece.len() {
                            break 'all;
                        }
                    }
                    Err(error) => {
                        stopped = Some(error);
                        break 'all;
                    }
                }
                left = rest;
            }
        }
        if at == offset {
            return stopped.map_or(Ok(0), Err);
        }
        self.size = self.size.max(at);
        Ok((at - offset) as usize)
    }

    fn write_piece(&mut self, number: u64, from: usize, piece: &[u8]) -> Result<usize> {
        let mut entry = match self.chunks.entry(number) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(place) => {
                let end = grant(&mut self.stored, &mut self.memory, 0, from, from + piece.len())?;
                let mut chunk = Vec::with_capacity(room(end));
                chunk.resize(from, 0);
                chunk.extend_from_slice(&piece[..end - from]);
                place.insert(chunk);
                return Ok(end - from);
            }
        };
        let chunk = entry.get_mut();
        let (length, mut end) = (chunk.len(), from + piece.len());
        if end > length {
            end = grant(&mut self.stored, &mut self.memory, length, from, end)?;
            chunk.reserve_exact(room(end) - length);
            if from > length {
                chunk.resize(from, 0);
            }
        }
        let (over, behind) = piece[..end - from].split_at(chunk.len().min(end) - from);
        chunk[from..from + over.len()].copy_from_slice(over);
        chunk.extend_from_slice(behind);
        Ok(end - from)
    }

    /// Makes the file `size` bytes long. Growing it stores nothing.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            let (mut length, mut memory) = (0, 0);
            for chunk in self.chunks.split_off(&size.div_ceil(CHUNK)).values() {
                length += chunk.len() as u64;
                memory += cost(chunk.len());
            }
            let keep = (size % CHUNK) as usize;
            if let Some(chunk) = self.chunks.get_mut(&(size / CHUNK)).filter(|chunk| chunk.len() > keep) {
                length += (chunk.len() - keep) as u64;
                memory += cost(chunk.len()) - cost(keep);
                chunk.truncate(keep);
                chunk.shrink_to(room(keep));
            }
            self.stored.shrink(length);
            self.memory.shrink(memory);
        }
        self.size = size;
    }

    /// Stores everything from the chunk of `offset` up to `end`, or changes nothing: `NOSPC` or `NOMEM`.
    pub(super) fn allocate(&mut self, offset: u64, end: u64) -> Result<()> {
        let (first, last) = (offset / CHUNK, (end - 1) / CHUNK);
        let length_of = |number: u64| (end - number * CHUNK).min(CHUNK) as usize;
        let mut length = end - first * CHUNK;
        let mut memory = (last - first) * cost(CHUNK as usize) + cost(length_of(last));
        for (&number, chunk) in self.chunks.range(first..=last) {
            let stored = chunk.len().min(length_of(number));
            length -= stored as u64;
            memory -= cost(stored);
        }
        if !self.stored.try_grow(length) {
            return Err(Error::NOSPC);
        }
        if !self.memory.try_grow(memory) {
            self.stored.shrink(length);
            return Err(Error::NOMEM);
        }
        for number in first..=last {
            let chunk = self.chunks.entry(number).or_default();
            let length = length_of(number);
            if length > chunk.len() {
                chunk.reserve_exact(room(length) - chunk.len());
                chunk.resize(length, 0);
            }
        }
        self.size = self.size.max(end);
        Ok(())
    }
}

/// The room of a chunk of `length` bytes.
fn room(length: usize) -> usize {
    if length == 0 { 0 } else { length.next_power_of_two().max(ROOM_MIN) }
}

/// What a chunk of `length` bytes takes of memory. There is no empty one.
fn cost(length: usize) -> u64 {
    if length == 0 { 0 } else { CHUNK_COST + room(length) as u64 }
}

/// Charges the growth of a chunk from `length` to `end` bytes, or to fewer when a budget ends. Returns the length
/// that was charged, which is more than `from`.
fn grant(stored: &mut Charge, memory: &mut Charge, length: usize, from: usize, end: usize) -> Result<usize> {
    let mut taken = stored.grow_up_to((end - length) as u64);
    let mut granted = length + taken as usize;
    let mut error = Error::NOSPC;
    if !memory.try_grow(cost(granted) - cost(length)) {
        // There may be room left that was charged before.
        error = Error::NOMEM;
        let fits = granted.min(room(length));
        stored.shrink((granted - fits) as u64);
        taken -= (granted - fits) as u64;
        granted = fits;
    }
    if granted > from {
        return Ok(granted);
    }
    stored.shrink(taken);
    memory.shrink(cost(granted) - cost(length));
    Err(error)
}
