//! How long to wait before an instance that failed is started again.
//!
//! The numbers are Docker's where people expect them (first pause 100 ms, doubled each time, forgotten after a run of
//! 10 s: `docs.docker.com/engine/reference/run`), with the longest pause of Kubernetes (5 minutes; Docker's minute
//! wears out a host with many broken apps) and the jitter of Nomad (up to a quarter more, so that apps that failed together
//! do not return together).

/// The first pause.
pub const BACKOFF_FIRST_NS: u64 = 100_000_000;
/// The longest pause, before the jitter.
pub const BACKOFF_MAX_NS: u64 = 300_000_000_000;
/// A run of this length makes the next pause the first again.
pub const STABLE_NS: u64 = 10_000_000_000;
/// Restarts without a stable run from which an instance counts as crash-looping: after about three seconds of pauses.
pub const CRASH_LOOP_RESTARTS: u32 = 5;

/// Pauses that grow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    /// Restarts since the last stable run.
    restarts: u32,
}

impl Backoff {
    /// The next pause, after a run of `ran` nanoseconds.
    pub(crate) fn pause(&mut self, ran: u64, random: &mut Random) -> u64 {
        if ran >= STABLE_NS {
            self.restarts = 0;
        }
        let doubled = 1_u64.checked_shl(self.restarts).unwrap_or(u64::MAX);
        let pause = BACKOFF_FIRST_NS.saturating_mul(doubled).min(BACKOFF_MAX_NS);
        self.restarts = self.restarts.saturating_add(1);
        pause + random.next() % (pause / 4)
    }

    pub(crate) fn is_crash_loop(self) -> bool {
        self.restarts >= CRASH_LOOP_RESTARTS
    }
}

/// Random numbers for jitter: SplitMix64, of which nothing is asked but to be spread evenly.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_stable_run() {
        let (mut backoff, mut random) = (Backoff::default(), Random(7));
        let mut expected = BACKOFF_FIRST_NS;
        for _ in 0..100 {
            let pause = backoff.pause(0, &mut random);
            assert!((expected..expected + expected / 4).contains(&pause), "{pause} after {expected}");
            expected = (expected * 2).min(BACKOFF_MAX_NS);
        }
        assert!(backoff.is_crash_loop());
        assert!(backoff.pause(STABLE_NS - 1, &mut random) >= BACKOFF_MAX_NS);
        assert!(backoff.pause(STABLE_NS, &mut random) < BACKOFF_FIRST_NS * 2);
        assert!(!backoff.is_crash_loop());
    }

    #[test]
    fn two_that_failed_together_do_not_return_together() {
        let pause = |seed| Backoff::default().pause(0, &mut Random(seed));
        assert_ne!(pause(1), pause(2));
    }
}
