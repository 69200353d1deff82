//! How fast a log may grow.

/// A token bucket over bytes. Time is given in milliseconds.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    most: u64,
    left: u64,
    at: u64,
}

impl Bucket {
    /// Full at first: `burst` bytes at once, then `per_second`.
    pub(crate) fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, most: burst, left: burst, at: 0 }
    }

    /// Takes `bytes` if they are there.
    pub(crate) fn take(&mut self, bytes: u64, now: u64) -> bool {
        // A clock that jumps back gives nothing; one that jumps ahead fills the bucket at most.
        let passed = now.saturating_sub(self.at);
        self.at = now;
        let gained = passed.saturating_mul(self.per_second) / 1000;
        self.left = self.left.saturating_add(gained).min(self.most);
        let enough = self.left >= bytes;
        if enough {
            self.left -= bytes;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_whatever_the_clock_does() {
        let mut bucket = Bucket::new(1000, 500);
        assert!(bucket.take(500, 1_000_000));
        assert!(!bucket.take(1, 1_000_000));
        assert!(bucket.take(100, 1_000_100));
        assert!(!bucket.take(1, 999));
        assert!(bucket.take(500, u64::MAX));
        assert!(!bucket.take(1, u64::MAX));
    }
}
