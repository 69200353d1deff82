//! The way out against servers on this machine and resolvers that lie.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream as StdStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use qyv_svc::outbound::Outbound;
use qyv_vfs::{Budget, Error};
use qyv_wasi::{Direction, Interest};
use tokio::runtime::Runtime;

use crate::net::Patience;
use crate::{Net, Outside, Outward, Resolver, Roots};

/// Answers what it was told to, call after call, the last answer for ever; counts.
#[derive(Clone, Default)]
struct Liar(Arc<Lies>);

#[derive(Default)]
struct Lies {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    calls: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    delay: Mutex<Duration>,
}

impl Liar {
    fn new(answers: &[&[&str]]) -> Self {
        let liar = Self::default();
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        *liar.0.answers.lock().unwrap() = answers.iter().map(parse).collect();
        liar
    }

    fn slow(self, delay: Duration) -> Self {
        *self.0.delay.lock().unwrap() = delay;
        self
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }
}

impl Resolver for Liar {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let lies = &self.0;
        lies.calls.fetch_add(1, Ordering::SeqCst);
        lies.most.fetch_max(lies.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let delay = *lies.delay.lock().unwrap();
        thread::sleep(delay);
        lies.now.fetch_sub(1, Ordering::SeqCst);
        let mut answers = lies.answers.lock().unwrap();
        let answer =
            if answers.len() > 1 { answers.remove(0) } else { answers.first().cloned().unwrap_or_default() };
        if answer.is_empty() { Err(io::Error::other("no such name")) } else { Ok(answer) }
    }
}

struct Bench {
    net: Arc<Net>,
    memory: Budget,
    _reactor: Runtime,
}

const LONG: Duration = Duration::from_secs(20);

impl Bench {
    fn new(resolver: Liar) -> Self {
        Self::patient(resolver, Patience { resolve: LONG, connect: LONG })
    }

    fn patient(resolver: Liar, patience: Patience) -> Self {
        let reactor =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let net = Net::with_patience(reactor.handle().clone(), resolver, Roots::mozilla(), patience);
        Self { net, memory: Budget::new(1 << 20), _reactor: reactor }
    }

    fn outside(&self, grants: &[&str]) -> Arc<Outside> {
        Outside::new(&self.net, outbound(grants), 8, &self.memory)
    }
}

fn outbound(grants: &[&str]) -> Outbound {
    Outbound::new(grants.iter().map(|grant| grant.parse().unwrap()), false)
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until `look` gives something, by nothing but the waker.
#[track_caller]
fn until<T>(mut look: impl FnMut(&Waker) -> Option<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let end = std::time::Instant::now() + LONG;
    loop {
        if let Some(found) = look(&waker) {
            return found;
        }
        assert!(std::time::Instant::now() < end, "nobody woke");
        thread::park_timeout(LONG);
    }
}

#[track_caller]
fn connected(outward: &mut Outward) -> Result<(), Error> {
    until(|waker| outward.ready(Interest::Write, Some(waker)));
    outward.connected()
}

#[track_caller]
fn received(outward: &mut Outward, bytes: usize) -> Result<Vec<u8>, Error> {
    let mut got = Vec::new();
    while got.len() < bytes {
        until(|waker| outward.ready(Interest::Read, Some(waker)));
        let mut buffer = vec![0; bytes - got.len()];
        match outward.receive(&mut buffer, false) {
            Ok(0) => break,
            Ok(count) => got.extend(&buffer[..count]),
            Err(Error::AGAIN) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// A listener at this machine, and its address.
fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

/// Nobody came.
#[track_caller]
fn unvisited(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().map(drop).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_granted_number_is_connected_to_and_bytes_go_both_ways() {
    let (bench, (listener, address)) = (Bench::new(Liar::default()), server());
    let outside = bench.outside(&[&tcp(address)]);
    for way in 0..2 {
        let mut outward = if way == 0 {
            outside.dial(&address.to_string(), Direction::Both).unwrap()
        } else {
            outside.connect(address).unwrap()
        };
        assert_eq!(connected(&mut outward), Ok(()));
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(outward.send(b"ping"), Ok(4));
        let mut buffer = [0; 4];
        peer.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"ping");
        assert!(outward.ready(Interest::Read, None).is_none());
        assert_eq!(outward.receive(&mut buffer, false), Err(Error::AGAIN));
        peer.write_all(b"pong").unwrap();
        let ready = until(|waker| outward.ready(Interest::Read, Some(waker)));
        assert!(!ready.hangup && ready.bytes >= 1);
        assert_eq!(outward.receive(&mut buffer[..1], true), Ok(1));
        assert_eq!(received(&mut outward, 4).unwrap(), b"pong");
        outward.shutdown(Direction::Send).unwrap();
        assert_eq!(outward.send(b"x"), Err(Error::PIPE));
        assert_eq!(peer.read(&mut buffer).unwrap(), 0);
        peer.write_all(b"bye").unwrap();
        drop(peer);
        assert_eq!(received(&mut outward, 9).unwrap(), b"bye");
        assert!(outward.ready(Interest::Read, None).unwrap().hangup);
    }
}

#[test]
fn what_was_not_granted_is_refused_before_anybody_is_asked() {
    let liar = Liar::new(&[&["1.1.1.1"]]);
    let (bench, (listener, address)) = (Bench::new(liar.clone()), server());
    let outside = bench.outside(&["tcp://a.example:80", "https://b.example"]);
    for target in
        [&address.to_string(), "a.example:81", "b.example:443", "evil.example:80", "a.example", "", "a:b:c"]
    {
        assert_eq!(outside.check(target), Err(Error::ACCES), "{target}");
        assert_eq!(outside.dial(target, Direction::Both).err(), Some(Error::ACCES), "{target}");
    }
    for name in ["b.example", "evil.example", "127.0.0.1", "::1", "", "a b"] {
        assert_eq!(outside.look_up(name).err(), Some(Error::ACCES), "{name}");
    }
    assert_eq!(outside.connect(address).err(), Some(Error::ACCES));
    assert_eq!(outside.connect("1.1.1.1:80".parse().unwrap()).err(), Some(Error::ACCES));
    assert_eq!((outside.check("A.Example.:80"), liar.calls()), (Ok(()), 0));
    unvisited(&listener);
}

#[test]
fn a_name_that_stands_for_this_machine_is_refused_and_said() {
    let (listener, address) = server();
    for place in
        ["127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::127.0.0.1", "fe80::1"]
    {
        let bench = Bench::new(Liar::new(&[&[place]]));
        let port = address.port();
        let outside = bench.outside(&[&format!("tcp://a.example:{port}")]);
        let mut outward = outside.dial(&format!("a.example:{port}"), Direction::Both).unwrap();
        assert_eq!(connected(&mut outward), Err(Error::ACCES), "{place}");
        let mut look_up = outside.look_up("a.example").unwrap();
        assert_eq!(connected(&mut look_up), Err(Error::ACCES), "{place}");
        assert_eq!(look_up.addresses(), Err(Error::ACCES));
        if place == "127.0.0.1" {
            let missing = Some(tcp(address));
            assert_eq!((outward.missing(), look_up.missing()), (missing.clone(), missing));
        }
        unvisited(&listener);
    }
}

/// Whoever answers for a name changes the answer between the check and the connection: there is no second question.
#[test]
fn what_was_checked_is_what_is_dialled() {
    let (listener, address) = server();
    let name = format!("a.example:{}", address.port());
    let grants = [&*format!("tcp://{name}"), &tcp(address)];
    let liar = Liar::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let outside = Bench::new(liar.clone());
    let outside = (outside.outside(&grants), outside);
    let mut outward = outside.0.dial(&name, Direction::Both).unwrap();
    assert_eq!(connected(&mut outward), Ok(()));
    assert_eq!(liar.calls(), 1);
    listener.accept().unwrap();
    let mut outward = outside.0.dial(&name, Direction::Both).unwrap();
    assert_eq!(
        (connected(&mut outward), outward.missing().unwrap()),
        (Err(Error::ACCES), format!("tcp://169.254.169.254:{}", address.port()))
    );
    // By address: what was not found by a look-up of this instance is not dialled, and a dial looks nothing up.
    let liar = Liar::new(&[&["93.184.216.34"], &["127.0.0.1"]]);
    let bench = Bench::new(liar.clone());
    let (outside, other) = (bench.outside(&["tcp://a.example:9"]), bench.outside(&["tcp://a.example:9"]));
    let mut look_up = outside.look_up("a.example").unwrap();
    assert_eq!(connected(&mut look_up), Ok(()));
    assert_eq!(look_up.addresses(), Ok(vec!["93.184.216.34".parse().unwrap()]));
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert!(outside.connect(at("93.184.216.34:9")).is_ok());
    assert_eq!(outside.connect(at("93.184.216.34:10")).err(), Some(Error::ACCES));
    assert_eq!(other.connect(at("93.184.216.34:9")).err(), Some(Error::ACCES));
    let mut look_up = outside.look_up("a.example").unwrap();
    assert_eq!(connected(&mut look_up), Err(Error::ACCES));
    assert_eq!(outside.connect(at("127.0.0.1:9")).err(), Some(Error::ACCES));
    assert_eq!(liar.calls(), 2);
}

#[test]
fn only_the_addresses_that_may_be_reached_are_tried() {
    let (listener, address) = server();
    let bench = Bench::new(Liar::new(&[&["169.254.169.254", "127.0.0.2", "127.0.0.1"]]));
    let name = format!("a.example:{}", address.port());
    let outside = bench.outside(&[&format!("tcp://{name}"), &tcp(address)]);
    let mut outward = outside.dial(&name, Direction::Both).unwrap();
    assert_eq!(connected(&mut outward), Ok(()));
    listener.accept().unwrap();
    let mut look_up = outside.look_up("a.example").unwrap();
    assert_eq!(connected(&mut look_up), Ok(()));
    assert_eq!(look_up.addresses(), Ok(vec![address.ip()]));
}

#[test]
fn failures_have_names() {
    let (listener, address) = server();
    drop(listener);
    let bench = Bench::new(Liar::default());
    let outside = bench.outside(&[&tcp(address), "tcp://a.example:80"]);
    let mut outward = outside.connect(address).unwrap();
    assert_eq!(connected(&mut outward), Err(Error::CONNREFUSED));
    assert_eq!(outward.receive(&mut [0], false), Err(Error::CONNREFUSED));
    assert_eq!(outward.send(b"x"), Err(Error::CONNREFUSED));
    let mut outward = outside.dial("a.example:80", Direction::Both).unwrap();
    assert_eq!(connected(&mut outward), Err(Error::NOENT));
}

#[test]
fn who_does_not_answer_is_given_up() {
    let short = Duration::from_millis(50);
    let liar = Liar::new(&[&["1.1.1.1"]]).slow(Duration::from_millis(1500));
    let bench = Bench::patient(liar, Patience { resolve: short, connect: short });
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let address = socket.local_addr().unwrap();
    // With these, nobody waits any more for those that the listener has no room for.
    let _filled: Vec<_> = (0..2).map(|_| StdStream::connect_timeout(&address, short)).collect();
    let outside = bench.outside(&[&tcp(address), "tcp://a.example:80"]);
    let mut unanswered = outside.connect(address).unwrap();
    let mut unresolved = outside.dial("a.example:80", Direction::Both).unwrap();
    assert_eq!(connected(&mut unanswered), Err(Error::TIMEDOUT));
    assert_eq!(connected(&mut unresolved), Err(Error::TIMEDOUT));
}

#[test]
fn a_flood_of_look_ups_is_bounded_and_leaves_room_for_others() {
    let liar = Liar::new(&[&["1.1.1.1"]]).slow(Duration::from_millis(30));
    let bench = Bench::new(liar.clone());
    let flooder = bench.outside(&["tcp://a.example:80"]);
    let mut begun = Vec::new();
    while let Ok(look_up) = flooder.look_up("a.example") {
        begun.push(look_up);
        assert!(begun.len() < 1000);
    }
    assert_eq!((begun.len(), flooder.look_up("a.example").err()), (16, Some(Error::MFILE)));
    let mut other = bench.outside(&["tcp://b.example:80"]).look_up("b.example").unwrap();
    assert_eq!(connected(&mut other), Ok(()));
    assert!(liar.0.most.load(Ordering::SeqCst) <= 3);
    begun.truncate(1);
    assert!(flooder.look_up("a.example").is_ok());
    let many: Vec<_> = (0..20).map(|_| bench.outside(&["tcp://c.example:80"])).collect();
    let mut all: Vec<_> = many.iter().map(|outside| outside.look_up("c.example").unwrap()).collect();
    assert!(all.iter_mut().all(|look_up| connected(look_up) == Ok(())));
    assert!(liar.0.most.load(Ordering::SeqCst) <= 8);
}

#[test]
fn a_flood_of_connections_is_bounded_and_charged() {
    let (bench, (_listener, address)) = (Bench::new(Liar::default()), server());
    let outside = bench.outside(&[&tcp(address)]);
    let mut open: Vec<_> = (0..8).map(|_| outside.connect(address).unwrap()).collect();
    assert_eq!(outside.connect(address).err(), Some(Error::MFILE));
    assert!(bench.memory.used() > 0);
    open.pop();
    assert!(outside.connect(address).is_ok());
    open.clear();
    assert_eq!(bench.memory.used(), 0);
    let poor = Outside::new(&bench.net, outbound(&[&tcp(address)]), 8, &Budget::new(100));
    assert_eq!(poor.connect(address).err(), Some(Error::NOMEM));
}

#[test]
fn what_is_taken_back_is_cut() {
    let (bench, (listener, address), (kept, stays)) = (Bench::new(Liar::default()), server(), server());
    let outside = bench.outside(&[&tcp(address), &tcp(stays)]);
    let mut outward = outside.connect(address).unwrap();
    let mut other = outside.connect(stays).unwrap();
    assert_eq!((connected(&mut outward), connected(&mut other)), (Ok(()), Ok(())));
    let ((mut peer, _), _peer) = (listener.accept().unwrap(), kept.accept().unwrap());
    let hand = Arc::clone(&outside);
    let granted = outbound(&[&tcp(stays)]);
    let taker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        hand.grant(granted);
    });
    until(|waker| outward.ready(Interest::Read, Some(waker)));
    taker.join().unwrap();
    assert_eq!(outward.receive(&mut [0], false), Err(Error::CONNABORTED));
    assert_eq!(outward.send(b"x"), Err(Error::CONNABORTED));
    assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(outside.connect(address).err(), Some(Error::ACCES));
    assert_eq!(other.send(b"x"), Ok(1));
}

#[test]
fn who_dies_is_not_taken_for_one_that_said_all() {
    let (bench, (listener, address)) = (Bench::new(Liar::default()), server());
    let outside = bench.outside(&[&tcp(address)]);
    for (dies, end) in [(false, Ok(0)), (true, Err(io::ErrorKind::ConnectionReset))] {
        let mut outward = outside.connect(address).unwrap();
        assert_eq!(connected(&mut outward), Ok(()));
        let (mut peer, _) = listener.accept().unwrap();
        if dies {
            outward.reset();
        }
        drop(outward);
        assert_eq!(peer.read(&mut [0]).map_err(|error| error.kind()), end);
    }
}

#[test]
fn one_way_is_one_way() {
    let (bench, (listener, address)) = (Bench::new(Liar::default()), server());
    let outside = bench.outside(&[&tcp(address)]);
    let mut hears = outside.dial(&address.to_string(), Direction::Receive).unwrap();
    assert_eq!(connected(&mut hears), Ok(()));
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(hears.send(b"x"), Err(Error::PIPE));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.write_all(b"hello").unwrap();
    assert_eq!(received(&mut hears, 5).unwrap(), b"hello");
    let mut says = outside.dial(&address.to_string(), Direction::Send).unwrap();
    assert_eq!(connected(&mut says), Ok(()));
    assert_eq!((says.receive(&mut [0], false), says.send(b"x")), (Ok(0), Ok(1)));
}
