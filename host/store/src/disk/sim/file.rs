//! The bytes of a simulated file: those on the platter, and those that are seen.

use std::io;

use super::Random;

/// What a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    platter: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = place(offset);
        let bytes = start.checked_add(buffer.len()).and_then(|end| self.seen.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let offset = place(offset);
        put(&mut self.seen, offset, bytes);
        self.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let len = place(len);
        self.seen.resize(len, 0);
        self.unsynced.push(Change::Len(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.platter, offset, &bytes),
                Change::Len(len) => self.platter.resize(len, 0),
            }
        }
    }

    /// Keeps about `kept_of_8` eighths of what was not synced.
    pub(super) fn lose(&mut self, random: &mut Random, kept_of_8: usize) {
        for change in std::mem::take(&mut self.unsynced) {
            let kept = random.below(8) < kept_of_8;
            match change {
                Change::Len(len) if kept => self.platter.resize(len, 0),
                Change::Write { offset, bytes } if random.below(2) == 0 => {
                    self.tear(random, kept_of_8, offset, &bytes);
                }
                Change::Write { offset, bytes } if kept => put(&mut self.platter, offset, &bytes),
                _ => {}
            }
        }
        self.seen.clone_from(&self.platter);
    }

    /// Some sectors of one write are kept.
    fn tear(&mut self, random: &mut Random, kept_of_8: usize, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (sector, after) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
            if random.below(8) < kept_of_8 {
                put(&mut self.platter, at, sector);
            }
            at += sector.len();
            rest = after;
        }
    }

    pub(super) fn damage(&mut self, offset: usize, bytes: &[u8]) {
        self.seen[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(&mut self.platter, offset, bytes);
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
