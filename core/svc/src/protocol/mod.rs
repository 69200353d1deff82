//! How the messages of a service are told apart.
//!
//! It depends on nothing else, so that guests and hosts share it. Bytes go in, messages come out; nothing here waits.
//! A decoder takes no byte beyond the message that it returns, so that a protocol may put something else after one (a
//! line of JSON that announces raw bytes). It holds what has arrived of one message and never reserves what was only
//! announced: a buffer is at most twice what arrived, and never more than [`MESSAGE_BYTES_MAX`].

mod frames;
mod lines;

use alloc::vec::Vec;
use core::fmt;

pub use frames::FrameDecoder;
pub use lines::LineDecoder;

/// Most bytes of a line, without its end, or of a frame, without its length.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// How messages are told apart: the `proto` of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// UTF-8 lines, each ended by `\n`. A `\r` before it belongs to the line.
    #[default]
    Lines,
    /// A length in unsigned LEB128, then that many bytes.
    Frames,
    /// Raw bytes: whatever arrives is a message.
    Stream,
}

#[cfg(feature = "network")]
impl From<qyv_spec::manifest::Protocol> for Framing {
    fn from(protocol: qyv_spec::manifest::Protocol) -> Self {
        use qyv_spec::manifest::Protocol;
        match protocol {
            Protocol::Lines => Self::Lines,
            Protocol::Frames => Self::Frames,
            Protocol::Stream => Self::Stream,
        }
    }
}

/// Why bytes are no message of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A message is longer than [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// A line is not UTF-8.
    NotUtf8,
    /// A line to be sent has a `\n` inside.
    LineBreak,
    /// The length of a frame is not written in the fewest bytes.
    Overlong,
    /// The connection ended inside a frame.
    CutShort,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "a message is longer than 16 MiB; send it in parts",
            Self::NotUtf8 => "a line is not UTF-8; use `frames` for bytes",
            Self::LineBreak => "a line has a line break inside; use `frames`, or send it as several lines",
            Self::Overlong => "the length of a frame is not in its shortest form",
            Self::CutShort => "the connection ended inside a frame",
        })
    }
}

impl core::error::Error for Malformed {}

/// Appends a message to `out` as it goes over a connection, or leaves `out` as it is.
///
/// # Errors
///
/// [`Malformed::TooLong`]; for lines also [`Malformed::NotUtf8`] and [`Malformed::LineBreak`].
pub fn encode(framing: Framing, message: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match framing {
        Framing::Lines => lines::encode(message, out),
        Framing::Frames => frames::encode(message, out),
        Framing::Stream => {
            out.extend_from_slice(message);
            Ok(())
        }
    }
}

/// Takes the messages of one connection apart.
#[derive(Debug)]
pub enum Decoder {
    /// Each message is UTF-8.
    Lines(LineDecoder),
    /// Each message is a frame.
    Frames(FrameDecoder),
    /// Each message is what arrived.
    Stream,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Lines => Self::Lines(LineDecoder::default()),
            Framing::Frames => Self::Frames(FrameDecoder::default()),
            Framing::Stream => Self::Stream,
        }
    }

    /// Takes bytes from the front of `arrived` until a message is complete. `None` when all were taken and it is not.
    ///
    /// # Errors
    ///
    /// The connection is of no use any more: every later call answers the same.
    pub fn decode(&mut self, arrived: &mut &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        match self {
            Self::Lines(lines) => Ok(lines.decode(arrived)?.map(Into::into)),
            Self::Frames(frames) => frames.decode(arrived),
            Self::Stream => {
                let taken = core::mem::take(arrived);
                Ok((!taken.is_empty()).then(|| taken.to_vec()))
            }
        }
    }

    /// The connection has ended: a last line without its `\n` is a message as well.
    ///
    /// # Errors
    ///
    /// [`Malformed::CutShort`] inside a frame, [`Malformed::NotUtf8`], or what was answered before.
    pub fn finish(self) -> Result<Option<Vec<u8>>, Malformed> {
        match self {
            Self::Lines(lines) => Ok(lines.finish()?.map(Into::into)),
            Self::Frames(frames) => frames.finish().map(|()| None),
            Self::Stream => Ok(None),
        }
    }
}

/// Appends to what has arrived of a message, with a buffer of at most twice that, and never more than `whole`.
fn append(partial: &mut Vec<u8>, bytes: &[u8], whole: usize) {
    let held = partial.len() + bytes.len();
    if held > partial.capacity() {
        let room = held.saturating_mul(2).min(whole).max(held);
        partial.reserve_exact(room - partial.len());
    }
    partial.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
