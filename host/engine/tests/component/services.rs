//! Programs that talk to each other, on one thread, by nothing but the standard library.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use qyv_vfs::{Budget, Error, Result, Vfs};
use qyv_wasi::{
    Clock, Denial, Direction, Host, Interest, Listener, Readiness, Right, Socket, Source, Stream, StreamKind,
    Wait,
};
use qyvol_engine::component::{
    ComponentConfig, ComponentLimits, ComponentState, Lent, Prepared, Services, SinkStream, add_to_linker,
};
use qyvol_engine::shared::SharedHost;
use wasmtime::Store;
use wasmtime::component::Linker;

use super::GUEST;

/// One direction of a connection.
#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    ended: bool,
}

/// The services of one server and its connections; whoever waits looks again when anything happens.
struct Net {
    /// Bytes on their way in one direction.
    room: usize,
    /// What a sender is told beyond that, as one hears whose memory is short.
    promised: usize,
    /// Numbers of listeners that are served.
    served: Vec<u32>,
    backlog: BTreeMap<u32, VecDeque<usize>>,
    /// From the dialler and to it.
    connections: Vec<[Way; 2]>,
    waiting: Vec<Waker>,
}

impl Net {
    fn happened(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// Connection and side of an open socket.
type Open = Arc<Mutex<BTreeMap<u32, (usize, usize)>>>;

/// The host of one guest. What is open at it is seen from outside.
struct TestHost {
    net: Arc<Mutex<Net>>,
    grants: &'static [&'static str],
    open: Open,
    next: u32,
}

impl TestHost {
    fn keep(&mut self, connection: usize, side: usize) -> Socket {
        self.next += 1;
        self.open.lock().unwrap().insert(self.next, (connection, side));
        Socket(self.next)
    }

    /// What it sends into and what it receives from.
    fn ways<R>(&self, socket: Socket, work: impl FnOnce(&mut Net, (usize, usize), (usize, usize)) -> R) -> R {
        let (connection, side) = self.open.lock().unwrap()[&socket.0];
        work(&mut self.net.lock().unwrap(), (connection, side), (connection, 1 - side))
    }

    fn end(&self, way: (usize, usize)) {
        let mut net = self.net.lock().unwrap();
        net.connections[way.0][way.1].ended = true;
        net.happened();
    }
}

/// The server's listener of a service; the port that it has is 9000.
fn listener_of(name: &str, port: Option<u16>) -> Option<u32> {
    match (name, port) {
        ("logger", None) => Some(0),
        ("db", None | Some(9000)) => Some(1),
        _ => None,
    }
}

impl Host for TestHost {
    fn clock_now(&mut self, _: Clock) -> Result<u64> {
        Err(Error::INVAL)
    }

    fn clock_resolution(&mut self, _: Clock) -> Result<u64> {
        Err(Error::INVAL)
    }

    fn random(&mut self, _: &mut [u8]) -> Result<()> {
        Err(Error::IO)
    }

    fn stream_read(&mut self, _: Stream, _: &mut [u8]) -> Result<usize> {
        Err(Error::IO)
    }

    fn stream_write(&mut self, _: Stream, _: &[u8]) -> Result<usize> {
        Err(Error::IO)
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Null
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        let (bytes, hangup) = match source {
            Source::Listener(listener) => {
                let waiting = self.net.lock().unwrap().backlog.get(&listener.0).map_or(0, VecDeque::len);
                (waiting, false)
            }
            Source::Socket(socket) => self.ways(socket, |net, out, inward| match interest {
                Interest::Read => {
                    let way = &net.connections[inward.0][inward.1];
                    (way.bytes.len(), way.ended)
                }
                Interest::Write => {
                    let room = net.room - net.connections[out.0][out.1].bytes.len();
                    (if room > 0 { room + net.promised } else { 0 }, false)
                }
            }),
            Source::Stream(_) => panic!("streams are the component's own"),
        };
        (bytes > 0 || hangup).then_some(Readiness { bytes: bytes as u64, hangup })
    }

    fn yield_now(&mut self) {}

    fn service(&mut self, name: &str, port: Option<u16>) -> Result<()> {
        if !self.grants.contains(&name) || (name == "db" && port.is_some_and(|port| port != 9000)) {
            return Err(Error::ACCES);
        }
        listener_of(name, port).map(drop).ok_or(Error::NOENT)
    }

    fn dial(&mut self, name: &str, port: Option<u16>, _: Direction) -> Result<Socket> {
        self.service(name, port)?;
        let listener = listener_of(name, port).ok_or(Error::NOENT)?;
        let mut net = self.net.lock().unwrap();
        if !net.served.contains(&listener) {
            return Err(Error::CONNREFUSED);
        }
        net.connections.push(Default::default());
        let connection = net.connections.len() - 1;
        net.backlog.entry(listener).or_default().push_back(connection);
        net.happened();
        drop(net);
        Ok(self.keep(connection, 0))
    }

    fn accept(&mut self, listener: Listener) -> Result<Socket> {
        let waiting = self.net.lock().unwrap().backlog.get_mut(&listener.0).and_then(VecDeque::pop_front);
        Ok(self.keep(waiting.ok_or(Error::AGAIN)?, 1))
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], _: bool) -> Result<usize> {
        self.ways(socket, |net, _, inward| {
            let way = &mut net.connections[inward.0][inward.1];
            let count = way.bytes.len().min(into.len());
            if count == 0 {
                return if way.ended { Ok(0) } else { Err(Error::AGAIN) };
            }
            for (place, byte) in into.iter_mut().zip(way.bytes.drain(..count)) {
                *place = byte;
            }
            net.happened();
            Ok(count)
        })
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        self.ways(socket, |net, out, _| {
            let room = net.room;
            let way = &mut net.connections[out.0][out.1];
            let count = from.len().min(room - way.bytes.len());
            if way.ended {
                return Err(Error::PIPE);
            }
            way.bytes.extend(&from[..count]);
            net.happened();
            if count == 0 { Err(Error::AGAIN) } else { Ok(count) }
        })
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        let (out, inward) = self.ways(socket, |_, out, inward| (out, inward));
        if direction != Direction::Receive {
            self.end(out);
        }
        if direction != Direction::Send {
            self.end(inward);
        }
        Ok(())
    }

    fn close(&mut self, source: Source) {
        match source {
            Source::Socket(socket) => {
                self.shutdown(socket, Direction::Send).unwrap();
                self.open.lock().unwrap().remove(&socket.0).unwrap();
            }
            Source::Listener(listener) => {
                let mut net = self.net.lock().unwrap();
                let before = net.served.len();
                net.served.retain(|served| *served != listener.0);
                assert_eq!(net.served.len() + 1, before, "closed twice");
            }
            Source::Stream(_) => panic!("a stream is not closed"),
        }
    }
}

impl SharedHost for TestHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        if wait.sources().iter().any(|(source, interest)| self.ready(*source, *interest).is_some()) {
            return Poll::Ready(());
        }
        self.net.lock().unwrap().waiting.push(context.waker().clone());
        Poll::Pending
    }

    fn ended(&mut self, _: &[Denial]) {}
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What came of a program.
struct Outcome {
    code: u8,
    stdout: String,
    denials: Vec<Denial>,
}

/// A program that runs, or has run.
struct Running {
    run: Pin<Box<dyn Future<Output = Outcome>>>,
    woken: Arc<Woken>,
    open: Open,
    memory: Budget,
}

/// A network whose connections hold `room` bytes a way and promise more.
fn network(room: usize, promised: usize) -> Arc<Mutex<Net>> {
    let (served, backlog, connections, waiting) = Default::default();
    Arc::new(Mutex::new(Net { room, promised, served, backlog, connections, waiting }))
}

/// Starts the server of `logger` and `db/9000`.
fn server(net: &Arc<Mutex<Net>>, args: &[&str]) -> Running {
    net.lock().unwrap().served = vec![0, 1];
    let listeners = vec![("logger".to_owned(), Listener(0)), ("db/9000".to_owned(), Listener(1))];
    start(net, &[], listeners, args)
}

/// Starts a program that may dial these, of `db` only 9000.
fn client(net: &Arc<Mutex<Net>>, args: &[&str]) -> Running {
    start(net, &["logger", "db", "gone"], vec![], args)
}

fn start(
    net: &Arc<Mutex<Net>>,
    grants: &'static [&'static str],
    listeners: Vec<(String, Listener)>,
    args: &[&str],
) -> Running {
    let memory = Budget::new(1 << 20);
    let open = Open::default();
    let host = TestHost { net: net.clone(), grants, open: open.clone(), next: 0 };
    let services = Services::new(Lent::new(host), listeners, memory.clone());
    let stdout = Arc::new(Mutex::new(Vec::new()));
    let config = ComponentConfig {
        args: ["guest-p2"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        vfs: Vfs::new(),
        preopens: vec![],
        services: Some(services),
        outside: None,
        stdin: Box::new(tokio::io::empty()),
        stdout: Box::new(SinkStream::new(stdout.clone(), false)),
        stderr: Box::new(SinkStream::new(Arc::new(Mutex::new(std::io::stderr())), false)),
        descriptors: Budget::new(256),
        limits: ComponentLimits::default(),
    };
    let (engine, _, component) = &*GUEST;
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker).unwrap();
    let prepared = Prepared::new(&linker, component).unwrap();
    let mut store = Store::new(engine, ComponentState::new(config).unwrap());
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let run = Box::pin(async move {
        let code = prepared.run(&mut store).await.unwrap();
        let denials = store.data_mut().denials().to_vec();
        drop(store);
        Outcome { code, stdout: String::from_utf8(stdout.lock().unwrap().clone()).unwrap(), denials }
    });
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    Running { run, woken, open, memory }
}

/// Polls programs in turn, those that were woken, until all have ended.
fn run_all<const N: usize>(mut programs: [Running; N]) -> [Outcome; N] {
    let mut outcomes = [const { None }; N];
    while outcomes.iter().any(Option::is_none) {
        let mut moved = false;
        for (program, outcome) in programs.iter_mut().zip(&mut outcomes) {
            if outcome.is_some() || !program.woken.0.swap(false, Ordering::SeqCst) {
                continue;
            }
            moved = true;
            let waker = Waker::from(program.woken.clone());
            if let Poll::Ready(end) = program.run.as_mut().poll(&mut Context::from_waker(&waker)) {
                *outcome = Some(end);
                assert!(program.open.lock().unwrap().is_empty(), "something was left open");
            }
        }
        assert!(moved, "everybody waits and nobody is woken");
    }
    for program in &programs {
        assert_eq!(program.memory.used(), 0);
    }
    outcomes.map(|outcome| outcome.expect("all have ended"))
}

#[test]
fn two_programs_talk() {
    let net = network(64 << 10, 0);
    for (port, address, text) in [
        ("0.0.0.0:1", "logger.svc:1", "hola"),
        ("127.0.0.1:9000", "db.svc:9000", "one\ntwo\n"),
        ("logger.svc:1", "logger.svc:1", ""),
        ("[::]:9000", "db.svc:1", "the only port that may be dialled"),
    ] {
        let server = server(&net, &["serve", port, "1"]);
        let client = client(&net, &["dial", address, text]);
        let [server, client] = run_all([server, client]);
        assert_eq!((server.code, client.code), (0, 0), "{}{}", server.stdout, client.stdout);
        assert_eq!(client.stdout, text.to_uppercase(), "{address}");
        assert!(client.denials.is_empty() && server.denials.is_empty());
    }
}

#[test]
fn a_flood_goes_through_a_narrow_pipe() {
    for (room, promised) in [(5000, 0), (5000, 64 << 10), (64 << 10, 0), (64 << 10, 64 << 10)] {
        let net = network(room, promised);
        let server = server(&net, &["serve", "0.0.0.0:1", "1"]);
        let client = client(&net, &["flood", "logger.svc:1", "300000"]);
        let [server, client] = run_all([server, client]);
        assert_eq!((server.code, client.code), (0, 0), "{}{}", server.stdout, client.stdout);
        assert_eq!(client.stdout, "300000 came back\n", "{room} {promised}");
    }
}

#[test]
fn refusals_have_names() {
    let net = network(64 << 10, 0);
    let [client] = run_all([client(&net, &["refusals"])]);
    let expected = "\
        down Err(ConnectionRefused)\n\
        another port Err(PermissionDenied)\n\
        no such port Err(HostUnreachable)\n\
        secret Err(PermissionDenied)\n\
        gone true\n\
        listen Err(PermissionDenied)\n\
        outside Err(PermissionDenied)\n";
    assert_eq!(client.stdout, expected);
    let rights: Vec<_> = client.denials.into_iter().map(|denial| denial.right).collect();
    let expected = [
        Right::Dial("db".into()),
        Right::Dial("secret".into()),
        Right::Listen,
        Right::Connect("tcp://192.0.2.1:80".into()),
    ];
    assert_eq!(rights, expected);
}

/// Non-blocking and without a wait, so that nothing but the end of its turn stops it.
#[test]
fn who_spins_lets_others_on() {
    let net = network(64 << 10, 0);
    let over = Arc::new(AtomicBool::new(false));
    let ticker = std::thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                GUEST.0.increment_epoch();
            }
        }
    });
    for spin in ["spin"; 3] {
        let server = server(&net, &[spin, "0.0.0.0:1"]);
        let client = client(&net, &["dial", "logger.svc:1", "hola"]);
        let [server, client] = run_all([server, client]);
        assert_eq!((server.code, client.stdout.as_str()), (0, "HOLA"), "{}", server.stdout);
    }
    over.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
}
