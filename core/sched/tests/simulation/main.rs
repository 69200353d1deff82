//! The run queue in a machine that is simulated: what it promises, in numbers. Times are simulated, so every run is the
//! same one, however busy the real machine is.

mod hostile;
mod latency;
mod machine;
mod quota;
mod share;

use proptest::test_runner::{Config, RngSeed};

/// The same sequences every time, `cases` of them unless `PROPTEST_CASES` says otherwise.
fn cases(cases: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    Config { cases, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..Config::default() }
}
