//! Connections: receiving, sending, ending, waiting, closing.

use qyv_wasi::{Direction, Error, Interest, Outcome, Socket, Source};

use crate::call;
use crate::polling::{On, events, poll};
use crate::support::*;

const PEEK: i32 = 1;
const WAITALL: i32 = 2;
const FLAGS: i32 = RESULT + 8;

fn try_recv(guest: &mut Guest, fd: i32, buffers: &[usize], flags: i32) -> Outcome {
    let count = guest.vector(buffers);
    guest.put(FLAGS, &[0xEE; 3]);
    let Guest { process, memory, host, .. } = guest;
    process.sock_recv(memory, host, fd, RESULT + 64, count, flags, RESULT, FLAGS)
}

/// How many bytes were received; they lie from [`DATA`] on, with gaps of 3 between the buffers.
fn recv(guest: &mut Guest, fd: i32, buffers: &[usize], flags: i32) -> Result<u32, Error> {
    done(try_recv(guest, fd, buffers, flags))?;
    assert_eq!(guest.bytes(FLAGS, 3), [0, 0, 0xEE], "16 bits, none set");
    Ok(guest.u32(RESULT))
}

fn try_send(guest: &mut Guest, fd: i32, bytes: &[u8], flags: i32) -> Outcome {
    guest.put(DATA, bytes);
    let count = guest.vector(&[bytes.len()]);
    let Guest { process, memory, host, .. } = guest;
    process.sock_send(memory, host, fd, RESULT + 64, count, flags, RESULT)
}

fn send(guest: &mut Guest, fd: i32, bytes: &[u8], flags: i32) -> Result<u32, Error> {
    done(try_send(guest, fd, bytes, flags))?;
    Ok(guest.u32(RESULT))
}

const SOURCE: Source = Source::Socket(Socket(0));

#[test]
fn bytes_go_both_ways() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        assert_eq!(guest.write(fd, &[b"one", b"", b"two"]), Ok(6));
        assert_eq!(send(guest, fd, b"three", 0), Ok(5));
        assert_eq!(guest.peer(0).sent, b"onetwothree");
        guest.peer(0).incoming.extend(b"abcdefgh");
        assert_eq!(guest.read(fd, &[2, 0, 3]).unwrap(), b"abcde");
        assert_eq!(recv(guest, fd, &[1, 9], 0), Ok(3));
        assert_eq!((guest.bytes(DATA, 1), guest.bytes(DATA + 4, 2)), (&b"f"[..], &b"gh"[..]));
        guest.peer(0).ended = true;
        assert_eq!(guest.read(fd, &[5]).unwrap(), b"");
        assert_eq!(recv(guest, fd, &[5], 0), Ok(0));
    });
}

#[test]
fn more_than_a_scratch_buffer_goes_through() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        let bytes: Vec<u8> = (0..40_000u32).map(|number| (number % 251) as u8).collect();
        assert_eq!(guest.write(fd, &[&bytes]), Ok(40_000));
        assert_eq!(guest.peer(0).sent, bytes);
        guest.peer(0).incoming.extend(&bytes);
        assert_eq!(guest.read(fd, &[20_000, 19_000, 1000]).unwrap(), bytes);
    });
}

#[test]
fn receiving_waits_until_there_is_something() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        for outcome in
            [guest.try_read(fd, &[4]), try_recv(guest, fd, &[4], 0), try_recv(guest, fd, &[4], PEEK)]
        {
            let wait = guest.process.wait(match outcome {
                Outcome::Wait(token) => token,
                Outcome::Done(errno) => panic!("did not wait: {errno}"),
            });
            assert!(wait.sources().is_empty() || wait.sources() == [(SOURCE, Interest::Read)]);
        }
        let outcome = guest.try_read(fd, &[4]);
        assert_eq!(guest.wait(outcome).sources(), [(SOURCE, Interest::Read)]);
        guest.peer(0).incoming.extend(b"ab");
        assert_eq!(guest.read(fd, &[4]).unwrap(), b"ab");
    });
}

#[test]
fn sending_waits_only_when_nothing_was_taken() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).room = 4;
        assert_eq!(guest.write(fd, &[b"abc", b"", b"def"]), Ok(4));
        let outcome = guest.try_write(fd, &[b"ef"]);
        assert_eq!(guest.wait(outcome).sources(), [(SOURCE, Interest::Write)]);
        let outcome = try_send(guest, fd, b"ef", 0);
        assert_eq!(guest.wait(outcome).sources(), [(SOURCE, Interest::Write)]);
        guest.peer(0).room = 1;
        assert_eq!(send(guest, fd, b"ef", 0), Ok(1));
        assert_eq!(guest.peer(0).sent, b"abcde");
    });
}

#[test]
fn non_blocking_is_again() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).room = 0;
        call!(guest, fd_fdstat_set_flags, fd, NONBLOCK | APPEND | 16).unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().1, NONBLOCK as u16, "the others mean nothing here");
        assert_eq!(guest.read(fd, &[4]), Err(Error::AGAIN));
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::AGAIN));
        assert_eq!(recv(guest, fd, &[4], WAITALL), Err(Error::AGAIN));
        assert_eq!(send(guest, fd, b"x", 0), Err(Error::AGAIN));
        guest.peer(0).incoming.extend(b"ab");
        assert_eq!(recv(guest, fd, &[4], WAITALL), Ok(2));
        call!(guest, fd_fdstat_set_flags, fd, 0).unwrap();
        let outcome = guest.try_read(fd, &[4]);
        assert_eq!(guest.wait(outcome).sources().len(), 1);
        let fd = guest.open_with(SVC, "logger", 0, BOTH, NONBLOCK | APPEND).unwrap();
        assert_eq!(guest.fdstat(fd).unwrap().1, NONBLOCK as u16);
    });
}

#[test]
fn nothing_is_asked_for_no_bytes() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).failure = Some(Error::CONNRESET);
        assert_eq!(guest.read(fd, &[]).unwrap(), b"");
        assert_eq!(guest.read(fd, &[0, 0]).unwrap(), b"");
        assert_eq!(guest.write(fd, &[b"", b""]), Ok(0));
        for flags in [0, PEEK, WAITALL, PEEK | WAITALL] {
            assert_eq!(recv(guest, fd, &[0], flags), Ok(0));
        }
        assert_eq!(send(guest, fd, b"", 0), Ok(0));
        assert_eq!(guest.peer(0).receives, 0);
    });
}

#[test]
fn peeking_leaves_the_bytes() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).incoming.extend(b"abcdef");
        for flags in [PEEK, PEEK, PEEK | WAITALL] {
            assert_eq!(recv(guest, fd, &[0, 2, 4], flags), Ok(2), "the same bytes are not given twice");
            assert_eq!(guest.bytes(DATA + 3, 2), b"ab");
        }
        assert_eq!(guest.read(fd, &[9]).unwrap(), b"abcdef");
    });
}

#[test]
fn waitall_fills_its_buffers_across_waits() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        let all = [3, 0, 4, 2];
        for piece in [&b""[..], b"ab", b"cd", b"", b"efg", b"h"] {
            guest.peer(0).incoming.extend(piece);
            let outcome = try_recv(guest, fd, &all, WAITALL);
            assert_eq!(guest.wait(outcome).sources(), [(SOURCE, Interest::Read)]);
        }
        guest.peer(0).incoming.extend(b"ijk");
        assert_eq!(recv(guest, fd, &all, WAITALL), Ok(9));
        let got = [guest.bytes(DATA, 3), guest.bytes(DATA + 9, 4), guest.bytes(DATA + 16, 2)].concat();
        assert_eq!(got, b"abcdefghi");
        assert_eq!(guest.read(fd, &[9]).unwrap(), b"jk");
    });
}

#[test]
fn waitall_gives_what_came_before_the_end() {
    both_networked(|guest| {
        for (number, failure) in [(0, None), (1, Some(Error::CONNRESET))] {
            let fd = guest.dial("logger").unwrap();
            guest.peer(number).incoming.extend(b"ab");
            let outcome = try_recv(guest, fd, &[4], WAITALL);
            assert_eq!(guest.wait(outcome).sources().len(), 1);
            (guest.peer(number).ended, guest.peer(number).failure) = (true, failure);
            assert_eq!(recv(guest, fd, &[4], WAITALL), Ok(2));
            assert_eq!(guest.bytes(DATA, 2), b"ab");
            assert_eq!(recv(guest, fd, &[4], WAITALL), failure.map_or(Ok(0), Err));
        }
    });
}

#[test]
fn a_waitall_that_was_given_up_starts_anew() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).incoming.extend(b"ab");
        let _waits = try_recv(guest, fd, &[4], WAITALL);
        guest.stat(fd).unwrap();
        guest.peer(0).incoming.extend(b"cdef");
        assert_eq!(recv(guest, fd, &[4], WAITALL), Ok(4));
        assert_eq!(guest.bytes(DATA, 4), b"cdef");
    });
}

#[test]
fn failures_keep_their_names() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        for error in [Error::CONNRESET, Error::CONNABORTED] {
            guest.peer(0).failure = Some(error);
            assert_eq!(guest.read(fd, &[1]), Err(error));
            assert_eq!(guest.write(fd, &[b"x"]), Err(error));
            assert_eq!(recv(guest, fd, &[1], 0), Err(error));
            assert_eq!(send(guest, fd, b"x", 0), Err(error));
        }
    });
}

#[test]
fn shutting_down_ends_a_way() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        for how in [0, 4, 7, -1, 65_537] {
            assert_eq!(call!(guest, sock_shutdown, fd, how), Err(Error::INVAL));
        }
        call!(guest, sock_shutdown, fd, 2).unwrap();
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::PIPE));
        guest.peer(0).incoming.extend(b"ab");
        assert_eq!(guest.read(fd, &[4]).unwrap(), b"ab");
        call!(guest, sock_shutdown, fd, 1).unwrap();
        assert_eq!(guest.read(fd, &[4]).unwrap(), b"");
        call!(guest, sock_shutdown, fd, 3).unwrap();
        assert_eq!(guest.peer(0).shut, [Direction::Send, Direction::Receive, Direction::Both]);
    });
}

#[test]
fn a_connection_is_no_file() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        for whence in 0..3 {
            assert_eq!(guest.seek(fd, 0, whence), Err(Error::SPIPE));
        }
        assert_eq!(call!(guest, fd_tell, fd, RESULT), Err(Error::SPIPE));
        let count = guest.vector(&[4]);
        assert_eq!(call!(guest, fd_pread, fd, RESULT + 64, count, 0, RESULT), Err(Error::SPIPE));
        assert_eq!(call!(guest, fd_pwrite, fd, RESULT + 64, count, 0, RESULT), Err(Error::SPIPE));
        for result in [
            call!(guest, fd_sync, fd),
            call!(guest, fd_datasync, fd),
            call!(guest, fd_allocate, fd, 0, 1),
            call!(guest, fd_advise, fd, 0, 0, 0),
            call!(guest, fd_filestat_set_size, fd, 0),
            call!(guest, fd_filestat_set_times, fd, 0, 0, 0),
            call!(guest, fd_readdir, fd, DATA, 10, 0, RESULT),
            call!(guest, fd_prestat_get, fd, RESULT),
            call!(guest, sock_accept, fd, 0, RESULT),
        ] {
            assert_eq!(result, Err(Error::BADF));
        }
        assert_eq!(guest.open_with(fd, "x", 0, 0, 0), Err(Error::NOTDIR));
        assert!(guest.process.denials().is_empty());
    });
}

#[test]
fn rights_bind_the_socket_calls_too() {
    both_networked(|guest| {
        let receives = guest.open_with(SVC, "logger", 0, FD_READ, 0).unwrap();
        assert_eq!(send(guest, receives, b"x", 0), Err(Error::BADF));
        let sends = guest.open_with(SVC, "logger", 0, FD_WRITE, 0).unwrap();
        assert_eq!(recv(guest, sends, &[1], 0), Err(Error::BADF));
        let fd = guest.dial("logger").unwrap();
        call!(guest, fd_fdstat_set_rights, fd, 0, 0).unwrap();
        assert_eq!(recv(guest, fd, &[1], 0), Err(Error::NOTCAPABLE));
        assert_eq!(send(guest, fd, b"x", 0), Err(Error::NOTCAPABLE));
        assert_eq!(call!(guest, sock_shutdown, fd, 1), Err(Error::NOTCAPABLE));
    });
}

#[test]
fn hostile_arguments_have_no_effect() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).incoming.extend(b"abc");
        let end = SIZE as i32;
        let count = guest.vector(&[1]);
        let iovs = RESULT + 64;
        for (iovs, count, flags, length, out_flags, error) in [
            (iovs, count, 4, RESULT, FLAGS, Error::INVAL),
            (iovs, count, -1, RESULT, FLAGS, Error::INVAL),
            (iovs, count, 65_536, RESULT, FLAGS, Error::INVAL),
            (iovs, 1025, WAITALL, RESULT, FLAGS, Error::INVAL),
            (iovs, -1, 0, RESULT, FLAGS, Error::INVAL),
            (end - 7, 1, 0, RESULT, FLAGS, Error::FAULT),
            (iovs, count, PEEK, end - 3, FLAGS, Error::FAULT),
            (iovs, count, WAITALL, RESULT, end - 1, Error::FAULT),
        ] {
            assert_eq!(call!(guest, sock_recv, fd, iovs, count, flags, length, out_flags), Err(error));
        }
        for (iovs, count, flags, length, error) in [
            (iovs, count, 1, RESULT, Error::INVAL),
            (iovs, count, -1, RESULT, Error::INVAL),
            (iovs, 1025, 0, RESULT, Error::INVAL),
            (iovs, count, 0, end - 3, Error::FAULT),
            (-8, 1, 0, RESULT, Error::FAULT),
        ] {
            assert_eq!(call!(guest, sock_send, fd, iovs, count, flags, length), Err(error));
        }
        assert_eq!((guest.peer(0).receives, guest.peer(0).sent.len()), (0, 0));
    });
}

#[test]
fn every_call_knows_what_it_is_for() {
    both_networked(|guest| {
        let file = guest.open("file", CREAT, BOTH).unwrap();
        let info = guest.open_with(SVC, "logger/.info", 0, FD_READ, 0).unwrap();
        for (fd, error) in [
            (0, Error::NOTSOCK),
            (ROOT, Error::NOTSOCK),
            (SVC, Error::NOTSOCK),
            (file, Error::NOTSOCK),
            (info, Error::NOTSOCK),
            (LISTENER, Error::BADF),
            (60, Error::BADF),
            (-1, Error::BADF),
        ] {
            assert_eq!(recv(guest, fd, &[1], 0), Err(error), "{fd}");
            assert_eq!(send(guest, fd, b"x", 0), Err(error), "{fd}");
            assert_eq!(call!(guest, sock_shutdown, fd, 1), Err(error), "{fd}");
        }
    });
}

#[test]
fn poll_reports_readiness_and_hang_up() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.peer(0).room = 0;
        let on = [On::Read(fd), On::Write(fd), On::Write(fd), On::Read(0), On::Clock(1, 10, 0)];
        let outcome = poll(guest, &on);
        let wait = guest.wait(outcome);
        assert_eq!(wait.sources().len(), 3, "each once: {:?}", wait.sources());
        assert!(wait.sources().contains(&(SOURCE, Interest::Read)));
        assert!(wait.sources().contains(&(SOURCE, Interest::Write)));
        assert!(wait.deadline().is_some());
        guest.peer(0).incoming.extend(b"abc");
        assert_eq!(events(guest, &on), [(0, 0, 1, 3, 0)]);
        guest.peer(0).room = 9;
        assert_eq!(events(guest, &on), [(0, 0, 1, 3, 0), (1, 0, 2, 9, 0), (2, 0, 2, 9, 0)]);
        guest.peer(0).ended = true;
        assert_eq!(events(guest, &on[..1]), [(0, 0, 1, 3, 1)]);
        guest.peer(0).failure = Some(Error::CONNRESET);
        assert_eq!(events(guest, &on[..2]), [(0, 0, 1, 0, 1), (1, 0, 2, 0, 1)]);
    });
}

#[test]
fn poll_sees_when_a_dial_is_decided() {
    both_networked(|guest| {
        guest.host.network.services.get_mut("logger").unwrap().slow = true;
        let fd = guest.open_with(SVC, "logger", 0, BOTH, NONBLOCK).unwrap();
        let outcome = poll(guest, &[On::Write(fd)]);
        assert_eq!(guest.wait(outcome).sources(), [(SOURCE, Interest::Write)]);
        guest.peer(0).failure = Some(Error::CONNREFUSED);
        assert_eq!(events(guest, &[On::Write(fd)]), [(0, 0, 2, 0, 1)]);
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::CONNREFUSED));
    });
}

#[test]
fn poll_of_the_wrong_way_is_an_event() {
    both_networked(|guest| {
        let receives = guest.open_with(SVC, "logger", 0, FD_READ, 0).unwrap();
        let info = guest.open_with(SVC, "logger/.info", 0, FD_READ, 0).unwrap();
        let on = [On::Write(receives), On::Read(SVC), On::Write(info), On::Read(info)];
        let bad = Error::BADF as u16;
        assert_eq!(
            events(guest, &on),
            [(0, bad, 2, 0, 0), (1, bad, 1, 0, 0), (2, bad, 2, 0, 0), (3, 0, 1, 17, 0)]
        );
    });
}

#[test]
fn what_leaves_the_table_is_closed_at_the_host() {
    both_networked(|guest| {
        let [a, b, c] = [0; 3].map(|_| guest.dial("logger").unwrap());
        guest.close(a).unwrap();
        assert!(guest.host.network.connections[0].closed);
        assert_eq!(guest.close(a), Err(Error::BADF));
        call!(guest, fd_renumber, b, c).unwrap();
        assert!(guest.host.network.connections[2].closed);
        assert_eq!(guest.write(c, &[b"x"]), Ok(1));
        assert_eq!(guest.peer(1).sent, b"x");
        // Over a stream, and over itself.
        call!(guest, fd_renumber, c, 1).unwrap();
        call!(guest, fd_renumber, 1, 1).unwrap();
        assert_eq!(guest.write(1, &[b"y"]), Ok(1));
        assert_eq!(guest.peer(1).sent, b"xy");
        assert_eq!(guest.host.network.held(), 1);
    });
}

#[test]
fn the_end_of_a_process_closes_everything() {
    both_networked(|guest| {
        let fd = guest.dial("logger").unwrap();
        guest.dial("logger").unwrap();
        let before = guest.budget.used();
        guest.process.close_all(&mut guest.host);
        assert_eq!(guest.host.network.held(), 0);
        assert_eq!(guest.host.network.closed_listeners, [WEB]);
        assert!(guest.budget.used() < before);
        assert_eq!(guest.read(fd, &[1]), Err(Error::BADF));
        assert_eq!(guest.write(1, &[b"x"]), Err(Error::BADF));
    });
}
