//! Compression for pictures with large plain areas: zlib (RFC 1950) over deflate (RFC 1951) with the fixed code.
//!
//! What repeats is looked for at a few given distances only: one pixel back and one row back. That is simple, and as
//! small as these pictures need.

/// The longest repetition that one code says, in bytes.
const LENGTH_MAX: usize = 258;
const LENGTH_MIN: usize = 3;

/// Compresses `data`, with repetitions at these distances of at most 32768 bytes.
pub(crate) fn zlib(data: &[u8], distances: &[usize]) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x78, 0x01], pending: 0, count: 0 };
    // The last block, with the fixed code.
    bits.put(0b011, 3);
    let mut at = 0;
    while at < data.len() {
        let (length, distance) = distances
            .iter()
            .map(|distance| (repeated(data, at, *distance), *distance))
            .max()
            .unwrap_or((0, 0));
        if length < LENGTH_MIN {
            bits.literal(u16::from(data[at]));
            at += 1;
        } else {
            bits.repetition(length, distance);
            at += length;
        }
    }
    bits.literal(256);
    bits.finish();
    bits.bytes.extend(adler32(data).to_be_bytes());
    bits.bytes
}

/// How many bytes from `at` on are the same as those `distance` before.
fn repeated(data: &[u8], at: usize, distance: usize) -> usize {
    let Some(from) = at.checked_sub(distance) else { return 0 };
    let pairs = data[at..].iter().zip(&data[from..]);
    pairs.take(LENGTH_MAX).take_while(|(one, other)| one == other).count()
}

fn adler32(data: &[u8]) -> u32 {
    let (mut one, mut two) = (1_u32, 0_u32);
    for byte in data {
        one = (one + u32::from(*byte)) % 65_521;
        two = (two + one) % 65_521;
    }
    two << 16 | one
}

/// A stream of bits, the first of a byte in its lowest place.
struct Bits {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl Bits {
    /// Adds the lowest `count` bits.
    fn put(&mut self, value: u32, count: u32) {
        self.pending |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push((self.pending & 0xff) as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Adds a code, whose first bit is its highest.
    fn code(&mut self, value: u32, count: u32) {
        self.put(value.reverse_bits() >> (32 - count), count);
    }

    /// Adds a symbol of the fixed code for bytes and lengths.
    fn literal(&mut self, symbol: u16) {
        let value = u32::from(symbol);
        match symbol {
            0..=143 => self.code(0x30 + value, 8),
            144..=255 => self.code(0x190 + value - 144, 9),
            256..=279 => self.code(value - 256, 7),
            _ => self.code(0xc0 + value - 280, 8),
        }
    }

    fn repetition(&mut self, length: usize, distance: usize) {
        if length == LENGTH_MAX {
            self.literal(285);
        } else {
            let (symbol, extra, bits) = split(length - LENGTH_MIN, 4);
            self.literal(257 + symbol);
            self.put(extra, bits);
        }
        let (symbol, extra, bits) = split(distance - 1, 2);
        self.code(u32::from(symbol), 5);
        self.put(extra, bits);
    }

    fn finish(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

/// The symbol of a value and its extra bits: `step` symbols for each power of two.
fn split(value: usize, step: u32) -> (u16, u32, u32) {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    if value < 2 * step {
        return (value as u16, 0, 0);
    }
    let bits = value.ilog2() - step.ilog2();
    ((step * bits + (value >> bits)) as u16, value & ((1 << bits) - 1), bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_distances_have_the_symbols_of_the_standard() {
        for (length, expected) in [(3, (0, 0, 0)), (10, (7, 0, 0)), (11, (8, 0, 1)), (257, (27, 30, 5))] {
            assert_eq!(split(length - LENGTH_MIN, 4), expected, "length {length}");
        }
        for (distance, expected) in [(1, (0, 0, 0)), (4, (3, 0, 0)), (5, (4, 0, 1)), (2049, (22, 0, 10))] {
            assert_eq!(split(distance - 1, 2), expected, "distance {distance}");
        }
    }

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    /// Another hand's zlib reads these bytes as the text.
    #[test]
    fn a_short_text_has_these_bytes() {
        let bytes = [0x78, 0x01, 0x4b, 0x4c, 0x82, 0x40, 0x00, 0x0d, 0xbc, 0x03, 0x0d];
        assert_eq!(zlib(b"abababab", &[2]), bytes);
    }
}
