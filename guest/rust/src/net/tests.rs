//! Goal: messages go over a real socket whole and in order, whatever is cut, dropped or closed in between.
//! Method: the two ends of a pair of Unix sockets, on the executor of this crate.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::connection::Connection;
use super::socket::Socket;
use super::{Framing, MESSAGE_BYTES_MAX, Malformed};
use crate::task::timeout;
use crate::{ErrorKind, Wait, block_on, spawn};

fn connection(stream: UnixStream, framing: Framing) -> Connection {
    stream.set_nonblocking(true).unwrap();
    Connection::new("service://test", Socket::new(TcpStream::from(OwnedFd::from(stream))), framing)
}

/// A connection and the raw other end.
fn half(framing: Framing) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (connection(ours, framing), theirs)
}

fn pair(framing: Framing) -> (Connection, Connection) {
    let (ours, theirs) = half(framing);
    (ours, connection(theirs, framing))
}

/// More than the buffers of the system hold.
const MUCH: usize = 3 << 20;

#[test]
fn each_protocol_looks_as_it_should_on_the_wire() {
    for (framing, wire) in [
        (Framing::Lines, &b"uno\ndos\n"[..]),
        (Framing::Frames, b"\x03uno\x03dos"),
        (Framing::Stream, b"unodos"),
    ] {
        let (conn, mut raw) = half(framing);
        conn.send("uno").wait().unwrap();
        conn.send("dos").wait().unwrap();
        drop(conn);
        let mut sent = Vec::new();
        raw.read_to_end(&mut sent).unwrap();
        assert_eq!(sent, wire);
    }
}

#[test]
fn messages_come_out_one_by_one_then_the_end() {
    let (conn, mut raw) = half(Framing::Lines);
    raw.write_all(b"uno\n\ndos\ntres").unwrap();
    drop(raw);
    let mut lines = Vec::new();
    while let Some(line) = conn.recv_text().wait().unwrap() {
        lines.push(line);
    }
    assert_eq!(lines, ["uno", "", "dos", "tres"]);
    assert_eq!(conn.recv().wait().unwrap(), None);
}

#[test]
fn a_large_message_waits_for_its_reader() {
    let (a, b) = pair(Framing::Frames);
    let message: Vec<u8> = (0..MUCH).map(|index| index as u8).collect();
    let expected = message.clone();
    block_on(async {
        let sender = spawn(async move { a.send(message).await.unwrap() });
        assert!(b.recv().await.unwrap() == Some(expected));
        sender.await;
        assert_eq!(b.recv().await.unwrap(), None);
    });
}

#[test]
fn what_is_dropped_halfway_goes_out_whole_and_in_order() {
    let (a, b) = pair(Framing::Frames);
    block_on(async {
        let sending = timeout(Duration::from_millis(1), a.send(vec![7; MUCH])).await;
        assert!(sending.is_none(), "it must not have fitted");
        // Nor is a reader that is dropped a loss.
        let receiving = timeout(Duration::from_millis(1), b.recv()).await;
        assert!(receiving.is_none(), "it cannot have arrived");
        let next = spawn(async move { a.send("next").await.unwrap() });
        assert!(b.recv().await.unwrap() == Some(vec![7; MUCH]));
        assert_eq!(b.recv_text().await.unwrap().as_deref(), Some("next"));
        next.await;
    });
}

#[test]
fn two_receivers_share_what_arrives_at_once() {
    let (conn, mut raw) = half(Framing::Lines);
    let conn = std::rc::Rc::new(conn);
    block_on(async {
        let receivers =
            [conn.clone(), conn].map(|conn| spawn(async move { conn.recv_text().await.unwrap() }));
        spawn(async move { raw.write_all(b"uno\ndos\n").unwrap() }).await;
        let mut got = Vec::new();
        for receiver in receivers {
            got.extend(receiver.await);
        }
        got.sort();
        assert_eq!(got, ["dos", "uno"]);
    });
}

#[test]
fn what_is_no_message_is_not_sent_and_harms_nothing() {
    let (conn, mut raw) = half(Framing::Lines);
    let kind = |message: &[u8]| conn.send(message).wait().unwrap_err().kind();
    assert_eq!(kind(b"a\nb"), ErrorKind::Malformed(Malformed::LineBreak));
    assert_eq!(kind(b"\xff"), ErrorKind::Malformed(Malformed::NotUtf8));
    assert_eq!(kind(&vec![b'a'; MESSAGE_BYTES_MAX + 1]), ErrorKind::MessageTooLong);
    conn.send("good").wait().unwrap();
    drop(conn);
    let mut sent = String::new();
    raw.read_to_string(&mut sent).unwrap();
    assert_eq!(sent, "good\n");
}

#[test]
fn what_arrives_and_is_no_message_fails_for_good() {
    let bad: [(Framing, &[u8], ErrorKind); 4] = [
        (Framing::Lines, b"\xff\ngood\n", ErrorKind::Malformed(Malformed::NotUtf8)),
        (Framing::Frames, b"\x80\x00", ErrorKind::Malformed(Malformed::Overlong)),
        (Framing::Frames, b"\xff\xff\xff\x7f", ErrorKind::MessageTooLong),
        (Framing::Frames, b"\x05cut", ErrorKind::Malformed(Malformed::CutShort)),
    ];
    for (framing, bytes, expected) in bad {
        let (conn, mut raw) = half(framing);
        raw.write_all(bytes).unwrap();
        drop(raw);
        for _ in 0..2 {
            assert_eq!(conn.recv().wait().unwrap_err().kind(), expected);
        }
    }
}

#[test]
fn one_direction_can_end_before_the_other() {
    let (a, b) = pair(Framing::Lines);
    a.send("question").wait().unwrap();
    a.finish().wait().unwrap();
    assert_eq!(a.send("more").wait().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(b.recv_text().wait().unwrap().as_deref(), Some("question"));
    assert_eq!(b.recv().wait().unwrap(), None);
    b.send("answer").wait().unwrap();
    drop(b);
    assert_eq!(a.recv_text().wait().unwrap().as_deref(), Some("answer"));
    assert_eq!(a.recv().wait().unwrap(), None);
}

#[test]
fn text_that_is_none_is_said_once_and_the_next_frame_is_there() {
    let (conn, mut raw) = half(Framing::Frames);
    raw.write_all(b"\x01\xff\x02ok").unwrap();
    assert_eq!(conn.recv_text().wait().unwrap_err().kind(), ErrorKind::Malformed(Malformed::NotUtf8));
    assert_eq!(conn.recv_text().wait().unwrap().as_deref(), Some("ok"));
}

/// Linux says so when what was sent is never read; elsewhere it is the end.
#[cfg(target_os = "linux")]
#[test]
fn a_dead_peer_is_remembered() {
    let (conn, raw) = half(Framing::Lines);
    conn.send("never read").wait().unwrap();
    drop(raw);
    assert_eq!(conn.recv().wait().unwrap_err().kind(), ErrorKind::Reset);
    assert_eq!(conn.recv().wait().unwrap_err().kind(), ErrorKind::Reset);
    assert_eq!(conn.send("more").wait().unwrap_err().kind(), ErrorKind::Reset);
}
