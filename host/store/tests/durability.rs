//! Nothing acknowledged is lost, nothing half-done is seen, and every blob that a kept revision needs is whole: whatever
//! subset of the unsynced writes a power loss keeps, and wherever it comes. See [`history`].
//!
//! `QYVOL_DURABILITY_SEEDS` says how many histories.

use std::panic::catch_unwind;

mod history;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_done_is_seen() {
    let seeds = std::env::var("QYVOL_DURABILITY_SEEDS").map_or(200, |text| text.parse::<u64>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity");
    for seed in 0..seeds {
        let held = catch_unwind(|| history::run(seed, &identity, None));
        assert!(held.is_ok(), "seed {seed}");
    }
}
