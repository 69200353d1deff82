//! Chunks: raw bytes, or one zstd frame of a restricted shape.
//!
//! A chunk that is stored in as many bytes as it has is raw; one that is stored in fewer is a zstd frame. The frame
//! must be a single segment that declares its size, without dictionary and checksum, and its blocks must end where
//! the stored bytes end. [`check`] sees to that before any decoder runs, so what a decoder can be made to allocate is
//! known (the window of a single segment is its content, at most 1 MiB) and two decoders cannot disagree on where a
//! frame ends.

use super::error::FrameError;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Single segment, no checksum, no dictionary. The two high bits choose the length of the size field.
const SINGLE_SEGMENT: u8 = 0b0010_0000;
const MAX_BLOCK_BYTES: usize = 128 << 10;

/// Checks that `stored` is one acceptable frame of `plain` bytes. The contents of its blocks are not looked at.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(stored: &[u8], plain: usize) -> Result<(), FrameError> {
    let rest = stored.strip_prefix(&MAGIC).ok_or(FrameError::Header)?;
    let (&descriptor, rest) = rest.split_first().ok_or(FrameError::Header)?;
    if descriptor & 0b0011_1111 != SINGLE_SEGMENT {
        return Err(FrameError::Header);
    }
    let (size, rest) = match descriptor >> 6 {
        0 => rest.split_first_chunk::<1>().map(|(b, rest)| (u64::from(b[0]), rest)),
        1 => rest.split_first_chunk::<2>().map(|(b, rest)| (u64::from(u16::from_le_bytes(*b)) + 256, rest)),
        2 => rest.split_first_chunk::<4>().map(|(b, rest)| (u64::from(u32::from_le_bytes(*b)), rest)),
        _ => rest.split_first_chunk::<8>().map(|(b, rest)| (u64::from_le_bytes(*b), rest)),
    }
    .ok_or(FrameError::Header)?;
    if size != plain as u64 {
        return Err(FrameError::Size);
    }
    check_blocks(rest, plain)
}

fn check_blocks(mut rest: &[u8], plain: usize) -> Result<(), FrameError> {
    loop {
        let (header, body) = rest.split_first_chunk::<3>().ok_or(FrameError::Blocks)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let size = (header >> 3) as usize;
        if size > MAX_BLOCK_BYTES.min(plain) {
            return Err(FrameError::Blocks);
        }
        let body_bytes = match (header >> 1) & 3 {
            0 | 2 => size,
            1 => 1,
            _ => return Err(FrameError::Blocks),
        };
        rest = body.get(body_bytes..).ok_or(FrameError::Blocks)?;
        if header & 1 == 1 {
            return if rest.is_empty() { Ok(()) } else { Err(FrameError::Blocks) };
        }
    }
}

/// Decodes one chunk into `plain`, which has the chunk's size. Uses the C library with feature `zstd-c`.
///
/// # Errors
///
/// When `stored` is no acceptable frame, or does not fill `plain` exactly. `plain` is unspecified then.
pub fn decode(stored: &[u8], plain: &mut [u8]) -> Result<(), FrameError> {
    #[cfg(feature = "zstd-c")]
    return decode_c(stored, plain);
    #[cfg(not(feature = "zstd-c"))]
    decode_rust(stored, plain)
}

/// [`decode`] by the decoder that needs no operating system.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_rust(stored: &[u8], plain: &mut [u8]) -> Result<(), FrameError> {
    check(stored, plain.len())?;
    match ruzstd::decoding::FrameDecoder::new().decode_all(stored, plain) {
        Ok(written) if written == plain.len() => Ok(()),
        _ => Err(FrameError::Content),
    }
}

/// [`decode`] by the C library.
///
/// # Errors
///
/// As [`decode`].
#[cfg(feature = "zstd-c")]
pub fn decode_c(stored: &[u8], plain: &mut [u8]) -> Result<(), FrameError> {
    check(stored, plain.len())?;
    match zstd::bulk::decompress_to_buffer(stored, plain) {
        Ok(written) if written == plain.len() => Ok(()),
        _ => Err(FrameError::Content),
    }
}
