//! `poll_oneoff`.

use qyv_wasi::{Clock, Error, Interest, Outcome, Source, Stream};

use crate::call;
use crate::support::*;

const SUBSCRIPTIONS: i32 = 2048;
const EVENTS: i32 = DATA;

#[derive(Clone, Copy)]
pub(crate) enum On {
    Clock(u32, u64, u16),
    Read(i32),
    Write(i32),
}

pub(crate) fn poll(guest: &mut Guest, on: &[On]) -> Outcome {
    for (index, on) in on.iter().enumerate() {
        let at = SUBSCRIPTIONS + 48 * index as i32;
        guest.put(at, &[0; 48]);
        guest.put(at, &(100 + index as u64).to_le_bytes());
        match *on {
            On::Clock(id, timeout, flags) => {
                guest.put(at + 16, &id.to_le_bytes());
                guest.put(at + 24, &timeout.to_le_bytes());
                guest.put(at + 40, &flags.to_le_bytes());
            }
            On::Read(fd) | On::Write(fd) => {
                guest.put(at + 8, &[if let On::Read(_) = on { 1 } else { 2 }]);
                guest.put(at + 16, &fd.to_le_bytes());
            }
        }
    }
    let Guest { process, memory, host, .. } = guest;
    process.poll_oneoff(memory, host, SUBSCRIPTIONS, EVENTS, on.len() as i32, RESULT)
}

/// Subscription, error, type, bytes, flags of each event.
pub(crate) fn events(guest: &mut Guest, on: &[On]) -> Vec<(u64, u16, u8, u64, u16)> {
    done(poll(guest, on)).unwrap();
    let event = |index: i32| {
        let at = EVENTS + 32 * index;
        (
            guest.u64(at) - 100,
            guest.u16(at + 8),
            guest.bytes(at + 10, 1)[0],
            guest.u64(at + 16),
            guest.u16(at + 24),
        )
    };
    (0..guest.u32(RESULT) as i32).map(event).collect()
}

#[test]
fn a_span_is_measured_from_the_first_call() {
    both(|guest| {
        (guest.host.monotonic, guest.host.realtime) = (1000, 5000);
        // Even on the wall clock, which may be set meanwhile.
        for clock in [0, 1] {
            guest.host.monotonic = 1000;
            let on = [On::Clock(clock, 50, 0)];
            for now in [1000, 1010, 1049] {
                guest.host.monotonic = now;
                guest.host.realtime += 1_000_000;
                let outcome = poll(guest, &on);
                let wait = guest.wait(outcome);
                assert_eq!(wait.deadline(), Some((Clock::Monotonic, 1050)));
            }
            guest.host.monotonic = 1050;
            assert_eq!(events(guest, &on), [(0, 0, 0, 0, 0)]);
            // It is forgotten with its end, and by any other call.
            let outcome = poll(guest, &on);
            assert_eq!(guest.wait(outcome).deadline(), Some((Clock::Monotonic, 1100)));
            guest.host.monotonic = 1060;
            call!(guest, sched_yield).unwrap();
            let outcome = poll(guest, &on);
            assert_eq!(guest.wait(outcome).deadline(), Some((Clock::Monotonic, 1110)));
            guest.try_write(1, &[b"x"]).errno();
            let outcome = poll(guest, &on);
            assert_eq!(guest.wait(outcome).deadline(), Some((Clock::Monotonic, 1110)));
            call!(guest, sched_yield).unwrap();
        }
    });
}

#[test]
fn times_and_the_soonest_of_several() {
    both(|guest| {
        (guest.host.monotonic, guest.host.realtime) = (1000, 5000);
        let on = [On::Clock(0, 5100, 1), On::Clock(1, 200, 0), On::Clock(1, 1300, 1)];
        let outcome = poll(guest, &on);
        assert_eq!(guest.wait(outcome).deadline(), Some((Clock::Realtime, 5100)));
        (guest.host.monotonic, guest.host.realtime) = (1200, 5100);
        assert_eq!(events(guest, &on), [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0)]);
        assert_eq!(events(guest, &[On::Clock(1, 0, 0)]).len(), 1);
        assert_eq!(events(guest, &[On::Clock(1, 3, 1)]).len(), 1);
        let outcome = poll(guest, &[On::Clock(1, u64::MAX, 0)]);
        assert_eq!(guest.wait(outcome).deadline(), Some((Clock::Monotonic, u64::MAX)));
    });
}

#[test]
fn descriptors_are_ready_or_waited_for() {
    both(|guest| {
        guest.create("file", b"0123456789");
        let file = guest.open("file", 0, BOTH).unwrap();
        guest.seek(file, 4, 0).unwrap();
        let on = [On::Read(file), On::Write(file), On::Read(0), On::Clock(1, 10, 0)];
        assert_eq!(events(guest, &on), [(0, 0, 1, 6, 0), (1, 0, 2, 1, 0)]);
        guest.seek(file, 0, 2).unwrap();
        assert_eq!(events(guest, &[On::Read(file)]), [(0, 0, 1, 0, 1)]);

        guest.host.stdout_room = 0;
        let on = [On::Read(0), On::Write(1), On::Read(0), On::Clock(1, 10, 0)];
        let outcome = poll(guest, &on);
        let wait = guest.wait(outcome);
        assert_eq!(
            wait.sources(),
            [
                (Source::Stream(Stream::Stdin), Interest::Read),
                (Source::Stream(Stream::Stdout), Interest::Write)
            ]
        );
        assert!(wait.deadline().is_some());
        guest.host.stdin.push_back(b"abc".to_vec());
        assert_eq!(events(guest, &on), [(0, 0, 1, 3, 0), (2, 0, 1, 3, 0)]);
        guest.host.stdin.clear();
        guest.host.stdin_ended = true;
        assert_eq!(events(guest, &[On::Read(0)]), [(0, 0, 1, 0, 1)]);
    });
}

#[test]
fn what_cannot_be_waited_for_is_an_event_with_its_error() {
    both(|guest| {
        let (bad, invalid) = (Error::BADF as u16, Error::INVAL as u16);
        let write_only = guest.open("file", CREAT, FD_WRITE).unwrap();
        let on = [
            On::Read(50),
            On::Read(1),
            On::Write(ROOT),
            On::Read(write_only),
            On::Clock(9, 1, 0),
            On::Clock(2, 1, 0),
        ];
        let found: Vec<_> = events(guest, &on).into_iter().map(|event| (event.0, event.1, event.2)).collect();
        assert_eq!(
            found,
            [(0, bad, 1), (1, bad, 1), (2, bad, 2), (3, bad, 1), (4, invalid, 0), (5, invalid, 0)]
        );
    });
}

#[test]
fn bad_lists_are_refused() {
    both(|guest| {
        assert_eq!(done(poll(guest, &[])), Err(Error::INVAL));
        assert_eq!(call!(guest, poll_oneoff, 0, 0, -1, RESULT), Err(Error::INVAL));
        assert_eq!(call!(guest, poll_oneoff, 0, 0, 4097, RESULT), Err(Error::INVAL));
        assert_eq!(call!(guest, poll_oneoff, SIZE as i32 - 47, 0, 1, RESULT), Err(Error::FAULT));
        assert_eq!(call!(guest, poll_oneoff, 0, SIZE as i32 - 31, 1, RESULT), Err(Error::FAULT));
        assert_eq!(call!(guest, poll_oneoff, 0, 0, 1, SIZE as i32 - 3), Err(Error::FAULT));
        assert_eq!(done(poll(guest, &[On::Clock(1, 1, 2)])), Err(Error::INVAL));
        guest.put(SUBSCRIPTIONS + 8, &[3]);
        assert_eq!(call!(guest, poll_oneoff, SUBSCRIPTIONS, EVENTS, 1, RESULT), Err(Error::INVAL));
    });
}
