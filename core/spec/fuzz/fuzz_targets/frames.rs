//! The two zstd decoders against each other: a chunk that one of them accepts has the same content for the other.
//!
//! One difference is allowed: the decoders may disagree on whether a malformed frame is refused (the format leaves
//! room, for instance in unused bits at the end of a bit stream). They may never disagree on a content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qyv_spec::bundle::frame;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    if choice & 1 == 0 {
        agree(data, &mut declared(data));
        return;
    }
    // A frame of ours, whole and then with one byte changed.
    let Ok(mut stored) = zstd::bulk::compress(data, i32::from(choice >> 4) + 3) else { return };
    let mut plain = (vec![0; data.len()], vec![0; data.len()]);
    if frame::check(&stored, data.len()).is_ok() {
        assert!(agree(&stored, &mut plain), "a decoder refused a sound frame");
        assert_eq!(plain.0, data);
    }
    let at = data.first().map_or(0, |byte| usize::from(*byte) * stored.len() / 256);
    if let Some(byte) = stored.get_mut(at) {
        *byte ^= choice.rotate_left(3) | 1;
        agree(&stored, &mut plain);
    }
});

/// Decodes by both; whether both accepted.
fn agree(stored: &[u8], plain: &mut (Vec<u8>, Vec<u8>)) -> bool {
    let results = (frame::decode_rust(stored, &mut plain.0), frame::decode_c(stored, &mut plain.1));
    if results.0.is_ok() && results.1.is_ok() {
        assert!(plain.0 == plain.1, "the decoders disagree on the content");
    }
    results.0.is_ok() && results.1.is_ok()
}

/// Buffers of the size that the frame declares, at most one chunk.
fn declared(data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let field = |count: usize| {
        let mut bytes = [0; 8];
        data.get(5..5 + count).map(|field| bytes[..count].copy_from_slice(field));
        u64::from_le_bytes(bytes)
    };
    let size = match data.get(4).map_or(0, |descriptor| descriptor >> 6) {
        0 => field(1),
        1 => field(2) + 256,
        2 => field(4),
        _ => field(8),
    };
    let size = size.min(1 << 20) as usize;
    (vec![0; size], vec![0; size])
}
