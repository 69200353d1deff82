//! Clocks and sleeping.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(wall > Duration::from_secs(1_704_067_200), "{wall:?}");
    let start = Instant::now();
    sleep(Duration::from_millis(50));
    let slept = start.elapsed();
    assert!((Duration::from_millis(49)..Duration::from_secs(20)).contains(&slept), "{slept:?}");
    sleep(Duration::ZERO);
    let mut before = start;
    for _ in 0..1_000 {
        let now = Instant::now();
        assert!(now >= before);
        before = now;
    }
}
