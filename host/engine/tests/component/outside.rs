//! The program reaches out of its host, as far as that was granted.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use qyv_svc::outbound::Outbound;
use qyv_vfs::{Budget, Vfs};
use qyv_wasi::{
    Clock, Denial, Direction, Error, Host, Interest, Readiness, Result, Right, Socket, Source, Stream,
    StreamKind, Wait,
};
use qyvol_engine::component::{
    ComponentConfig, ComponentLimits, ComponentState, Lent, Prepared, Services, SinkStream, add_to_linker,
};
use qyvol_engine::shared::SharedHost;
use qyvol_net::{Net, Outside, Outward, Resolver, Roots};
use wasmtime::Store;
use wasmtime::component::Linker;

use super::GUEST;

/// A host that has nothing but the network outside.
struct Out {
    outside: Arc<Outside>,
    held: Vec<Option<Outward>>,
}

impl Out {
    fn keep(&mut self, outward: Outward) -> Socket {
        self.held.push(Some(outward));
        Socket(u32::try_from(self.held.len() - 1).unwrap())
    }

    fn get(&mut self, socket: Socket) -> &mut Outward {
        self.held[socket.0 as usize].as_mut().expect("it is open")
    }
}

impl Host for Out {
    fn clock_now(&mut self, _: Clock) -> Result<u64> {
        Err(Error::INVAL)
    }

    fn clock_resolution(&mut self, _: Clock) -> Result<u64> {
        Err(Error::INVAL)
    }

    fn random(&mut self, _: &mut [u8]) -> Result<()> {
        Err(Error::NOSYS)
    }

    fn stream_read(&mut self, _: Stream, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn stream_write(&mut self, _: Stream, from: &[u8]) -> Result<usize> {
        Ok(from.len())
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Null
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        let Source::Socket(socket) = source else { panic!("nothing else is there") };
        self.get(socket).ready(interest, None)
    }

    fn yield_now(&mut self) {}

    fn look_up(&mut self, name: &str) -> Result<Socket> {
        let look_up = self.outside.look_up(name)?;
        Ok(self.keep(look_up))
    }

    fn addresses(&mut self, look_up: Socket) -> Result<Vec<IpAddr>> {
        self.get(look_up).addresses()
    }

    fn connect(&mut self, address: SocketAddr) -> Result<Socket> {
        let outward = self.outside.connect(address)?;
        Ok(self.keep(outward))
    }

    fn connected(&mut self, socket: Socket) -> Result<()> {
        self.get(socket).connected()
    }

    fn missing(&mut self, socket: Socket) -> Option<String> {
        self.get(socket).missing()
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        self.get(socket).receive(into, peek)
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        self.get(socket).send(from)
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        self.get(socket).shutdown(direction)
    }

    fn close(&mut self, source: Source) {
        let Source::Socket(socket) = source else { panic!("nothing else is there") };
        self.held[socket.0 as usize].take().expect("it is closed once");
    }
}

impl SharedHost for Out {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        let ready = wait.sources().iter().any(|(source, interest)| {
            let Source::Socket(socket) = source else { panic!("nothing else is there") };
            self.get(*socket).ready(*interest, Some(context.waker())).is_some()
        });
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn ended(&mut self, _: &[Denial]) {}
}

/// Every name but `nobody` is this machine.
struct Here;

impl Resolver for Here {
    fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        if name.starts_with("nobody") {
            return Err(std::io::Error::other("no such name"));
        }
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}

/// What came of the program: its code, what it printed, what it was refused.
fn run(grants: &[String], args: &[&str]) -> (u8, String, Vec<Denial>) {
    let reactor = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let net = Net::new(reactor.handle().clone(), Here, Roots::mozilla());
    let granted = Outbound::new(grants.iter().map(|grant| grant.parse().unwrap()), false);
    let memory = Budget::new(1 << 20);
    let outside = Outside::new(&net, granted, 16, &memory);
    let host = Out { outside: Arc::clone(&outside), held: Vec::new() };
    let stdout = Arc::new(Mutex::new(Vec::new()));
    let config = ComponentConfig {
        args: ["guest-p2"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        vfs: Vfs::new(),
        preopens: vec![],
        services: Some(Services::new(Lent::new(host), Vec::new(), memory.clone())),
        outside: Some(outside),
        stdin: Box::new(tokio::io::empty()),
        stdout: Box::new(SinkStream::new(stdout.clone(), false)),
        stderr: Box::new(SinkStream::new(stdout.clone(), false)),
        descriptors: Budget::new(64),
        limits: ComponentLimits::default(),
    };
    let (engine, _, component) = &*GUEST;
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker).unwrap();
    let prepared = Prepared::new(&linker, component).unwrap();
    let mut store = Store::new(engine, ComponentState::new(config).unwrap());
    store.set_epoch_deadline(1);
    let code = reactor.block_on(prepared.run(&mut store)).unwrap();
    let denials = store.data_mut().denials().to_vec();
    drop(store);
    let text = String::from_utf8(stdout.lock().unwrap().clone()).unwrap();
    (code, text, denials)
}

/// A server that gives one caller back what it sends, in capitals, and its address.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        }
    });
    address
}

/// A server that answers requests with their first lines.
fn http_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len());
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[track_caller]
fn refused((code, text, denials): (u8, String, Vec<Denial>), call: &str, missing: &str) {
    assert_eq!(code, 1, "{text}");
    let found =
        denials.iter().any(|denial| denial.call == call && denial.right == Right::Connect(missing.into()));
    assert!(found, "`{missing}` by `{call}` is missing in {denials:?}");
}

#[test]
fn connections_by_number_and_by_name() {
    let address = server();
    let (number, name) = (format!("tcp://{address}"), format!("a.example:{}", address.port()));
    let ran = run(std::slice::from_ref(&number), &["dial", &address.to_string(), "hello"]);
    assert_eq!((ran.0, ran.1.as_str()), (0, "HELLO"), "{:?}", ran.2);
    let ran = run(&[number.clone(), format!("tcp://{name}")], &["dial", &name, "hello"]);
    assert_eq!((ran.0, ran.1.as_str()), (0, "HELLO"), "{:?}", ran.2);
    // The name alone stands for an address that it may not; the number alone grants no name.
    refused(run(&[format!("tcp://{name}")], &["dial", &name, "hello"]), "resolve-next-address", &number);
    refused(run(&[number], &["dial", &name, "hello"]), "resolve-addresses", "a.example");
    let other = format!("127.0.0.1:{}", address.port() ^ 1);
    let ran = run(&[format!("tcp://{address}")], &["dial", &other, "hello"]);
    refused(ran, "start-connect", &format!("tcp://{other}"));
    let ran = run(&["tcp://nobody.example:1".into()], &["dial", "nobody.example:1", "hello"]);
    assert_eq!((ran.0, ran.2), (1, vec![]));
}

#[test]
fn requests_of_http() {
    let address = http_server();
    let (number, port) = (format!("http://{address}"), address.port());
    let ran = run(std::slice::from_ref(&number), &["fetch", "http", &address.to_string(), "/a?b"]);
    assert_eq!((ran.0, ran.1.as_str()), (0, "200 GET /a?b HTTP/1.1"), "{:?}", ran.2);
    let tcp = format!("tcp://{address}");
    assert_eq!(run(&[tcp], &["fetch", "http", &address.to_string(), "/"]).0, 0);
    let ran = run(std::slice::from_ref(&number), &["fetch", "https", &address.to_string(), "/"]);
    refused(ran, "handle", &format!("https://{address}"));
    // It may ask, and its name stands for what it may not reach.
    let name = format!("a.example:{port}");
    let ran = run(&[format!("http://{name}")], &["fetch", "http", &name, "/"]);
    assert!(ran.1.contains("DestinationIpProhibited"), "{}", ran.1);
    refused(ran, "handle", &number);
    // A request is no bare connection.
    refused(
        run(&[number], &["dial", &address.to_string(), "x"]),
        "start-connect",
        &format!("tcp://{address}"),
    );
}
