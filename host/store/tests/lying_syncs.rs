//! No sync can be left out: with any one kind of them doing nothing, histories are found that lose something. What is not
//! in the list below would be a sync that nobody has asked about. Beside each stands the seed from which on a loss is looked
//! for: the first that was found, which may change with what is written.

use std::panic::{catch_unwind, set_hook, take_hook};

mod history;

const SITES: [(&str, u64); 12] = [
    ("file blobs/*", 0),
    ("file secrets/*", 0),
    ("file state-1.redb", 0),
    ("file state.draft", 61),
    ("folder / after create", 0),
    ("folder / as found", 244),
    ("folder blobs after create", 0),
    ("folder blobs as found", 808),
    ("folder blobs/* after rename", 0),
    ("folder secrets after remove", 0),
    ("folder secrets after rename", 0),
    ("folder secrets as found", 2379),
];

/// How many histories are looked at before a sync counts as useless.
const SEEDS: u64 = 5_000;

#[test]
fn a_sync_that_lies_is_noticed_whichever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity");
    let mut sites = history::run(0, &identity, None);
    for seed in 1..20 {
        sites.extend(history::run(seed, &identity, None));
    }
    assert_eq!(sites.iter().map(String::as_str).collect::<Vec<_>>(), SITES.map(|(site, _)| site));
    // Losses are what is looked for: what they say is of no interest.
    set_hook(Box::new(|_| {}));
    let loses = |seed, site| catch_unwind(|| history::run(seed, &identity, Some(site))).is_err();
    let losses = SITES.map(|(site, from)| (site, (from..from + SEEDS).find(|seed| loses(*seed, site))));
    let _ = take_hook();
    for (site, seed) in losses {
        assert!(seed.is_some(), "`{site}` can be left out");
        println!("`{site}` is missed by seed {}", seed.unwrap_or_default());
    }
}
