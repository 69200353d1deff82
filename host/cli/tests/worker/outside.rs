//! Apps that reach out of their worker.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use qyv_spec::manifest::Kind;
use qyvol_protocol::worker::{Start, ToWorker};

use crate::bench::{Bench, manifest};
use crate::dialler::dialler;
use crate::sandbox::wait_until;

/// WASI errno numbers.
const ACCES: u8 = 2;
const CONNABORTED: u8 = 13;
const CONNREFUSED: u8 = 14;

fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// An app that dials `target` and was granted `grants`.
fn app(bench: &Bench, name: &str, target: &str, grants: &[String]) -> Start {
    let permissions = format!("permissions: {{ net: {{ connect: {grants:?} }} }}\n");
    bench.app(&manifest(name, Kind::Command, &permissions), &dialler(target, 4))
}

/// Takes what the dialler says, and answers when it is to.
fn take(listener: &TcpListener, answer: bool) -> TcpStream {
    let (mut peer, _) = listener.accept().unwrap();
    let mut said = [0; 6];
    peer.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello\n");
    if answer {
        peer.write_all(b"world\n").unwrap();
    }
    peer
}

#[test]
fn an_app_connects_to_what_it_was_granted_by_number_or_a_name_that_stands_for_it() {
    let bench = Bench::new();
    let (listener, port) = server();
    let (number, name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    let by_number = app(&bench, "by-number", &number, &[format!("tcp://{number}")]);
    // Behind its walls a worker still reads what the host's resolver reads.
    let by_name = app(&bench, "by-name", &name, &[format!("tcp://{name}"), format!("tcp://{number}")]);
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    for start in [by_number, by_name] {
        daemon.start(&start, &[]);
        let _peer = take(&listener, true);
        let end = daemon.end_of(&start);
        assert_eq!(end.code, 0, "{:?}", end.denials);
        wait_until("the answer is printed", || bench.log(&start).contains("world"));
    }
}

#[test]
fn what_was_not_granted_is_refused_and_told() {
    let bench = Bench::new();
    let (listener, port) = server();
    let (number, name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    let other = ["tcp://127.0.0.1:1".to_owned(), "https://localhost".to_owned()];
    let cases = [
        (app(&bench, "other-port", &number, &other), ACCES, number.clone()),
        (app(&bench, "other-name", &name, &other), ACCES, name.clone()),
        // The name is granted, and stands for this machine.
        (app(&bench, "this-machine", &name, &[format!("tcp://{name}")]), ACCES, number.clone()),
        (app(&bench, "nobody", "127.0.0.1:1", &other), CONNREFUSED, String::new()),
    ];
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    for (start, code, missing) in cases {
        daemon.start(&start, &[]);
        let end = daemon.end_of(&start);
        assert_eq!(end.code, code, "{}", start.instance.app);
        let told = end.denials.iter().any(|line| line.contains(&format!("[\"tcp://{missing}\"]")));
        assert_eq!(told, !missing.is_empty(), "{:?}", end.denials);
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn who_is_killed_leaves_nothing_open_and_what_is_taken_back_is_cut() {
    let bench = Bench::new();
    let (listener, port) = server();
    let number = format!("127.0.0.1:{port}");
    let grants = [format!("tcp://{number}")];
    let (killed, cut) = (app(&bench, "killed", &number, &grants), app(&bench, "cut", &number, &grants));
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&killed, &[]);
    let mut peer = take(&listener, false);
    daemon.say(&ToWorker::Kill { instance: killed.instance.clone() });
    assert_eq!(daemon.end_of(&killed).cause, "killed");
    let end = peer.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));

    daemon.start(&cut, &[]);
    let mut peer = take(&listener, false);
    let app = cut.instance.app.clone();
    daemon.say(&ToWorker::Revoke { app, dial: Vec::new(), connect: Vec::new(), anywhere: false });
    assert_eq!(daemon.end_of(&cut).code, CONNABORTED);
    assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
}
