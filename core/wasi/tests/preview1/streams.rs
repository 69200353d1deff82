//! The standard streams.

use qyv_wasi::{Error, Interest, Source, Stream};

use crate::call;
use crate::support::*;

#[test]
fn reading_waits_until_there_is_something() {
    both(|guest| {
        let outcome = guest.try_read(0, &[0, 3, 3]);
        let wait = guest.wait(outcome);
        assert_eq!(
            (wait.deadline(), wait.sources()),
            (None, &[(Source::Stream(Stream::Stdin), Interest::Read)][..])
        );
        guest.host.stdin.push_back(b"abcdef".to_vec());
        // One question a call: what is there now is given now.
        assert_eq!(guest.read(0, &[0, 3, 3]).unwrap(), b"abc");
        assert_eq!(guest.host.reads, 2);
        assert_eq!(guest.read(0, &[9]).unwrap(), b"def");
        guest.host.stdin_ended = true;
        assert_eq!(guest.read(0, &[9]).unwrap(), b"");
    });
}

#[test]
fn a_non_blocking_stream_does_not_wait() {
    both(|guest| {
        call!(guest, fd_fdstat_set_flags, 0, NONBLOCK).unwrap();
        assert_eq!(guest.read(0, &[3]), Err(Error::AGAIN));
        call!(guest, fd_fdstat_set_flags, 1, NONBLOCK).unwrap();
        guest.host.stdout_room = 0;
        assert_eq!(guest.write(1, &[b"x"]), Err(Error::AGAIN));
    });
}

#[test]
fn writing_waits_only_when_nothing_was_taken() {
    both(|guest| {
        guest.host.stdout_room = 4;
        assert_eq!(guest.write(1, &[b"abc", b"", b"def"]), Ok(4));
        let outcome = guest.try_write(2, &[b"ef"]);
        let wait = guest.wait(outcome);
        assert_eq!(wait.sources(), [(Source::Stream(Stream::Stderr), Interest::Write)]);
        guest.host.stdout_room = 10;
        assert_eq!(guest.write(2, &[b"ef"]), Ok(2));
        assert_eq!(guest.host.stdout, b"abcdef");
        guest.host.stdout_closed = true;
        assert_eq!(guest.write(1, &[b"x"]), Err(Error::PIPE));
    });
}

#[test]
fn streams_have_a_direction() {
    both(|guest| {
        assert_eq!(guest.read(1, &[1]), Err(Error::BADF));
        assert_eq!(guest.write(0, &[b"x"]), Err(Error::BADF));
        guest.close(0).unwrap();
        assert_eq!(guest.read(0, &[1]), Err(Error::BADF));
        guest.create("takes-the-lowest-number", b"");
        assert_eq!(guest.open("takes-the-lowest-number", 0, FD_READ), Ok(0));
    });
}

#[test]
fn an_old_token_asks_for_nothing() {
    both(|guest| {
        let first = guest.try_read(0, &[1]);
        let _second = guest.try_read(0, &[1]);
        let wait = guest.wait(first);
        assert!(wait.sources().is_empty() && wait.deadline().is_none());
    });
}
