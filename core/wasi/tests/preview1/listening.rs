//! Listening descriptors.

use qyv_wasi::{Error, Interest, Limits, Listener, ProcessBuilder, Source};

use crate::call;
use crate::polling::{On, events, poll};
use crate::support::*;

/// The environment as one text.
fn environment(builder: ProcessBuilder) -> Vec<String> {
    let guest = &mut Guest::new(true);
    guest.process = builder.build().unwrap();
    call!(guest, environ_sizes_get, 0, 4).unwrap();
    let size = guest.u32(4) as usize;
    call!(guest, environ_get, RESULT, DATA).unwrap();
    let text = String::from_utf8(guest.bytes(DATA, size).to_vec()).unwrap();
    text.split_terminator('\0').map(Into::into).collect()
}

#[test]
fn descriptors_follow_the_preopens_and_are_told() {
    let builder =
        || ProcessBuilder::new().env("A", "b").env("QYV_LISTEN_FDS", "9").env("QYV_LISTEN_NAMES", "x");
    let listening = || builder().deny_root().listener("web", Listener(3)).listener("admin", Listener(1));
    assert_eq!(environment(listening()), ["A=b", "QYV_LISTEN_FDS=4,5", "QYV_LISTEN_NAMES=web,admin"]);
    assert_eq!(
        environment(listening().services(true)),
        ["A=b", "QYV_LISTEN_FDS=5,6", "QYV_LISTEN_NAMES=web,admin"]
    );
    // An app cannot be told of descriptors that are not there.
    assert_eq!(environment(builder()), ["A=b"]);
    let parts = listening().build().unwrap().into_parts();
    let env = [("A", "b"), ("QYV_LISTEN_NAMES", "web,admin")];
    assert_eq!(parts.env, env.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(parts.listeners, [("web".into(), Listener(3)), ("admin".into(), Listener(1))]);
    assert!(!parts.services);
}

#[test]
fn names_that_a_list_cannot_hold_are_refused() {
    for name in ["", "a,b", "a\0b"] {
        let builder = ProcessBuilder::new().listener(name, Listener(0));
        assert_eq!(builder.build().err(), Some(Error::INVAL), "{name:?}");
    }
    let few = Limits::with_fds(4);
    let builder = || ProcessBuilder::new().limits(few).listener("a", Listener(0));
    builder().build().unwrap();
    assert_eq!(builder().services(true).build().err(), Some(Error::MFILE));
    assert_eq!(builder().listener("b", Listener(1)).build().err(), Some(Error::MFILE));
}

#[test]
fn accepting_waits_for_a_connection() {
    both_networked(|guest| {
        let Guest { process, memory, host, .. } = &mut *guest;
        let outcome = process.sock_accept(memory, host, LISTENER, 0, RESULT);
        assert_eq!(guest.wait(outcome).sources(), [(Source::Listener(WEB), Interest::Read)]);
        guest.host.network.backlog.insert(WEB, 2);
        call!(guest, sock_accept, LISTENER, 0, RESULT).unwrap();
        let fd = guest.u32(RESULT) as i32;
        assert_eq!(fd, LISTENER + 1);
        let (kind, flags, base, inheriting) = guest.fdstat(fd).unwrap();
        assert_eq!((kind, flags, base & BOTH, inheriting), (6, 0, BOTH, 0));
        assert_eq!(guest.write(fd, &[b"hello"]), Ok(5));
        assert_eq!(guest.peer(0).sent, b"hello");
        call!(guest, sock_shutdown, fd, 2).unwrap();
        // The flags are those of the new one.
        call!(guest, sock_accept, LISTENER, NONBLOCK | APPEND, RESULT).unwrap();
        let fd = guest.u32(RESULT) as i32;
        assert_eq!(guest.fdstat(fd).unwrap().1, NONBLOCK as u16);
        assert_eq!(guest.read(fd, &[1]), Err(Error::AGAIN));
        assert_eq!(guest.fdstat(LISTENER).unwrap().1, 0);
    });
}

#[test]
fn a_non_blocking_listener_does_not_wait() {
    both_networked(|guest| {
        call!(guest, fd_fdstat_set_flags, LISTENER, NONBLOCK | APPEND).unwrap();
        assert_eq!(guest.fdstat(LISTENER).unwrap().1, NONBLOCK as u16);
        assert_eq!(call!(guest, sock_accept, LISTENER, 0, RESULT), Err(Error::AGAIN));
        guest.host.network.backlog.insert(WEB, 1);
        call!(guest, sock_accept, LISTENER, 0, RESULT).unwrap();
        let fd = guest.u32(RESULT) as i32;
        assert_eq!(guest.fdstat(fd).unwrap().1, 0, "not what the listener has");
    });
}

#[test]
fn a_listener_is_nothing_else() {
    both_networked(|guest| {
        assert_eq!(guest.fdstat(LISTENER).unwrap().0, 6);
        guest.stat(LISTENER).unwrap();
        assert_eq!(guest.bytes(RESULT + 16, 1), [6]);
        assert_eq!(guest.read(LISTENER, &[1]), Err(Error::BADF));
        assert_eq!(guest.write(LISTENER, &[b"x"]), Err(Error::BADF));
        assert_eq!(guest.seek(LISTENER, 0, 0), Err(Error::SPIPE));
        assert_eq!(guest.open_with(LISTENER, "x", 0, 0, 0), Err(Error::NOTDIR));
        guest.host.network.backlog.insert(WEB, 1);
        for flags in [32, -1, 65_536] {
            assert_eq!(call!(guest, sock_accept, LISTENER, flags, RESULT), Err(Error::INVAL));
        }
        assert_eq!(call!(guest, sock_accept, LISTENER, 0, SIZE as i32 - 3), Err(Error::FAULT));
        call!(guest, fd_fdstat_set_rights, LISTENER, 0, 0).unwrap();
        assert_eq!(call!(guest, sock_accept, LISTENER, 0, RESULT), Err(Error::NOTCAPABLE));
        assert!(guest.process.denials().is_empty());
        assert_eq!(guest.host.network.backlog[&WEB], 1, "accepted all the same");
        guest.close(LISTENER).unwrap();
        assert_eq!(guest.host.network.closed_listeners, [WEB]);
    });
}

#[test]
fn what_a_listener_may_not_pass_on_nobody_gets() {
    both_networked(|guest| {
        let (_, _, base, inheriting) = guest.fdstat(LISTENER).unwrap();
        call!(guest, fd_fdstat_set_rights, LISTENER, base, inheriting & !FD_WRITE).unwrap();
        guest.host.network.backlog.insert(WEB, 1);
        call!(guest, sock_accept, LISTENER, 0, RESULT).unwrap();
        let fd = guest.u32(RESULT) as i32;
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::BADF));
    });
}

#[test]
fn nobody_is_accepted_who_cannot_be_held() {
    let guest = &mut Guest::networked(true);
    guest.host.network.backlog.insert(WEB, 1);
    while guest.open(".", 0, 0).is_ok() {}
    assert_eq!(call!(guest, sock_accept, LISTENER, 0, RESULT), Err(Error::MFILE));
    assert_eq!(guest.host.network.backlog[&WEB], 1);
}

#[test]
fn poll_reports_a_connection_to_accept() {
    both_networked(|guest| {
        let on = [On::Read(LISTENER)];
        let outcome = poll(guest, &on);
        assert_eq!(guest.wait(outcome).sources(), [(Source::Listener(WEB), Interest::Read)]);
        guest.host.network.backlog.insert(WEB, 2);
        assert_eq!(events(guest, &on), [(0, 0, 1, 2, 0)]);
        assert_eq!(events(guest, &[On::Write(LISTENER)]), [(0, Error::BADF as u16, 2, 0, 0)]);
    });
}

#[test]
fn a_server_without_a_listener_is_told_so() {
    both_networked(|guest| {
        for (fd, error) in [(0, Error::NOTSOCK), (SVC, Error::NOTSOCK), (60, Error::BADF)] {
            assert_eq!(call!(guest, sock_accept, fd, 0, RESULT), Err(error));
        }
        assert_eq!(guest.process.denials().len(), 3);
    });
}
