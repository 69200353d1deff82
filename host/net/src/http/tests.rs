//! Requests against servers on this machine, honest and not.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use qyv_svc::outbound::Outbound;
use qyv_vfs::Budget;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::runtime::Runtime;

use super::{Fault, Timeouts};
use crate::net::Patience;
use crate::{Net, Outside, Resolver, Roots};

const LONG: Duration = Duration::from_secs(20);

/// Every name is this machine.
struct Here;

impl Resolver for Here {
    fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}

struct Bench {
    outside: Arc<Outside>,
    memory: Budget,
    reactor: Runtime,
}

impl Bench {
    fn new(grants: &[&str], roots: Roots) -> Self {
        let reactor =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let patience = Patience { resolve: LONG, connect: LONG };
        let net = Net::with_patience(reactor.handle().clone(), Here, roots, patience);
        let granted = Outbound::new(grants.iter().map(|grant| grant.parse().unwrap()), false);
        let memory = Budget::new(1 << 20);
        Self { outside: Outside::new(&net, granted, 4, &memory), memory, reactor }
    }

    /// Status and body of the answer.
    fn get(&self, uri: &str, timeouts: Timeouts) -> Result<(u16, Vec<u8>), Fault> {
        self.send(Request::get(uri).body(Full::default()).unwrap(), timeouts)
    }

    fn send(&self, request: Request<Full<Bytes>>, timeouts: Timeouts) -> Result<(u16, Vec<u8>), Fault> {
        let sending = self.outside.request(request, timeouts)?;
        self.reactor.block_on(async {
            let answer = tokio::time::timeout(LONG, sending).await.expect("it ends")?;
            let status = answer.status().as_u16();
            let body = tokio::time::timeout(LONG, answer.into_body().collect()).await.expect("it ends")?;
            Ok((status, body.to_bytes().to_vec()))
        })
    }
}

/// A server that does `serve` with each connection, and its address.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().filter_map(Result::ok).for_each(serve));
    address
}

/// Reads until the head of a request is over.
fn head(stream: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn none() -> Timeouts {
    Timeouts::default()
}

fn short() -> Timeouts {
    let soon = Some(Duration::from_millis(50));
    Timeouts { connect: Some(LONG), first_byte: soon, between_bytes: soon }
}

#[test]
fn a_granted_server_is_asked_and_answers() {
    let (said, heard) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        said.send(head(&mut stream)).unwrap();
        stream.write_all(HELLO).unwrap();
    });
    let bench = Bench::new(&[&format!("http://{address}")], Roots::mozilla());
    let uri = format!("http://{address}/path?query");
    assert_eq!(bench.get(&uri, none()), Ok((200, b"hello".to_vec())));
    let head = heard.recv().unwrap();
    assert!(head.starts_with("GET /path?query HTTP/1.1\r\n"), "{head}");
    assert_eq!(head.matches(&format!("host: {address}\r\n")).count(), 1, "{head}");
    // The host that the server hears of is the one that was checked.
    let lies =
        Request::get(format!("http://{address}")).header("host", "other.example").body(Full::default());
    assert_eq!(bench.send(lies.unwrap(), none()).map(|(status, _)| status), Ok(200));
    let head = heard.recv().unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\n") && !head.contains("other.example"), "{head}");
    assert_eq!(bench.memory.used(), 0);
}

#[test]
fn what_was_not_granted_is_refused_at_once() {
    let bench = Bench::new(&["https://a.example", "http://127.0.0.1:1"], Roots::mozilla());
    for (uri, missing) in [
        ("http://a.example/", "http://a.example"),
        ("https://a.example:444/", "https://a.example:444"),
        ("https://b.example/", "https://b.example"),
        ("https://a.example.evil/", "https://a.example.evil"),
        ("https://127.0.0.1:1/", "https://127.0.0.1:1"),
        ("http://[::1]:1/", "http://[::1]:1"),
        ("http://[::ffff:7f00:2]:1/", "http://127.0.0.2:1"),
    ] {
        assert_eq!(bench.get(uri, none()), Err(Fault::Denied(Some(missing.into()))), "{uri}");
    }
    for uri in
        ["https://user@a.example/", "ftp://a.example/", "/path", "https://a.example:0/", "https://a_b/"]
    {
        assert_eq!(bench.get(uri, none()), Err(Fault::Uri), "{uri}");
    }
    let tunnel = Request::connect("https://a.example:443/").body(Full::default()).unwrap();
    assert_eq!(bench.send(tunnel, none()), Err(Fault::Uri));
}

#[test]
fn a_name_that_stands_for_this_machine_is_refused_unless_its_number_is_granted() {
    let address = server(|mut stream| {
        head(&mut stream);
        stream.write_all(HELLO).unwrap();
    });
    let (uri, port) = (format!("http://a.example:{}/", address.port()), address.port());
    let grant = format!("http://a.example:{port}");
    let bench = Bench::new(&[&grant], Roots::mozilla());
    assert_eq!(bench.get(&uri, none()), Err(Fault::Denied(Some(format!("http://{address}")))));
    let bench = Bench::new(&[&grant, &format!("http://{address}")], Roots::mozilla());
    assert_eq!(bench.get(&uri, none()).map(|(status, _)| status), Ok(200));
}

#[test]
fn a_redirect_is_the_answer() {
    let address = server(|mut stream| {
        head(&mut stream);
        let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let bench = Bench::new(&[&format!("http://{address}")], Roots::mozilla());
    assert_eq!(bench.get(&format!("http://{address}/"), none()), Ok((302, Vec::new())));
}

#[test]
fn servers_that_misbehave_are_bounded_in_time_and_size() {
    type Serve = fn(TcpStream);
    let silent: Serve = |mut stream| {
        head(&mut stream);
        thread::spawn(move || (thread::sleep(LONG), stream));
    };
    let stalls: Serve = |mut stream| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").unwrap();
        thread::spawn(move || (thread::sleep(LONG), stream));
    };
    let huge: Serve = |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ");
        let _ = stream.write_all(&vec![b'a'; 4 << 20]);
    };
    let many: Serve = |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        let _ = stream.write_all(&b"a: b\r\n".repeat(100_000));
    };
    let cut: Serve = |mut stream| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").unwrap();
    };
    let endless: Serve = |mut stream| {
        head(&mut stream);
        thread::spawn(move || while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {});
    };
    // What a server has not read when it closes makes a reset of its answer.
    let other: Serve = |mut stream| {
        head(&mut stream);
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
    };
    let hangs_up: Serve = |stream| drop(stream);
    for (name, serve, timeouts, good) in [
        ("silent", silent, short(), &(|fault: &Fault| *fault == Fault::Silence) as &dyn Fn(&Fault) -> bool),
        ("stalls", stalls, short(), &|fault| *fault == Fault::Silence),
        ("huge", huge, none(), &|fault| *fault == Fault::HeadTooLarge),
        ("many", many, none(), &|fault| *fault == Fault::HeadTooLarge),
        ("cut", cut, none(), &|fault| *fault == Fault::Terminated),
        ("endless", endless, short(), &|fault| *fault == Fault::Silence),
        ("other", other, none(), &|fault| matches!(fault, Fault::Protocol(_))),
        ("hangs up", hangs_up, none(), &|fault| matches!(fault, Fault::Terminated | Fault::Protocol(_))),
    ] {
        let address = server(serve);
        let bench = Bench::new(&[&format!("http://{address}")], Roots::mozilla());
        let fault = bench.get(&format!("http://{address}/"), timeouts).unwrap_err();
        assert!(good(&fault), "{name}: {fault:?}");
        assert_eq!(bench.memory.used(), 0, "{name}");
        assert!(bench.memory.peak() < 256 << 10, "{name}");
    }
}

#[test]
fn requests_count_as_connections() {
    let address = server(|mut stream| {
        head(&mut stream);
        thread::spawn(move || (thread::sleep(LONG), stream));
    });
    let bench = Bench::new(&[&format!("http://{address}")], Roots::mozilla());
    let uri = format!("http://{address}/");
    let request = || Request::get(&uri).body(Full::<Bytes>::default()).unwrap();
    let open: Vec<_> = (0..4).map(|_| bench.outside.request(request(), none()).ok().unwrap()).collect();
    assert_eq!(bench.outside.request(request(), none()).err(), Some(Fault::Limit));
    drop(open);
    let freed = std::time::Instant::now() + LONG;
    while bench.memory.used() > 0 {
        assert!(std::time::Instant::now() < freed, "what was given up is still charged");
        thread::yield_now();
    }
    assert!(bench.outside.request(request(), none()).is_ok());
}

#[test]
fn what_is_taken_back_ends_the_answer() {
    let address = server(|mut stream| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").unwrap();
        thread::spawn(move || (thread::sleep(LONG), stream));
    });
    let bench = Bench::new(&[&format!("http://{address}")], Roots::mozilla());
    let request = Request::get(format!("http://{address}/")).body(Full::<Bytes>::default()).unwrap();
    let sending = bench.outside.request(request, none()).ok().unwrap();
    let end = bench.reactor.block_on(async {
        let mut body = sending.await.ok().unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hel");
        bench.outside.grant(Outbound::default());
        tokio::time::timeout(LONG, body.frame()).await.expect("it ends")
    });
    assert_eq!(end.unwrap().err(), Some(Fault::Denied(None)));
}

/// An authority, and a server for `name` whose certificate it signed.
fn tls_server(name: &str) -> (Roots, SocketAddr) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let config = Arc::new(config);
    let address = server(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        if !head(&mut stream).is_empty() {
            let _ = stream.write_all(HELLO);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (Roots::from_pem(authority.pem().into_bytes()), address)
}

#[test]
fn over_tls_the_server_shows_who_it_is() {
    for name in ["a.example", "127.0.0.1"] {
        let (roots, address) = tls_server(name);
        let port = address.port();
        let grants = [
            format!("https://a.example:{port}"),
            format!("https://b.example:{port}"),
            format!("https://{address}"),
        ];
        let grants = grants.each_ref().map(String::as_str);
        let trusting = Bench::new(&grants, roots);
        let answer = trusting.get(&format!("https://{name}:{port}/"), none());
        assert_eq!(answer, Ok((200, b"hello".to_vec())));
        // Another name, and an authority that nobody knows.
        let other = trusting.get(&format!("https://b.example:{port}/"), none());
        assert!(matches!(other, Err(Fault::Certificate(_))), "{other:?}");
        let strange = Bench::new(&grants, Roots::mozilla()).get(&format!("https://{name}:{port}/"), none());
        assert!(matches!(strange, Err(Fault::Certificate(_))), "{strange:?}");
    }
    let plain = server(|mut stream| stream.write_all(HELLO).unwrap());
    let bench = Bench::new(&[&format!("https://{plain}")], Roots::mozilla());
    let answer = bench.get(&format!("https://{plain}/"), none());
    assert!(matches!(answer, Err(Fault::Tls(_) | Fault::Terminated)), "{answer:?}");
    let empty = Bench::new(&[&format!("https://{plain}")], Roots::from_pem(b"nothing".to_vec()));
    let answer = empty.get(&format!("https://{plain}/"), none());
    assert!(matches!(&answer, Err(Fault::Tls(why)) if why.contains("SSL_CERT_FILE")), "{answer:?}");
}
