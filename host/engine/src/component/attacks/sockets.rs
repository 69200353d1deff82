//! Calls of `wasi:sockets` in every order but the right one, and the right one too.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use qyv_vfs::{Budget, Vfs};
use qyv_wasi::{Direction, Error, Listener, Right};
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, StreamError};

use super::fake::FakeHost;
use super::lend;
use crate::component::bindings::sockets::instance_network::Host as _;
use crate::component::bindings::sockets::ip_name_lookup::{Host as _, HostResolveAddressStream as _};
use crate::component::bindings::sockets::network::{
    ErrorCode, Host as _, IpAddress, IpAddressFamily, IpSocketAddress,
};
use crate::component::bindings::sockets::tcp::{HostTcpSocket, ShutdownType};
use crate::component::bindings::sockets::tcp_create_socket::Host as _;
use crate::component::connection::{CONNECTION_BYTES, SEND_PERMIT};
use crate::component::network::{Network, SocketError};
use crate::component::tcp::TcpSocket;
use crate::component::{ComponentConfig, ComponentLimits, ComponentState, Lent, Services};

type Tcp = Resource<TcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

const DESCRIPTORS: u64 = 8;
const RESOURCES: usize = 40;

struct Bench {
    state: ComponentState,
    host: FakeHost,
    lent: Arc<Lent<FakeHost>>,
    memory: Budget,
    network: Resource<Network>,
}

impl Bench {
    /// May dial `db`, and `gone`, which does not exist; offers `web`, `own/5`, `own/6` and two addresses.
    fn new() -> Self {
        let host = FakeHost::default();
        host.state().services = vec![("db", Ok(())), ("gone", Err(Error::NOENT))];
        let lent = Lent::new(host.clone());
        let memory = Budget::new(10 * CONNECTION_BYTES);
        let listeners = ["web", "own/5", "own/6", "tcp://127.0.0.1:80", "tcp://10.0.0.2:82"];
        let listeners = listeners.into_iter().map(str::to_owned).zip((0..).map(Listener)).collect();
        let config = ComponentConfig {
            args: vec![],
            env: vec![],
            vfs: Vfs::new(),
            preopens: vec![],
            services: Some(Services::new(lent.clone(), listeners, memory.clone())),
            outside: None,
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(tokio::io::empty()),
            stderr: Box::new(tokio::io::empty()),
            descriptors: Budget::new(DESCRIPTORS),
            limits: ComponentLimits { resources: RESOURCES, ..ComponentLimits::default() },
        };
        let mut state = ComponentState::new(config).unwrap();
        let network = state.network().instance_network().unwrap();
        Self { state, host, lent, memory, network }
    }

    fn net(&mut self) -> crate::component::network::NetworkView<'_> {
        self.state.network()
    }

    fn resolve(&mut self, name: &str) -> Result<std::net::IpAddr, SocketError> {
        let network = lend(&self.network);
        let mut net = self.net();
        let stream = net.resolve_addresses(network, name.to_owned())?;
        let Some(IpAddress::Ipv4((a, b, c, d))) = net.resolve_next_address(lend(&stream))? else {
            panic!("no address")
        };
        assert!(net.resolve_next_address(lend(&stream))?.is_none());
        crate::component::bindings::sockets::ip_name_lookup::HostResolveAddressStream::drop(&mut net, stream)
            .unwrap();
        Ok(std::net::Ipv4Addr::new(a, b, c, d).into())
    }

    fn socket(&mut self) -> Tcp {
        self.net().create_tcp_socket(IpAddressFamily::Ipv4).unwrap()
    }

    fn start_connect(&mut self, socket: &Tcp, address: (std::net::IpAddr, u16)) -> Result<(), SocketError> {
        let network = lend(&self.network);
        let address = IpSocketAddress::from(std::net::SocketAddr::from(address));
        self.net().start_connect(lend(socket), network, address)
    }

    fn bind(&mut self, socket: &Tcp, address: &str) -> Result<(), SocketError> {
        let network = lend(&self.network);
        let address: std::net::SocketAddr = address.parse().unwrap();
        self.net().start_bind(lend(socket), network, address.into())?;
        self.net().finish_bind(lend(socket))
    }

    /// A connection to `db`.
    fn connect(&mut self) -> (Tcp, Streams) {
        let address = self.resolve("db.svc").unwrap();
        let socket = self.socket();
        self.start_connect(&socket, (address, 7)).unwrap();
        let streams = self.net().finish_connect(lend(&socket)).unwrap();
        (socket, streams)
    }

    fn listen(&mut self, address: &str) -> Tcp {
        let socket = self.socket();
        self.bind(&socket, address).unwrap();
        self.net().start_listen(lend(&socket)).unwrap();
        self.net().finish_listen(lend(&socket)).unwrap();
        socket
    }

    fn input(&mut self, streams: &Streams) -> &mut DynInputStream {
        self.state.table().get_mut(&streams.0).unwrap()
    }

    fn output(&mut self, streams: &Streams) -> &mut DynOutputStream {
        self.state.table().get_mut(&streams.1).unwrap()
    }
}

/// The code of a refusal; a trap or a success is a failure of the test.
#[track_caller]
fn code<T>(result: Result<T, SocketError>) -> ErrorCode {
    match result {
        Err(SocketError::Code(code)) => code,
        Err(SocketError::Trap(error)) => panic!("a trap: {error:?}"),
        Ok(_) => panic!("a success"),
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once; returns also how often it woke itself.
fn poll_once<F: Future>(future: F) -> (Poll<F::Output>, usize) {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let polled = pin!(future).poll(&mut Context::from_waker(&waker));
    (polled, bell.0.load(Ordering::SeqCst))
}

#[test]
fn names_lead_to_services_alone() {
    let mut bench = Bench::new();
    let db = bench.resolve("db.svc").unwrap();
    assert_eq!(bench.resolve("db.svc").unwrap(), db);
    assert_ne!(bench.resolve("web.svc").unwrap(), db, "what it offers itself");
    assert_eq!(code(bench.resolve("gone.svc")), ErrorCode::NameUnresolvable);
    for refused in ["secret.svc", ".svc", "db.svc.", "db", "localhost", "", "DB.svc", "db.svc.svc"] {
        assert_eq!(code(bench.resolve(refused)), ErrorCode::AccessDenied, "{refused}");
    }
    let rights: Vec<_> = bench.state.denials().iter().map(|denial| denial.right.clone()).take(5).collect();
    let expected = [
        Right::Dial("secret".into()),
        Right::Dial(String::new()),
        Right::Connect("db.svc.".into()),
        Right::Connect("db".into()),
        Right::Connect("localhost".into()),
    ];
    assert_eq!(rights, expected);
    assert!(bench.host.state().dials.is_empty(), "looking up dials nothing");
}

#[test]
fn a_port_is_dialled_and_one_stands_for_the_service() {
    let mut bench = Bench::new();
    let db = bench.resolve("db.svc").unwrap();
    for port in [7, 1, 65535] {
        let socket = bench.socket();
        bench.start_connect(&socket, (db, port)).unwrap();
    }
    let expected = [("db".to_owned(), Some(7)), ("db".to_owned(), None), ("db".to_owned(), Some(65535))];
    assert_eq!(bench.host.state().dials, expected);
    let socket = bench.socket();
    assert_eq!(code(bench.start_connect(&socket, (db, 0))), ErrorCode::InvalidArgument);
    let socket = bench.socket();
    assert_eq!(code(bench.start_connect(&socket, (db, 111))), ErrorCode::ConnectionRefused);
    assert_eq!(code(bench.start_connect(&socket, (db, 7))), ErrorCode::InvalidState, "it has failed");
    // What was looked up and may not be dialled any more, or is gone.
    for (there, expected) in
        [(Err(Error::NOENT), ErrorCode::RemoteUnreachable), (Ok(()), ErrorCode::AccessDenied)]
    {
        let mut services = vec![("db", there)];
        if expected == ErrorCode::AccessDenied {
            services.clear();
        }
        bench.host.state().services = services;
        let socket = bench.socket();
        assert_eq!(code(bench.start_connect(&socket, (db, 7))), expected);
    }
    let denial = bench.state.denials().last().unwrap().clone();
    assert_eq!((denial.call, &*denial.what), ("start-connect", "db.svc:7"));
    assert_eq!(denial.right, Right::Dial("db".into()));
}

#[test]
fn addresses_that_were_not_given_out_are_refused() {
    let mut bench = Bench::new();
    bench.resolve("db.svc").unwrap();
    for address in ["127.128.1.1", "127.128.0.1", "127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254"] {
        let socket = bench.socket();
        let refused = bench.start_connect(&socket, (address.parse().unwrap(), 80));
        assert_eq!(code(refused), ErrorCode::AccessDenied, "{address}");
        let right = Right::Connect(format!("tcp://{address}:80"));
        assert_eq!(bench.state.denials().last().unwrap().right, right);
    }
    let socket = bench.socket();
    let other_family = bench.start_connect(&socket, ("::1".parse().unwrap(), 80));
    assert_eq!(code(other_family), ErrorCode::InvalidArgument);
    assert!(bench.host.state().dials.is_empty());
}

#[test]
fn a_dial_that_takes_time_is_waited_for() {
    let mut bench = Bench::new();
    bench.host.state().slow = true;
    let db = bench.resolve("db.svc").unwrap();
    let socket = bench.socket();
    assert_eq!(code(bench.net().finish_connect(lend(&socket))), ErrorCode::NotInProgress);
    bench.start_connect(&socket, (db, 7)).unwrap();
    assert_eq!(code(bench.start_connect(&socket, (db, 7))), ErrorCode::ConcurrencyConflict);
    assert_eq!(code(bench.net().finish_connect(lend(&socket))), ErrorCode::WouldBlock);
    assert_eq!(code(bench.net().shutdown(lend(&socket), ShutdownType::Both)), ErrorCode::InvalidState);
    let pollable = |bench: &mut Bench| {
        let socket = bench.state.table().get_mut(&lend(&socket)).unwrap();
        poll_once(wasmtime_wasi_io::poll::Pollable::ready(socket))
    };
    assert_eq!(pollable(&mut bench), (Poll::Pending, 0));
    bench.host.state().restless = true;
    assert_eq!(pollable(&mut bench), (Poll::Pending, 1), "a wake-up for nothing is another look");
    bench.host.state().lines[0].failure = Some(Error::CONNREFUSED);
    assert_eq!(pollable(&mut bench), (Poll::Ready(()), 0));
    assert_eq!(code(bench.net().finish_connect(lend(&socket))), ErrorCode::ConnectionRefused);
    assert_eq!(code(bench.net().finish_connect(lend(&socket))), ErrorCode::NotInProgress);
    assert_eq!(bench.host.held(), 0, "what failed is given back");
    bench.host.state().slow = false;
    let (socket, _) = bench.connect();
    assert_eq!(code(bench.start_connect(&socket, (db, 7))), ErrorCode::InvalidState, "twice");
    assert_eq!(code(bench.net().accept(lend(&socket))), ErrorCode::InvalidState);
    assert_eq!(code(bench.net().start_listen(lend(&socket))), ErrorCode::InvalidState);
    assert_eq!(bench.host.state().dials.len(), 2);
}

#[test]
fn what_is_offered_is_bound_once() {
    let mut bench = Bench::new();
    let own = bench.resolve("own.svc").unwrap();
    let refused = |bench: &mut Bench, address: &str| {
        let socket = bench.socket();
        let code = code(bench.bind(&socket, address));
        HostTcpSocket::drop(&mut bench.net(), socket).unwrap();
        code
    };
    for address in [
        "127.0.0.1:0",
        "0.0.0.0:81",
        "10.0.0.1:80",
        "10.0.0.2:80",
        "10.0.0.1:82",
        "127.0.0.2:80",
        "127.128.0.1:80",
    ] {
        assert_eq!(refused(&mut bench, address), ErrorCode::AccessDenied, "{address}");
        assert_eq!(bench.state.denials().last().unwrap().right, Right::Listen);
    }
    assert_eq!(refused(&mut bench, &format!("{own}:80")), ErrorCode::AccessDenied, "not its own");
    // Where it was granted to listen, as it is written there.
    let granted = bench.socket();
    bench.bind(&granted, "10.0.0.2:82").unwrap();
    assert_eq!(refused(&mut bench, "0.0.0.0:82"), ErrorCode::AddressInUse);
    let socket = bench.socket();
    assert_eq!(code(bench.net().accept(lend(&socket))), ErrorCode::InvalidState, "not bound");
    assert_eq!(code(bench.net().start_listen(lend(&socket))), ErrorCode::InvalidState);
    bench.bind(&socket, "0.0.0.0:1").unwrap();
    assert_eq!(code(bench.bind(&socket, "0.0.0.0:5")), ErrorCode::InvalidState);
    assert_eq!(code(bench.net().accept(lend(&socket))), ErrorCode::InvalidState, "not listening");
    bench.net().start_listen(lend(&socket)).unwrap();
    assert_eq!(code(bench.net().start_listen(lend(&socket))), ErrorCode::ConcurrencyConflict);
    assert_eq!(code(bench.net().accept(lend(&socket))), ErrorCode::InvalidState);
    bench.net().finish_listen(lend(&socket)).unwrap();
    assert_eq!(code(bench.net().accept(lend(&socket))), ErrorCode::WouldBlock);
    assert!(bench.net().is_listening(lend(&socket)).unwrap());
    assert_eq!(refused(&mut bench, "127.0.0.1:1"), ErrorCode::AddressInUse);
    let (_six, _five, _web) =
        (bench.listen(&format!("{own}:6")), bench.listen(&format!("{own}:1")), bench.listen("127.0.0.1:80"));
    assert_eq!(refused(&mut bench, "0.0.0.0:5"), ErrorCode::AddressInUse);
    // To drop a listening socket closes it, for good.
    HostTcpSocket::drop(&mut bench.net(), socket).unwrap();
    assert_eq!(bench.host.state().closed, [Listener(0)]);
    assert_eq!(refused(&mut bench, "127.0.0.1:1"), ErrorCode::AddressInUse);
}

#[test]
fn connections_are_accepted_and_none_is_lost_for_want_of_room() {
    let mut bench = Bench::new();
    let listener = bench.listen("0.0.0.0:80");
    bench.host.state().backlog = 3;
    let (socket, input, output) = bench.net().accept(lend(&listener)).unwrap();
    let remote = bench.net().remote_address(lend(&socket)).unwrap();
    assert!(std::net::SocketAddr::from(remote).ip().is_loopback());
    bench.host.state().lines[0].incoming.extend(b"hello");
    assert_eq!(bench.input(&(input, output)).read(3).unwrap(), "hel");
    // Neither a socket nor a stream has room.
    let mut fill = vec![];
    while let Ok(network) = bench.net().instance_network() {
        fill.push(network);
    }
    for room in 0..3 {
        assert_eq!(code(bench.net().accept(lend(&listener))), ErrorCode::NewSocketLimit, "{room}");
        let network = fill.pop().unwrap();
        bench.state.table().delete(network).unwrap();
    }
    assert_eq!(bench.host.counts(), (2, 1));
    bench.net().accept(lend(&listener)).unwrap();
    assert_eq!(bench.host.counts(), (2, 1));
}

#[test]
fn connections_run_out_and_come_back() {
    let mut bench = Bench::new();
    let db = bench.resolve("db.svc").unwrap();
    let unused = bench.memory.used();
    for _ in 0..3 {
        let mut sockets = vec![];
        let refused = loop {
            let socket = bench.socket();
            match bench.start_connect(&socket, (db, 7)) {
                Ok(()) => sockets.push(socket),
                Err(error) => {
                    HostTcpSocket::drop(&mut bench.net(), socket).unwrap();
                    break error;
                }
            }
        };
        assert_eq!(code::<()>(Err(refused)), ErrorCode::NewSocketLimit);
        assert_eq!(sockets.len() as u64, DESCRIPTORS);
        assert_eq!(bench.memory.used() - unused, DESCRIPTORS * CONNECTION_BYTES);
        for socket in sockets {
            HostTcpSocket::drop(&mut bench.net(), socket).unwrap();
        }
        assert_eq!((bench.host.held(), bench.memory.used()), (0, unused));
    }
    assert!(bench.memory.try_take(10 * CONNECTION_BYTES - 1));
    let socket = bench.socket();
    assert_eq!(code(bench.start_connect(&socket, (db, 7))), ErrorCode::OutOfMemory);
    assert_eq!(bench.host.held(), 0);
}

#[test]
fn writes_keep_to_what_is_permitted() {
    let mut bench = Bench::new();
    let (socket, streams) = bench.connect();
    assert_eq!(bench.output(&streams).check_write().unwrap(), SEND_PERMIT);
    let huge = bench.output(&streams).write(vec![0; SEND_PERMIT + 1].into());
    assert!(matches!(huge, Err(StreamError::Trap(_))));
    assert!(matches!(bench.output(&streams).write_zeroes(usize::MAX), Err(StreamError::Trap(_))));
    bench.host.state().lines[0].room = 100;
    assert_eq!(bench.output(&streams).check_write().unwrap(), 100);
    // The host takes less than it said, as one does whose memory is short.
    bench.host.state().lines[0].takes = 30;
    bench.output(&streams).write(vec![1; 100].into()).unwrap();
    assert_eq!(bench.host.state().lines[0].sent.len(), 30);
    assert_eq!(bench.output(&streams).check_write().unwrap(), 0);
    assert!(matches!(bench.output(&streams).write(vec![2].into()), Err(StreamError::Trap(_))));
    assert!(poll_once(bench.output(&streams).ready()).0.is_pending());
    bench.output(&streams).flush().unwrap();
    // The end comes after what was written, whoever looks next.
    bench.net().shutdown(lend(&socket), ShutdownType::Send).unwrap();
    assert!(bench.host.state().lines[0].shut.is_empty());
    assert!(poll_once(bench.output(&streams).cancel()).0.is_pending());
    bench.host.state().lines[0].takes = usize::MAX;
    assert!(poll_once(bench.input(&streams).ready()).0.is_pending());
    assert_eq!(bench.host.state().lines[0].sent, [1; 100]);
    assert_eq!(bench.host.state().lines[0].shut, [Direction::Send]);
    assert!(matches!(bench.output(&streams).check_write(), Err(StreamError::Closed)));
    assert!(matches!(bench.output(&streams).write(vec![2].into()), Err(StreamError::Closed)));
    assert!(poll_once(bench.output(&streams).ready()).0.is_ready());
    assert!(poll_once(bench.output(&streams).cancel()).0.is_ready());
    bench.net().shutdown(lend(&socket), ShutdownType::Both).unwrap();
    assert_eq!(bench.host.state().lines[0].shut, [Direction::Send, Direction::Receive]);
}

#[test]
fn a_full_line_waits_and_an_empty_one_too() {
    let mut bench = Bench::new();
    let (_socket, streams) = bench.connect();
    bench.host.state().lines[0].room = 0;
    assert_eq!(bench.output(&streams).check_write().unwrap(), 0);
    assert!(poll_once(bench.output(&streams).ready()).0.is_pending());
    assert!(bench.input(&streams).read(10).unwrap().is_empty());
    assert!(poll_once(bench.input(&streams).ready()).0.is_pending());
    assert!(bench.host.state().waker.is_some());
    bench.host.state().restless = true;
    for _ in 0..20 {
        let (polled, woken) = poll_once(bench.input(&streams).blocking_read(10));
        assert!(polled.is_pending() && woken == 1);
    }
    bench.host.state().lines[0].incoming.extend([5; 1000]);
    assert_eq!(bench.input(&streams).read(0).unwrap().len(), 0);
    assert_eq!(bench.input(&streams).read(usize::MAX).unwrap().len(), 1000);
    bench.host.state().lines[0].ended = true;
    for _ in 0..2 {
        assert!(matches!(bench.input(&streams).read(1), Err(StreamError::Closed)));
    }
}

#[test]
fn failures_have_names() {
    for (failure, expected) in [
        (Error::CONNRESET, Some(ErrorCode::ConnectionReset)),
        (Error::CONNABORTED, Some(ErrorCode::ConnectionAborted)),
        (Error::NOMEM, Some(ErrorCode::OutOfMemory)),
        (Error::PIPE, None),
    ] {
        let mut bench = Bench::new();
        let (_socket, streams) = bench.connect();
        bench.host.state().lines[0].takes = 1;
        bench.output(&streams).write(vec![1; 2].into()).unwrap();
        bench.host.state().lines[0].failure = Some(failure);
        assert!(poll_once(bench.output(&streams).ready()).0.is_ready());
        let failed = [
            bench.output(&streams).check_write().map(drop),
            bench.output(&streams).write(vec![1].into()),
            bench.output(&streams).flush(),
            bench.input(&streams).read(1).map(drop),
        ];
        for failed in failed {
            let got = match failed {
                Err(StreamError::LastOperationFailed(error)) => {
                    assert!(super::super::error::code_of(&error).is_none(), "no file's");
                    let error = bench.state.table().push(error).unwrap();
                    bench.net().network_error_code(error).unwrap()
                }
                Err(StreamError::Closed) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn handles_that_are_gone_or_have_children_end_the_guest() {
    let mut bench = Bench::new();
    let (socket, streams) = bench.connect();
    let rep = socket.rep();
    assert!(HostTcpSocket::drop(&mut bench.net(), Tcp::new_own(rep)).is_err(), "its streams are there");
    for rep in [streams.0.rep(), bench.network.rep(), 9999, u32::MAX] {
        let bad = || Tcp::new_borrow(rep);
        let trap =
            |result: Result<(), SocketError>| assert!(matches!(result, Err(SocketError::Trap(_))), "{rep}");
        let network = lend(&bench.network);
        let address = IpSocketAddress::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut net = bench.net();
        trap(net.start_connect(bad(), lend(&network), address));
        trap(net.start_bind(bad(), lend(&network), address));
        trap(net.finish_connect(bad()).map(drop));
        trap(net.start_listen(bad()));
        trap(net.accept(bad()).map(drop));
        trap(net.shutdown(bad(), ShutdownType::Both));
        trap(net.set_hop_limit(bad(), 1));
        assert!(net.is_listening(bad()).is_err());
    }
    let no_network = Resource::new_borrow(socket.rep());
    let lookup = bench.net().resolve_addresses(no_network, "db.svc".into());
    assert!(matches!(lookup, Err(SocketError::Trap(_))));
    // The connection goes with the last that holds it.
    bench.state.table().delete(streams.0).unwrap();
    bench.state.table().delete(streams.1).unwrap();
    assert_eq!(bench.host.held(), 1);
    HostTcpSocket::drop(&mut bench.net(), socket).unwrap();
    assert_eq!(bench.host.held(), 0);
}

#[test]
fn options_are_kept_and_inherited_and_never_zero() {
    let mut bench = Bench::new();
    let listener = bench.listen("0.0.0.0:80");
    let mut net = bench.net();
    for refused in [
        net.set_hop_limit(lend(&listener), 0),
        net.set_keep_alive_count(lend(&listener), 0),
        net.set_keep_alive_idle_time(lend(&listener), 0),
        net.set_keep_alive_interval(lend(&listener), 0),
        net.set_send_buffer_size(lend(&listener), 0),
        net.set_receive_buffer_size(lend(&listener), 0),
        net.set_listen_backlog_size(lend(&listener), 0),
    ] {
        assert_eq!(code(refused), ErrorCode::InvalidArgument);
    }
    net.set_hop_limit(lend(&listener), 3).unwrap();
    net.set_send_buffer_size(lend(&listener), u64::MAX).unwrap();
    bench.host.state().backlog = 1;
    let (accepted, ..) = bench.net().accept(lend(&listener)).unwrap();
    let mut net = bench.net();
    assert_eq!(net.hop_limit(lend(&accepted)).unwrap(), 3);
    assert_eq!(net.send_buffer_size(lend(&accepted)).unwrap(), u64::MAX);
    assert!(!net.keep_alive_enabled(lend(&accepted)).unwrap());
}

#[test]
fn who_exits_closes_everything_and_who_dies_nothing() {
    for exits in [true, false] {
        let mut bench = Bench::new();
        let _held = (bench.connect(), bench.listen("0.0.0.0:80"));
        let Bench { mut state, host, lent, memory, .. } = bench;
        if exits {
            state.close_all();
            assert_eq!((host.held(), host.state().closed.len(), memory.used()), (0, 5, 0));
        }
        lent.leave(state.denials());
        drop(state);
        // The host would have noticed a call after the end.
        let open = usize::from(!exits);
        assert_eq!((host.held(), host.state().ended, memory.used()), (open, true, 0));
    }
}
