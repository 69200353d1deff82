//! The two functions of the contract.

/// SplitMix64 (Steele, Lea and Flood, 2014); the seed is its first state.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next bytes: numbers in little-endian order, of which the last is cut.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        while bytes.len() < length {
            bytes.extend(self.draw().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo), as it is printed.
#[must_use]
pub(crate) fn fnv1a(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::{SplitMix64, fnv1a};

    #[test]
    fn known_answers_of_splitmix64() {
        // The reference implementation's first numbers for the seed 1234567.
        let mut generator = SplitMix64(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| generator.draw()).collect();
        let known: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(numbers, known);
        assert_eq!(SplitMix64(7).bytes(8), [0xd7, 0x0d, 0x32, 0x59, 0xe4, 0xe1, 0xcb, 0x63]);
        assert_eq!(SplitMix64(7).bytes(13)[..8], SplitMix64(7).bytes(8));
        assert_eq!(SplitMix64(7).bytes(13).len(), 13);
    }

    #[test]
    fn known_answers_of_fnv1a() {
        assert_eq!(fnv1a(b""), "cbf29ce484222325");
        assert_eq!(fnv1a(b"a"), "af63dc4c8601ec8c");
        assert_eq!(fnv1a(b"foobar"), "85944171f73967e8");
    }
}
