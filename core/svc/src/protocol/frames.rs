//! Frames: a length in unsigned LEB128, then that many bytes.

use alloc::vec::Vec;

use super::{MESSAGE_BYTES_MAX, Malformed, append};

/// Most bytes of a length: 28 bits, of which [`MESSAGE_BYTES_MAX`] takes 25.
const LENGTH_BYTES_MAX: u32 = 4;

pub(super) fn encode(frame: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if frame.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    out.reserve(LENGTH_BYTES_MAX as usize + frame.len());
    let mut left = frame.len();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out.extend_from_slice(frame);
    Ok(())
}

/// Takes frames out of bytes.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The bits of the length that have arrived, and in how many bytes.
    Length {
        bits: usize,
        bytes: u32,
    },
    Body {
        length: usize,
        partial: Vec<u8>,
    },
    Failed(Malformed),
}

impl Default for State {
    fn default() -> Self {
        Self::Length { bits: 0, bytes: 0 }
    }
}

impl FrameDecoder {
    /// Takes bytes from the front of `arrived` until a frame is complete. `None` when all were taken and it is not.
    ///
    /// # Errors
    ///
    /// [`Malformed::TooLong`] and [`Malformed::Overlong`]: every later call answers the same.
    pub fn decode(&mut self, arrived: &mut &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        loop {
            match &mut self.state {
                State::Failed(why) => return Err(*why),
                State::Length { bits, bytes } => {
                    let Some((&byte, rest)) = arrived.split_first() else { return Ok(None) };
                    *arrived = rest;
                    *bits |= usize::from(byte & 0x7f) << (7 * *bytes);
                    *bytes += 1;
                    let last = byte & 0x80 == 0;
                    self.state = if last && byte == 0 && *bytes > 1 {
                        State::Failed(Malformed::Overlong)
                    } else if *bits > MESSAGE_BYTES_MAX || (!last && *bytes == LENGTH_BYTES_MAX) {
                        State::Failed(Malformed::TooLong)
                    } else if last {
                        State::Body { length: *bits, partial: Vec::new() }
                    } else {
                        continue;
                    };
                }
                State::Body { length, partial } => {
                    let (body, rest) = arrived.split_at(arrived.len().min(*length - partial.len()));
                    *arrived = rest;
                    append(partial, body, *length);
                    if partial.len() < *length {
                        return Ok(None);
                    }
                    let frame = core::mem::take(partial);
                    self.state = State::default();
                    return Ok(Some(frame));
                }
            }
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    ///
    /// [`Malformed::CutShort`] inside a frame, or what was answered before.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.state {
            State::Length { bytes: 0, .. } => Ok(()),
            State::Length { .. } | State::Body { .. } => Err(Malformed::CutShort),
            State::Failed(why) => Err(why),
        }
    }

    /// The size of the buffer.
    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        match &self.state {
            State::Body { partial, .. } => partial.capacity(),
            State::Length { .. } | State::Failed(_) => 0,
        }
    }
}
