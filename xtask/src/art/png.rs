//! Writing PNG files (<https://www.w3.org/TR/png-3/>): 8 bits a channel, with transparency.

use super::deflate;

/// A square of pixels.
pub(crate) struct Picture {
    size: usize,
    /// Red, green, blue and opacity of each pixel, row by row.
    bytes: Vec<u8>,
}

impl Picture {
    /// Asks for each pixel.
    pub(crate) fn draw(size: usize, pixel: impl Fn(usize, usize) -> [u8; 4]) -> Self {
        let bytes = (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y));
        Self { size, bytes: bytes.collect() }
    }

    /// The file.
    pub(crate) fn png(&self) -> Vec<u8> {
        let side = u32::try_from(self.size).unwrap_or(u32::MAX).to_be_bytes();
        // 8 bits, red, green, blue and opacity, the one compression, the one set of filters, not interlaced.
        let header = [side.as_slice(), &side, &[8, 6, 0, 0, 0]].concat();
        // Each row is preceded by its filter: none.
        let rows: Vec<u8> =
            self.bytes.chunks_exact(self.size * 4).flat_map(|row| [&[0], row].concat()).collect();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, b"IHDR", &header);
        chunk(&mut file, b"IDAT", &deflate::zlib(&rows, &[4, self.size * 4 + 1]));
        chunk(&mut file, b"IEND", &[]);
        file
    }
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let begin = file.len();
    file.extend(name);
    file.extend(data);
    file.extend(crc32(&file[begin..]).to_be_bytes());
}

/// The check sum of a chunk, bit by bit: the files are small.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (if sum & 1 == 1 { 0xedb8_8320 } else { 0 });
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }
}
