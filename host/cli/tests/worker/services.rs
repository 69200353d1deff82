//! Apps that talk by name, in one worker and across two.

use qyv_spec::app::Probe;
use qyv_spec::manifest::Kind;
use qyvol_protocol::worker::{FromWorker, Route, Start, ToWorker};

use crate::bench::{Bench, Daemon, manifest, prints};

/// Accepts one connection after the other and sends back what comes, in pieces of any size. Descriptor 3 is the closed
/// root, 4 the listener.
pub(crate) const SERVER: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start")
        (loop $next
            (if (call $accept (i32.const 4) (i32.const 0) (i32.const 8)) (then return))
            (block $over (loop $more
                (i32.store (i32.const 0) (i32.const 1024))
                (i32.store (i32.const 4) (i32.const 65536))
                (br_if $over (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
                (br_if $over (i32.eqz (i32.load (i32.const 12))))
                (i32.store (i32.const 4) (i32.load (i32.const 12)))
                (loop $rest
                    (br_if $over
                        (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
                    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 12))))
                    (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 12))))
                    (br_if $rest (i32.load (i32.const 4))))
                (br $more)))
            (drop (call $close (i32.load (i32.const 8))))
            (br $next))))"#;

/// Dials `echo` 200 times, says a line each time, and exits with the errno of what fails. Descriptor 3 is the closed
/// root, 4 is `/svc`.
const CLIENT: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "echo")
    (data (i32.const 80) "hello\n")
    (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
    (func (export "_start") (local $round i32)
        (loop $next
            (call $check (call $open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
                (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)))
            (i32.store (i32.const 0) (i32.const 80))
            (i32.store (i32.const 4) (i32.const 6))
            (call $check (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 100))
            (call $check (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (if (i32.ne (i32.load (i32.const 12)) (i32.const 6)) (then (call $exit (i32.const 200))))
            (if (i32.ne (i32.load (i32.const 1024)) (i32.const 0x6c6c6568)) (then (call $exit (i32.const 201))))
            (call $check (call $close (i32.load (i32.const 8))))
            (local.set $round (i32.add (local.get $round) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $round) (i32.const 200))))))"#;

pub(crate) const OFFERS: &str = "services: [{ name: echo, proto: stream }]\n";
const DIALS: &str = "permissions: { net: { connect: [\"service://echo\"] } }\n";

/// WASI errno numbers.
const CONNREFUSED: u8 = 14;
const NOENT: u8 = 44;

#[test]
fn two_apps_of_one_worker_talk() {
    let bench = Bench::new();
    let server = bench.app(&manifest("server", Kind::Service, OFFERS), SERVER);
    let client = bench.app(&manifest("client", Kind::Command, DIALS), CLIENT);
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    let mut early = client.clone();
    early.instance.generation = 7;
    daemon.start(&early, &[]);
    assert_eq!(daemon.end_of(&early).code, NOENT, "nobody has that name yet");
    daemon.start(&server, &[]);
    daemon.started(&server);
    daemon.start(&client, &[]);
    let end = daemon.end_of(&client);
    assert_eq!((end.cause.as_str(), end.code), ("exit", 0), "{}", end.message);
    daemon.say(&ToWorker::Stop { instance: server.instance.clone() });
    assert_eq!(daemon.end_of(&server).code, 0, "its listener was closed, and it returned");
    let mut late = client.clone();
    late.instance.generation = 8;
    daemon.start(&late, &[]);
    assert_eq!(daemon.end_of(&late).code, CONNREFUSED, "the name is known, and down");
}

#[test]
fn what_was_not_granted_is_refused_and_told() {
    let bench = Bench::new();
    let server = bench.app(&manifest("server", Kind::Service, OFFERS), SERVER);
    let other = "permissions: { net: { connect: [\"service://other\"] } }\n";
    let client = bench.app(&manifest("client", Kind::Command, other), CLIENT);
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&server, &[]);
    daemon.started(&server);
    daemon.start(&client, &[]);
    let end = daemon.end_of(&client);
    assert_eq!(end.code, 2, "acces");
    assert!(end.denials[0].contains("service://echo"), "{:?}", end.denials);
}

/// Waits for a connection at descriptor 5, then dials `echo` and exits with the errno of that. Descriptor 3 is the closed
/// root, 4 is `/svc`.
const DIALS_LATER: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "echo")
    (func (export "_start")
        (if (call $accept (i32.const 5) (i32.const 0) (i32.const 8)) (then unreachable))
        (call $exit (call $open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
            (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)))))"#;

#[test]
fn a_revision_has_its_own_rights_while_another_runs_beside_it() {
    let bench = Bench::new();
    let server = bench.app(&manifest("server", Kind::Service, OFFERS), SERVER);
    let app = bench.app(&manifest("client", Kind::Service, ""), DIALS_LATER);
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&server, &[]);
    daemon.started(&server);
    for (generation, before, after, code) in [(10, "other", "echo", 2), (20, "echo", "other", 0)] {
        let revision = |generation: u64, dials: &str| {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let mut start = app.clone();
            start.instance.generation = generation;
            start.listen = vec![format!("tcp://{address}")];
            start.dial = vec![format!("service://{dials}").parse().unwrap()];
            (start, socket, address)
        };
        let (old, socket, go) = revision(generation, before);
        daemon.start(&old, &[socket.into()]);
        daemon.started(&old);
        let (new, socket, go_too) = revision(generation + 1, after);
        daemon.start(&new, &[socket.into()]);
        daemon.started(&new);
        let _go = std::net::TcpStream::connect(go).unwrap();
        assert_eq!(daemon.end_of(&old).code, code, "what the new revision may do is nothing to the old one");
        let _go = std::net::TcpStream::connect(go_too).unwrap();
        assert_eq!(daemon.end_of(&new).code, 2 - code);
    }
}

#[test]
fn two_apps_of_different_workers_talk_and_do_not_notice() {
    let bench = Bench::new();
    let server = bench.app(&manifest("server", Kind::Service, OFFERS), SERVER);
    let client = bench.app(&manifest("client", Kind::Command, DIALS), CLIENT);
    let (far, near) = (bench.worker("far"), bench.worker("near"));
    let (mut serves, mut dials) = (far.connect(1).unwrap(), near.connect(1).unwrap());
    serves.start(&server, &[]);
    serves.started(&server);
    let socket = far.services.clone();
    let route = |up| Route {
        service: server.services[0].clone(),
        description: None,
        instance: server.instance.clone(),
        socket: Some(socket.clone()),
        up,
    };
    dials.say(&ToWorker::Routes(vec![route(true)]));
    dials.start(&client, &[]);
    let end = dials.end_of(&client);
    assert_eq!((end.cause.as_str(), end.code), ("exit", 0), "{}", end.message);
    // The other worker is told nothing, dies, and is dialled once more.
    drop(far);
    let mut late = client.clone();
    late.instance.generation = 8;
    dials.start(&late, &[]);
    assert_eq!(dials.end_of(&late).code, CONNREFUSED);
    dials.say(&ToWorker::Routes(vec![route(false)]));
    let mut later = client.clone();
    later.instance.generation = 9;
    dials.start(&later, &[]);
    assert_eq!(dials.end_of(&later).code, CONNREFUSED);
    dials.say(&ToWorker::Routes(Vec::new()));
    let mut last = client.clone();
    last.instance.generation = 10;
    dials.start(&last, &[]);
    assert_eq!(dials.end_of(&last).code, NOENT);
}

#[test]
fn a_granted_port_of_the_host_is_served() {
    use std::io::{Read as _, Write as _};
    let bench = Bench::new();
    let mut server = bench.app(&manifest("server", Kind::Service, ""), SERVER);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    server.listen = vec![format!("tcp://{address}")];
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&server, &[socket.into()]);
    daemon.started(&server);
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let sent: Vec<u8> = (0..300_000u32).map(|number| number as u8).collect();
        let expected = sent.clone();
        let mut writing = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            writing.write_all(&sent).unwrap();
            writing.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert!(got == expected, "{} bytes came back", got.len());
    }
}

/// What a probe of an app finds; an empty text is well.
fn probed(daemon: &mut Daemon, app: &Start, what: Probe) -> String {
    let instance = app.instance.clone();
    daemon.say(&ToWorker::Probe { instance, probe: 9, what, timeout_ms: 300 });
    daemon.hear(|message| match message {
        FromWorker::Probed { probe: 9, ok, message, .. } => {
            assert_eq!(*ok, message.is_empty());
            Some(message.clone())
        }
        _ => None,
    })
}

#[test]
fn a_probe_tells_who_works_from_who_only_runs() {
    let bench = Bench::new();
    let works = bench.app(&manifest("works", Kind::Service, OFFERS), SERVER);
    let offers = "services: [{ name: other }]\n";
    let idle = prints("", "(call $sleep (i64.const 0x7fff_ffff_ffff_ffff))");
    let mut runs = bench.app(&manifest("runs", Kind::Service, offers), &idle);
    runs.instance.generation = 2;
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    for app in [&works, &runs] {
        daemon.start(app, &[]);
        daemon.started(app);
    }
    let service = |name: &str| Probe::Service(name.parse().unwrap());
    assert_eq!(probed(&mut daemon, &works, service("echo")), "");
    assert!(probed(&mut daemon, &runs, service("other")).contains("in time"));
    assert!(probed(&mut daemon, &runs, service("echo")).contains("does not serve"));
    assert!(probed(&mut daemon, &works, Probe::Http("/".parse().unwrap())).contains("no address"));
}

/// Answers the first request for `/healthz` well, and those that follow badly.
const PAGE: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 512) "GET /healthz HTT")
    (data (i32.const 600) "HTTP/1.1 200 OK\r\n\r\n")
    (data (i32.const 640) "HTTP/1.1 503 No\r\n\r\n")
    (func (export "_start") (local $answer i32)
        (local.set $answer (i32.const 600))
        (loop $next
            (if (call $accept (i32.const 4) (i32.const 0) (i32.const 8)) (then unreachable))
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 4096))
            (drop (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (if (i64.ne (i64.load (i32.const 1024)) (i64.load (i32.const 512))) (then unreachable))
            (if (i64.ne (i64.load (i32.const 1032)) (i64.load (i32.const 520))) (then unreachable))
            (i32.store (i32.const 0) (local.get $answer))
            (i32.store (i32.const 4) (i32.const 19))
            (drop (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (drop (call $close (i32.load (i32.const 8))))
            (local.set $answer (i32.const 640))
            (br $next))))"#;

#[test]
fn an_http_probe_wants_a_page_of_the_instance_that_is_meant() {
    let bench = Bench::new();
    let mut first = bench.app(&manifest("page", Kind::Service, ""), PAGE);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    first.listen = vec![format!("tcp://{}", socket.local_addr().unwrap())];
    let mut second = first.clone();
    (second.instance.slot, second.instance.generation) = (1, 2);
    let idle = prints("", "(call $sleep (i64.const 0x7fff_ffff_ffff_ffff))");
    let mut deaf = bench.app(&manifest("deaf", Kind::Service, ""), &idle);
    deaf.listen.clone_from(&first.listen);
    // It connects to nothing, so it may run where no app may.
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    for app in [&first, &second, &deaf] {
        daemon.start(app, &[socket.try_clone().unwrap().into()]);
        daemon.started(app);
    }
    let page = || Probe::Http("/healthz".parse().unwrap());
    assert_eq!(probed(&mut daemon, &first, page()), "");
    assert!(probed(&mut daemon, &first, page()).contains("503"));
    assert_eq!(probed(&mut daemon, &second, page()), "");
    assert!(probed(&mut daemon, &second, page()).contains("503"));
    assert!(probed(&mut daemon, &deaf, page()).contains("in time"));
}
