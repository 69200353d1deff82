//! The largest header, by hand: what a stranger's bundle may cost the machine that opens it.
//!
//! Without a clock: work that grew with the square of the chunks would be 10^11 steps here, a test that does not end.

use alloc::vec::Vec;

use super::limits::*;
use super::*;

const APP: &[u8] = b"{}";
/// As many chunks as fit into a header beside one App section, one files section and one file with a short path.
const CHUNKS: usize =
    (MAX_HEADER_BYTES as usize - PRELUDE_BYTES - 2 * SECTION_RECORD_BYTES - CHUNK_RECORD_BYTES - 21)
        / CHUNK_RECORD_BYTES;

/// What chunk `index` is stored as: neighbours differ, so that a chunk read from a wrong place is a damaged one.
const fn stored(index: usize) -> u8 {
    (index % 251) as u8
}

fn section(header: &mut Vec<u8>, kind: u32, numbers: [u64; 3], hash: &[u8; 32]) {
    header.extend_from_slice(&kind.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    header.extend_from_slice(hash);
    header.extend_from_slice(&[0; 2]);
}

/// A bundle with one file that declares `size` bytes and has `CHUNKS` chunks, each stored in one byte.
fn bundle(size: u64) -> Vec<u8> {
    let end = |length: usize| length.next_multiple_of(PAGE_BYTES as usize);
    let app_hash = *blake3::hash(APP).as_bytes();
    let hashes: Vec<_> = (0..251).map(|byte| blake3::hash(&[stored(byte)])).collect();
    let length =
        PRELUDE_BYTES + 2 * SECTION_RECORD_BYTES + CHUNK_RECORD_BYTES + 21 + CHUNKS * CHUNK_RECORD_BYTES;
    let (app_at, files_at) = (end(length), end(end(length) + APP.len()));

    let mut bytes = MAGIC.to_vec();
    for number in [FORMAT_VERSION, length as u32, 2, 1, 1, 0, 0, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    section(&mut bytes, 1, [app_at as u64, APP.len() as u64, APP.len() as u64], &app_hash);
    bytes.extend_from_slice(&(APP.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&app_hash);
    section(&mut bytes, 3, [files_at as u64, CHUNKS as u64, size], &[0; 32]);
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.push(b'a');
    for index in 0..CHUNKS {
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(hashes[usize::from(stored(index))].as_bytes());
    }
    assert_eq!(bytes.len(), length);
    let hash = blake3::hash(&bytes);

    bytes.resize(app_at, 0);
    bytes.extend_from_slice(APP);
    bytes.resize(files_at, 0);
    bytes.extend((0..CHUNKS).map(stored));
    bytes.resize(end(bytes.len()), 0);
    bytes.extend_from_slice(hash.as_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

#[test]
fn the_most_chunks_cost_no_more_than_their_number() {
    let size = CHUNKS as u64 * CHUNK_BYTES;
    let bytes = bundle(size);
    let bundle = Bundle::open(bytes.as_slice()).unwrap();
    bundle.check_stored().unwrap();

    // The last chunk is found, and its hash fits: it is refused as a frame.
    let last = CHUNKS as u64 - 1;
    let read = bundle.read_at(0, size - 1, &mut [0], &mut ChunkCache::new(1));
    assert!(matches!(read, Err(Error::Frame { chunk, .. }) if chunk == last), "{read:?}");
    assert_eq!(bundle.read_at(0, size, &mut [0], &mut ChunkCache::new(1)), Ok(0));
}

#[test]
fn a_file_is_no_larger_than_its_header_has_chunks_for() {
    for size in [CHUNKS as u64 * CHUNK_BYTES + 1, u64::MAX - CHUNK_BYTES, u64::MAX] {
        let refused = Bundle::open(bundle(size).as_slice()).err();
        assert!(matches!(refused, Some(Error::Truncated { what: "header", .. })), "{size}: {refused:?}");
    }
}
