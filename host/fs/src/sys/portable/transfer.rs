//! Moving bytes between guest buffers and files.

use std::fs::File;

use qyv_vfs::{Error, Result};

use super::attributes::of_file;
use super::error::call;
use super::host;
use crate::sys::growth::Contents;

/// Reads at `offset` into the buffers in order, until they are full or the file ends. `INVAL` where the host's own
/// offsets end.
pub(super) fn read(file: &File, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
    if offset > i64::MAX.unsigned_abs() {
        return Err(Error::INVAL);
    }
    let mut done = 0;
    for buffer in buffers.iter_mut().filter(|buffer| !buffer.is_empty()) {
        let at = offset.saturating_add(done as u64);
        match call(|| host::read_at(file, buffer, at)) {
            Ok(got) => {
                done += got;
                if got < buffer.len() {
                    break;
                }
            }
            // What was read before must not be lost.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

impl Contents for &File {
    fn size(self) -> Result<u64> {
        Ok(of_file(self)?.len())
    }

    fn write(self, offset: u64, buffers: &[&[u8]], limit: u64) -> Result<usize> {
        let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut done = 0;
        for buffer in buffers {
            let taken = buffer.len().min(left);
            let Some(part) = buffer.get(..taken).filter(|part| !part.is_empty()) else { continue };
            let at = offset.saturating_add(done as u64);
            match call(|| host::write_at(self, part, at)) {
                Ok(written) => {
                    done += written;
                    left -= written;
                    if written < taken {
                        break;
                    }
                }
                // What was written before must not be lost.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn append(self, buffers: &[&[u8]], limit: u64) -> Result<(usize, u64)> {
        let end = self.size()?;
        let written = self.write(end, buffers, limit)?;
        Ok((written, end.saturating_add(written as u64)))
    }

    fn resize(self, size: u64) -> Result<()> {
        call(|| self.set_len(size))
    }

    fn reserve(self, offset: u64, length: u64) -> Result<()> {
        let end = offset.saturating_add(length);
        if self.size()? < end { self.resize(end) } else { Ok(()) }
    }
}
