//! The bundle reader on arbitrary bytes. The hash of the header is mended first: behind it is what is worth reaching.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qyv_spec::bundle::{Bundle, ChunkCache, TrustStore, Verdict, verify};

fuzz_target!(|data: &[u8]| {
    let _ = Bundle::open(data);
    let mut data = data.to_vec();
    mend(&mut data);
    let Ok(bundle) = Bundle::open(&data) else { return };
    let _ = bundle.check_contents();
    let verdict = verify(&bundle, "fuzz", &TrustStore::default());
    assert!(!matches!(verdict, Verdict::Trusted { .. }), "an empty store trusts nobody");
    let (mut cache, mut buffer) = (ChunkCache::new(2), vec![0; 4096]);
    for file in bundle.files() {
        assert_eq!(bundle.find(file.path), Some(file.index));
        if let Ok(read) = bundle.read_at(file.index, file.size / 2, &mut buffer, &mut cache) {
            assert_eq!(read as u64, (file.size - file.size / 2).min(4096));
        }
    }
});

/// Puts the hash of the header where the last page boundary is, for bundles without signatures.
fn mend(data: &mut [u8]) {
    let length =
        data.get(12..16).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    let Some(hash) = data.get(..length).map(|header| *blake3::hash(header).as_bytes()) else { return };
    let trailer = data.len().saturating_sub(40) / 4096 * 4096;
    if let Some(place) = data.get_mut(trailer..trailer + 32).filter(|_| trailer >= length) {
        place.copy_from_slice(&hash);
    }
}
