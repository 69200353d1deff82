//! No sync can be left out: with any one kind of them doing nothing, histories are found that lose something. What is not
//! in the list below would be a sync that nobody has asked about.

use std::panic::{catch_unwind, set_hook, take_hook};

mod history;

const SITES: [&str; 12] = [
    "file blobs/*",
    "file secrets/*",
    "file state-1.redb",
    "file state.draft",
    "folder / after create",
    "folder / as found",
    "folder blobs after create",
    "folder blobs as found",
    "folder blobs/* after rename",
    "folder secrets after remove",
    "folder secrets after rename",
    "folder secrets as found",
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
    assert_eq!(sites.iter().map(String::as_str).collect::<Vec<_>>(), SITES);
    // Losses are what is looked for: what they say is of no interest.
    set_hook(Box::new(|_| {}));
    let first_loss =
        |site| (0..SEEDS).find(|seed| catch_unwind(|| history::run(*seed, &identity, Some(site))).is_err());
    let losses = SITES.map(|site| (site, first_loss(site)));
    let _ = take_hook();
    for (site, seed) in losses {
        assert!(seed.is_some(), "`{site}` can be left out");
        println!("`{site}` is missed by seed {}", seed.unwrap_or_default());
    }
}
