//! Much at once: connections, output, bytes that nobody reads, and instances that do not want to end. `QYVOL_LOAD=full` makes
//! it 10,000 connections and a gigabyte.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use qyv_spec::manifest::Kind;
use qyvol_protocol::worker::{FromWorker, Start, ToWorker, Used};

use crate::bench::{Bench, Daemon, manifest, prints};
use crate::neighbour::{answers, dial, neighbour};
use crate::sandbox::wait_until;

fn full() -> bool {
    std::env::var_os("QYVOL_LOAD").is_some_and(|value| value == "full")
}

/// Accepts connections, keeping all, until `most` are open or none is taken any more; then answers each what it says, once,
/// and closes it; then waits for ever.
fn holds(most: usize) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 3)
        (func (export "_start") (local $count i32) (local $at i32)
            (block $enough (loop $next
                (br_if $enough (i32.eq (local.get $count) (i32.const {most})))
                (br_if $enough (call $accept (i32.const 4) (i32.const 0) (i32.const 8)))
                (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $count) (i32.const 2)))
                    (i32.load (i32.const 8)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br $next)))
            (if (i32.eq (local.get $count) (i32.const {most})) (then
                (loop $each
                    (i32.store (i32.const 8)
                        (i32.load (i32.add (i32.const 65536) (i32.shl (local.get $at) (i32.const 2)))))
                    (i32.store (i32.const 0) (i32.const 1024))
                    (i32.store (i32.const 4) (i32.const 4))
                    (drop (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
                    (drop (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
                    (drop (call $close (i32.load (i32.const 8))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $each (i32.lt_u (local.get $at) (i32.const {most}))))))
            (i32.store (i32.const 1040) (i32.const 1))
            (i64.store (i32.const 1048) (i64.const 0x7fffffffffffffff))
            (drop (call $poll (i32.const 1024) (i32.const 1100) (i32.const 1) (i32.const 1200)))))"#
    )
}

/// An app that listens on TCP.
fn listens(bench: &Bench, name: &str, more: &str, program: &str) -> (Start, TcpListener) {
    let mut app = bench.app(&manifest(name, Kind::Service, more), program);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    app.listen = vec![format!("tcp://{}", socket.local_addr().unwrap())];
    (app, socket)
}

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// What the worker says that an app has used.
fn used(daemon: &mut Daemon, app: &Start) -> Used {
    daemon.say(&ToWorker::Usage { request: 5 });
    daemon.hear(|message| match message {
        FromWorker::Usage { request: 5, instances } => {
            Some(instances.iter().find(|used| used.instance == app.instance).unwrap().clone())
        }
        _ => None,
    })
}

#[test]
fn thousands_of_connections_are_held_and_the_neighbour_answers() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    let wanted = if full() { 10_000 } else { 1_500 };
    // Each is a descriptor here and one there.
    let count =
        wanted.min(usize::try_from(hard.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).saturating_sub(500));
    let bench = Bench::new();
    let limits = format!("limits: {{ fds: {} }}\n", count + 100);
    let (app, socket) = listens(&bench, "holder", &limits, &holds(count));
    let address = socket.local_addr().unwrap();
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[socket.into()]);
    daemon.started(&app);
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    let mut connections = Vec::new();
    for number in 0..count {
        connections.push(TcpStream::connect(address).unwrap());
        if number.is_multiple_of(500) {
            answers(&mut stream, 20);
        }
    }
    let held = used(&mut daemon, &app);
    println!("{count} connections: {} bytes of the app's memory", held.memory);
    answers(&mut stream, 200);
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.write_all(&u32::try_from(number).unwrap().to_ne_bytes()).unwrap();
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        let mut answer = [0; 4];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_ne_bytes(answer), u32::try_from(number).unwrap());
    }
    drop(connections);
    wait_until("the sockets are closed", || descriptors(daemon.welcome.pid) < 100);
    answers(&mut stream, 20);
}

#[test]
fn connections_beyond_what_an_app_takes_wait_outside() {
    let bench = Bench::new();
    let (app, socket) = listens(&bench, "full", "limits: { fds: 16 }\n", &holds(10_000));
    let address = socket.local_addr().unwrap();
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[socket.into()]);
    daemon.started(&app);
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    let before = descriptors(daemon.welcome.pid);
    let mut connections = Vec::new();
    for _ in 0..400 {
        let family = rustix::net::AddressFamily::INET;
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, rustix::net::SocketType::STREAM, flags, None).unwrap();
        // Those that find no room in the kernel either are still on their way.
        let _ = rustix::net::connect(&socket, &address);
        connections.push(socket);
    }
    answers(&mut stream, 300);
    // Those of the app, and those that wait for it to accept them.
    let open = descriptors(daemon.welcome.pid) - before;
    assert!(open <= 16 + 128 + 8, "{open} descriptors");
    drop(connections);
    daemon.say(&ToWorker::Kill { instance: app.instance.clone() });
    assert_eq!(daemon.end_of(&app).cause, "killed");
    answers(&mut stream, 20);
}

/// The bytes of a log and of what was rotated.
fn log_bytes(log: &Path) -> u64 {
    let name = log.file_name().unwrap().to_str().unwrap().trim_end_matches(".log");
    let entries = std::fs::read_dir(log.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let own = entries.filter(|entry| entry.file_name().to_str().is_some_and(|file| file.starts_with(name)));
    own.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

#[test]
fn a_flood_of_output_fills_neither_disk_nor_memory() {
    let bench = Bench::new();
    // 64 KiB of lines a call.
    let rounds = if full() { 16 << 10 } else { 1 << 10 };
    let program = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 3)
        (func (export "_start") (local $at i32)
            (memory.fill (i32.const 65536) (i32.const 120) (i32.const 65536))
            (loop $line
                (i32.store8 (i32.add (i32.const 65536) (local.get $at)) (i32.const 10))
                (local.set $at (i32.add (local.get $at) (i32.const 100)))
                (br_if $line (i32.lt_u (local.get $at) (i32.const 65536))))
            (local.set $at (i32.const 0))
            (loop $print
                (i32.store (i32.const 0) (i32.const 65536))
                (i32.store (i32.const 4) (i32.const 65536))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $print (i32.lt_u (local.get $at) (i32.const {rounds}))))))"#
    );
    let limits = "limits: { log: 1MiB, memory: 4MiB }\n";
    let app = bench.app(&manifest("flood", Kind::Command, limits), &program);
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    daemon.start(&app, &[]);
    daemon.started(&app);
    answers(&mut stream, 300);
    let end = daemon.end_of(&app);
    assert_eq!((end.cause.as_str(), end.code), ("exit", 0), "{}", end.message);
    assert_eq!(end.used.log_bytes, rounds << 16);
    assert!(end.used.log_dropped > rounds * 100, "{:?}", end.used);
    assert!(end.used.memory_peak <= 4 << 20);
    assert!(log_bytes(&app.log) <= 1 << 20);
    wait_until("it is said", || bench.log(&app).contains("lines were dropped"));
    assert!(log_bytes(&app.log) <= 1 << 20);
}

/// Accepts one connection and never reads.
const DEAF: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $accept (i32.const 4) (i32.const 0) (i32.const 8)))
        (i32.store (i32.const 1040) (i32.const 1))
        (i64.store (i32.const 1048) (i64.const 0x7fffffffffffffff))
        (drop (call $poll (i32.const 1024) (i32.const 1100) (i32.const 1) (i32.const 1200)))))"#;

/// Dials `deaf` and sends for ever.
const SENDS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 3)
    (data (i32.const 64) "deaf")
    (func (export "_start")
        (if (call $open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
            (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)) (then (unreachable)))
        (loop $more
            (i32.store (i32.const 0) (i32.const 65536))
            (i32.store (i32.const 4) (i32.const 65536))
            (br_if $more
                (i32.eqz (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))))
        (unreachable)))"#;

const DEAF_OFFERS: &str = "services: [{ name: deaf, proto: stream }]\n";

#[test]
fn an_app_that_never_reads_makes_who_sends_wait() {
    let bench = Bench::new();
    let deaf = bench.app(&manifest("deaf", Kind::Service, DEAF_OFFERS), DEAF);
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&deaf, &[]);
    daemon.started(&deaf);
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    // From another worker.
    let mut sender = dial(&worker, "deaf");
    sender.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let (mut sent, chunk) = (0, vec![7; 64 << 10]);
    let stopped = loop {
        match sender.write(&chunk) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
        assert!(sent < 16 << 20, "nobody reads, and everything is taken");
    };
    assert_eq!(stopped, ErrorKind::WouldBlock);
    answers(&mut stream, 100);
    // From an app of this one, which pays for what is on its way.
    let dials = "permissions: { net: { connect: [\"service://deaf\"] } }\nlimits: { memory: 2MiB }\n";
    let mut sends = bench.app(&manifest("sends", Kind::Service, dials), SENDS);
    sends.instance.generation = 50;
    daemon.start(&sends, &[]);
    daemon.started(&sends);
    answers(&mut stream, 200);
    let first = used(&mut daemon, &sends);
    answers(&mut stream, 200);
    let second = used(&mut daemon, &sends);
    assert!(second.memory_peak <= 2 << 20, "{second:?}");
    wait_until("it waits instead of trying again and again", || {
        let before = used(&mut daemon, &sends).cpu_ns;
        std::thread::sleep(Duration::from_millis(100));
        used(&mut daemon, &sends).cpu_ns == before
    });
    assert!(first.memory <= second.memory_peak);
    for app in [&sends, &deaf] {
        daemon.say(&ToWorker::Kill { instance: app.instance.clone() });
        assert_eq!(daemon.end_of(app).cause, "killed");
    }
    answers(&mut stream, 20);
}

#[test]
fn who_does_not_want_to_stop_is_killed() {
    let bench = Bench::new();
    let offers = "services: [{ name: stubborn }]\n";
    let stubborn = bench.app(&manifest("stubborn", Kind::Service, offers), &prints("", "(loop (br 0))"));
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&stubborn, &[]);
    daemon.started(&stubborn);
    daemon.hear(|message| matches!(message, FromWorker::Ready { .. }).then_some(()));
    daemon.say(&ToWorker::Stop { instance: stubborn.instance.clone() });
    let before = used(&mut daemon, &stubborn).cpu_ns;
    wait_until("it goes on", || used(&mut daemon, &stubborn).cpu_ns > before);
    daemon.say(&ToWorker::Kill { instance: stubborn.instance.clone() });
    assert_ne!(daemon.end_of(&stubborn).cause, "exit");
}
