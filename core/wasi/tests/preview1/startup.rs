//! Arguments, environment, preopens, clocks and random numbers.

use qyv_wasi::{Error, Limits, ProcessBuilder};

use crate::call;
use crate::support::*;

#[test]
fn strings_are_given_with_their_sizes() {
    both(|guest| {
        call!(guest, args_sizes_get, 0, 4).unwrap();
        assert_eq!((guest.u32(0), guest.u32(4)), (2, 9));
        call!(guest, args_get, RESULT, TEXT).unwrap();
        assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (TEXT as u32, TEXT as u32 + 5));
        assert_eq!(guest.bytes(TEXT, 9), b"prog\0one\0");
        call!(guest, environ_sizes_get, 0, 4).unwrap();
        assert_eq!((guest.u32(0), guest.u32(4)), (1, 10));
        call!(guest, environ_get, RESULT, TEXT).unwrap();
        assert_eq!(guest.bytes(guest.u32(RESULT) as i32, 10), b"KEY=value\0");
    });
}

#[test]
fn strings_that_do_not_fit_change_nothing() {
    both(|guest| {
        let last = SIZE as i32;
        for (pointers, buffer) in [(last - 4, 0), (0, last - 8), (-4, 0), (0, -1)] {
            assert_eq!(call!(guest, args_get, pointers, buffer), Err(Error::FAULT));
        }
        assert_eq!(call!(guest, args_sizes_get, 0, last - 3), Err(Error::FAULT));
        assert!(guest.memory.inside().iter().all(|&byte| byte == 0));
    });
}

#[test]
fn the_builder_refuses_what_a_guest_could_misread() {
    let build = |builder: ProcessBuilder| builder.build().err();
    assert_eq!(build(ProcessBuilder::new().arg("a\0b")), Some(Error::INVAL));
    assert_eq!(build(ProcessBuilder::new().env("", "x")), Some(Error::INVAL));
    assert_eq!(build(ProcessBuilder::new().env("A=B", "x")), Some(Error::INVAL));
    assert_eq!(build(ProcessBuilder::new().arg("x".repeat(2 << 20))), Some(Error::OVERFLOW));
    assert_eq!(build(ProcessBuilder::new().limits(Limits::with_fds(2))), Some(Error::INVAL));
    assert_eq!(build(ProcessBuilder::new().limits(Limits::with_fds(3)).deny_root()), Some(Error::MFILE));
    assert_eq!(build(ProcessBuilder::new().env("A", "x=y")), None);
}

#[test]
fn preopens_are_listed_from_3_and_end_with_badf() {
    both(|guest| {
        for (fd, name) in [(ROOT, "/"), (READ_ONLY, "/ro")] {
            call!(guest, fd_prestat_get, fd, RESULT).unwrap();
            assert_eq!((guest.u32(RESULT), guest.u32(RESULT + 4)), (0, name.len() as u32));
            assert_eq!(
                call!(guest, fd_prestat_dir_name, fd, TEXT, name.len() as i32 - 1),
                Err(Error::NAMETOOLONG)
            );
            guest.put(TEXT, b"????");
            call!(guest, fd_prestat_dir_name, fd, TEXT, 4).unwrap();
            assert!(
                guest.bytes(TEXT, 4).starts_with(name.as_bytes()) && guest.bytes(TEXT, 4).ends_with(b"?")
            );
        }
        assert_eq!(call!(guest, fd_prestat_get, 5, RESULT), Err(Error::BADF));
        assert_eq!(call!(guest, fd_prestat_get, 0, RESULT), Err(Error::BADF));
        // A directory that was opened is no preopen.
        let dir = guest.open(".", DIRECTORY, 0).unwrap();
        assert_eq!(call!(guest, fd_prestat_get, dir, RESULT), Err(Error::BADF));
    });
}

#[test]
fn clocks_know_their_numbers() {
    both(|guest| {
        guest.host.realtime = 42;
        call!(guest, clock_time_get, 0, 0, RESULT).unwrap();
        assert_eq!(guest.u64(RESULT), 42);
        call!(guest, clock_res_get, 1, RESULT).unwrap();
        assert_eq!(guest.u64(RESULT), 1);
        for id in [4, -1, i32::MAX, 65_536] {
            assert_eq!(call!(guest, clock_time_get, id, 0, RESULT), Err(Error::INVAL));
            assert_eq!(call!(guest, clock_res_get, id, RESULT), Err(Error::INVAL));
        }
        assert_eq!(call!(guest, clock_time_get, 0, 0, SIZE as i32 - 7), Err(Error::FAULT));
    });
}

#[test]
fn random_bytes_come_in_pieces_and_not_without_end() {
    both(|guest| {
        call!(guest, random_get, DATA, 10_000).unwrap();
        assert!(guest.bytes(DATA, 10_000).iter().all(|&byte| byte == 0x5A));
        assert_eq!(guest.bytes(DATA + 10_000, 1), [0]);
        assert!(guest.host.random_calls > 5);
        call!(guest, random_get, SIZE as i32, 0).unwrap();
        let before = guest.host.random_calls;
        assert_eq!(call!(guest, random_get, DATA, SIZE as i32), Err(Error::FAULT));
        assert_eq!(call!(guest, random_get, -1, -1), Err(Error::FAULT));
        assert_eq!(guest.host.random_calls, before);
    });
}

#[test]
fn the_process_itself() {
    both(|guest| {
        call!(guest, sched_yield).unwrap();
        assert_eq!(guest.host.yields, 1);
        assert_eq!(call!(guest, proc_raise, 6), Err(Error::NOTSUP));
    });
}
