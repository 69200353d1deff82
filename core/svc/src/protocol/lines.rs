//! UTF-8 lines.

use alloc::string::String;
use alloc::vec::Vec;

use super::{MESSAGE_BYTES_MAX, Malformed, append};

pub(super) fn encode(line: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if line.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    if line.contains(&b'\n') {
        return Err(Malformed::LineBreak);
    }
    core::str::from_utf8(line).map_err(|_| Malformed::NotUtf8)?;
    out.reserve(line.len() + 1);
    out.extend_from_slice(line);
    out.push(b'\n');
    Ok(())
}

/// Takes lines out of bytes.
#[derive(Debug, Default)]
pub struct LineDecoder {
    partial: Vec<u8>,
    failed: Option<Malformed>,
}

impl LineDecoder {
    /// Takes bytes from the front of `arrived` until a line is complete, and returns it without its `\n`. `None` when
    /// all were taken and it is not.
    ///
    /// # Errors
    ///
    /// [`Malformed::TooLong`] and [`Malformed::NotUtf8`]: every later call answers the same.
    pub fn decode(&mut self, arrived: &mut &[u8]) -> Result<Option<String>, Malformed> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let end = arrived.iter().position(|byte| *byte == b'\n');
        let (line, rest) = arrived.split_at(end.unwrap_or(arrived.len()));
        if self.partial.len() + line.len() > MESSAGE_BYTES_MAX {
            self.partial = Vec::new();
            return Err(*self.failed.insert(Malformed::TooLong));
        }
        // A line that is complete gets a buffer of its size.
        let held = self.partial.len() + line.len();
        append(&mut self.partial, line, if end.is_some() { held } else { MESSAGE_BYTES_MAX });
        *arrived = rest.get(1..).unwrap_or_default();
        if end.is_none() {
            return Ok(None);
        }
        let line = String::from_utf8(core::mem::take(&mut self.partial));
        line.map(Some).map_err(|_| *self.failed.insert(Malformed::NotUtf8))
    }

    /// The connection has ended: what came after the last `\n`, if anything did.
    ///
    /// # Errors
    ///
    /// [`Malformed::NotUtf8`], or what was answered before.
    pub fn finish(self) -> Result<Option<String>, Malformed> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let line = String::from_utf8(self.partial).map_err(|_| Malformed::NotUtf8)?;
        Ok((!line.is_empty()).then_some(line))
    }

    /// The size of the buffer.
    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.partial.capacity()
    }
}
