//! Waiting: durations, absolute times, ready files, wrong subscriptions.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(waits, absolute, first_of_two, files_are_ready, errors_are_events, refused);

const MS: u64 = 1_000_000;

fn poll_one(subscription: Subscription) -> Event {
    let mut events = [Event::default(); 1];
    assert_eq!(poll_oneoff(&[subscription], &mut events), Ok(1));
    assert_eq!(events[0].userdata, subscription.userdata);
    assert_eq!(events[0].tag, subscription.tag);
    events[0]
}

fn waits() {
    for id in [clock::MONOTONIC, clock::REALTIME] {
        let before = clock_time_get(clock::MONOTONIC).unwrap();
        assert_eq!(poll_one(Subscription::after(7, id, 20 * MS)).error, 0);
        let waited = clock_time_get(clock::MONOTONIC).unwrap() - before;
        // A wall clock may be slewed meanwhile, so a little less is no error.
        assert!((19 * MS..10_000 * MS).contains(&waited), "clock {id}: {waited} ns");
    }
    assert_eq!(poll_one(Subscription::after(u64::MAX, clock::MONOTONIC, 0)).error, 0);
}

fn absolute() {
    let before = clock_time_get(clock::MONOTONIC).unwrap();
    assert_eq!(poll_one(Subscription::at(1, clock::MONOTONIC, before + 20 * MS)).error, 0);
    assert!(clock_time_get(clock::MONOTONIC).unwrap() >= before + 20 * MS);

    // What is past is due.
    assert_eq!(poll_one(Subscription::at(1, clock::MONOTONIC, 0)).error, 0);
    assert_eq!(poll_one(Subscription::at(1, clock::REALTIME, 1)).error, 0);
}

fn first_of_two() {
    let mut events = [Event::default(); 2];
    let both = [
        Subscription::after(1, clock::MONOTONIC, 3_600_000 * MS),
        Subscription::after(2, clock::MONOTONIC, 5 * MS),
    ];
    assert_eq!(poll_oneoff(&both, &mut events), Ok(1));
    assert_eq!((events[0].userdata, events[0].tag), (2, 0));

    // A time that does not fit is far away, not past.
    let both = [
        Subscription::after(1, clock::MONOTONIC, u64::MAX),
        Subscription::after(2, clock::MONOTONIC, 5 * MS),
    ];
    assert_eq!(poll_oneoff(&both, &mut events), Ok(1));
    assert_eq!(events[0].userdata, 2);
}

fn files_are_ready() {
    put(ROOT, "polled", b"0123456789");
    let file = open(ROOT, "polled", 0, rights::BOTH).unwrap();
    let mut events = [Event::default(); 3];
    let all = [
        Subscription::readable(1, file),
        Subscription::writable(2, file),
        Subscription::after(3, clock::MONOTONIC, 3_600_000 * MS),
    ];
    let count = poll_oneoff(&all, &mut events).unwrap();
    assert_eq!(count, 2);
    for event in &events[..2] {
        assert_eq!(event.error, 0);
        assert_eq!(u64::from(event.tag), event.userdata);
    }
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "polled"), Ok(()));
}

fn errors_are_events() {
    assert_eq!(poll_one(Subscription::readable(5, NO_FD)).error, BADF.0);
    assert_eq!(poll_one(Subscription::writable(6, NO_FD)).error, BADF.0);
    assert_eq!(poll_one(Subscription::after(7, 99, MS)).error, INVAL.0);

    // One wrong subscription among good ones is answered at once, with its own userdata.
    let mut events = [Event::default(); 2];
    let mixed = [Subscription::after(1, clock::MONOTONIC, 3_600_000 * MS), Subscription::readable(2, NO_FD)];
    assert_eq!(poll_oneoff(&mixed, &mut events), Ok(1));
    assert_eq!((events[0].userdata, events[0].error), (2, BADF.0));
}

fn refused() {
    let mut event = Event::default();
    let mut count = 0_u32;
    let subscription = Subscription::after(1, clock::MONOTONIC, 0);
    let from = &raw const subscription as u32;
    let (to, count) = (&raw mut event as u32, &raw mut count as u32);
    // SAFETY: the good addresses are those of the variables above; the host must not write to the bad ones.
    unsafe {
        assert_eq!(done(raw::poll_oneoff(from, to, 0, count)), Err(INVAL), "nothing to wait for");
        assert_eq!(done(raw::poll_oneoff(BAD_POINTER, to, 1, count)), Err(FAULT));
        assert_eq!(done(raw::poll_oneoff(from, BAD_POINTER, 1, count)), Err(FAULT));
        assert_eq!(done(raw::poll_oneoff(from, to, 1, BAD_POINTER)), Err(FAULT));
        // 48 bytes each: the product does not fit 32 bits.
        let many = done(raw::poll_oneoff(from, to, u32::MAX, count));
        assert!(matches!(many, Err(FAULT | INVAL)), "{many:?}");
        let many = done(raw::poll_oneoff(from, to, 0x1000_0000, count));
        assert!(matches!(many, Err(FAULT | INVAL)), "{many:?}");
    }
    let unknown = Subscription { tag: 9, ..subscription };
    let mut events = [Event::default(); 1];
    match poll_oneoff(&[unknown], &mut events) {
        Ok(1) => assert_eq!(events[0].error, INVAL.0),
        other => assert_eq!(other, Err(INVAL)),
    }
}
