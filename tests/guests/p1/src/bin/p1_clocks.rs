//! The four clocks, their resolutions, and numbers that are no clock.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(times, resolutions, unknown_clocks, bad_pointers);

fn times() {
    // 2024-01-01 to 2100-01-01: a host whose clock is outside has a wrong unit.
    let now = clock_time_get(clock::REALTIME).unwrap();
    assert!((1_704_067_200_000_000_000..4_102_444_800_000_000_000).contains(&now), "{now}");

    let mut before = clock_time_get(clock::MONOTONIC).unwrap();
    for _ in 0..1_000 {
        let after = clock_time_get(clock::MONOTONIC).unwrap();
        assert!(after >= before, "{after} after {before}");
        before = after;
    }
    for id in [clock::PROCESS_CPU, clock::THREAD_CPU] {
        match clock_time_get(id) {
            Ok(_) => {}
            Err(error) => assert!(matches!(error, INVAL | NOTSUP | NOSYS), "{error:?}"),
        }
    }
}

fn resolutions() {
    for id in [clock::REALTIME, clock::MONOTONIC] {
        let resolution = clock_res_get(id).unwrap();
        assert!((1..=1_000_000_000).contains(&resolution), "clock {id}: {resolution}");
    }
}

fn unknown_clocks() {
    for id in [4, 100, 0x1_0000, u32::MAX] {
        assert_eq!(clock_time_get(id), Err(INVAL), "clock {id}");
        assert_eq!(clock_res_get(id), Err(INVAL), "clock {id}");
    }
}

fn bad_pointers() {
    // SAFETY: the host must not write anywhere.
    unsafe {
        assert_eq!(done(raw::clock_time_get(clock::MONOTONIC, 0, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::clock_res_get(clock::MONOTONIC, BAD_POINTER)), Err(FAULT));
    }
}
