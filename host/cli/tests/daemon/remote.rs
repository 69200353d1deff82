//! The API over TCP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::{PATIENCE, Ran, wait_until};

struct Remote {
    bench: Bench,
    address: String,
    certificate: String,
}

impl Remote {
    fn new() -> Self {
        let mut bench = Bench::new();
        bench.crash();
        bench.start_with(&["--listen", "127.0.0.1:0"]);
        let info = bench.get("/v1/info").expect(200).json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (address, certificate) = (text(&info["remote"]["address"]), text(&info["remote"]["certificate"]));
        Self { bench, address, certificate }
    }

    /// A command as on another host: it finds no socket.
    fn command(&self) -> Command {
        let mut command = self.bench.command();
        command.env("QYVOL_RUNTIME_DIR", self.bench.sandbox.path("elsewhere"));
        command.env("QYVOL_HOST", format!("https://{}", self.address));
        command.env("QYVOL_HOST_TOKEN", self.bench.sandbox.path("config/remote/token"));
        command.env("QYVOL_HOST_CERT", format!("sha256:{}", self.certificate));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().unwrap())
    }

    /// A connection of a client that trusts the daemon's certificate.
    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let pem = fs::read(self.bench.sandbox.path("config/remote/certificate.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(connection, stream)
    }

    /// What is answered to these bytes, up to the end of the connection.
    fn say(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // An end without the farewell of TLS is an end.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn a_client_of_another_host_does_all_that_one_here_does() {
    let remote = Remote::new();
    let sandbox = &remote.bench.sandbox;
    let printed = sandbox.run(&["daemon", "token"]).expect(0, &["another host"]).stdout;
    for line in [
        format!("export QYVOL_HOST=https://{}\n", remote.address),
        format!("export QYVOL_HOST_CERT=sha256:{}\n", remote.certificate),
        "config/remote/token\n".to_owned(),
    ] {
        assert!(printed.contains(&line), "`{line}` is missing in {printed}");
    }
    sandbox.module("far/main.wasm", SLEEPER);
    sandbox.write("far/far.qyv", "name: far\nentrypoint: main.wasm\ntype: service\n");
    remote.run(&["deploy", "far/far.qyv"]).expect(0, &[]);
    assert_eq!(remote.bench.state("far"), "ready");
    // Nothing of this host's folders is told to the daemon of another one.
    let inspected = remote.run(&["inspect", "far", "--json"]).expect(0, &[]).json();
    assert!(inspected["followed"].is_null(), "{inspected}");
    assert!(remote.run(&["logs", "far"]).expect(0, &[]).stdout.contains("awake"));
    assert!(remote.run(&["daemon", "status"]).expect(0, &[]).stdout.contains(&remote.address));
    remote.run(&["daemon", "start"]).expect(2, &["on that host"]);
    remote.run(&["deploy", "far/far.qyv", "--dir", "far::/data"]).expect(2, &["daemon's host"]);
    // A certificate may be known by who signed it, as by what it is.
    let by_file = remote
        .command()
        .env("QYVOL_HOST_CERT", sandbox.path("config/remote/certificate.pem"))
        .args(["ps"])
        .output();
    assert!(Ran::of(by_file.unwrap()).expect(0, &[]).stdout.contains("far"));
    remote.run(&["stop", "far"]).expect(0, &[]);
    remote.run(&["wait", "far"]).expect(143, &["it was stopped"]);
    remote.run(&["rm", "far"]).expect(0, &[]);
    assert_eq!(remote.bench.get("/v1/apps").expect(200).body, "[]");
}

#[test]
fn without_the_token_and_the_certificate_nothing_is_said() {
    let remote = Remote::new();
    let sandbox = &remote.bench.sandbox;
    let wrong = sandbox.write("wrong", "00".repeat(32));
    let with =
        |name: &str, value: &str| Ran::of(remote.command().env(name, value).args(["ps"]).output().unwrap());
    with("QYVOL_HOST_TOKEN", wrong.to_str().unwrap()).expect(126, &["token is missing or wrong"]);
    with("QYVOL_HOST_CERT", &format!("sha256:{}", "00".repeat(32))).expect(125, &["cannot reach"]);
    with("QYVOL_HOST_CERT", "").expect(2, &["QYVOL_HOST_CERT"]);
    with("QYVOL_HOST_TOKEN", "").expect(2, &["QYVOL_HOST_TOKEN"]);
    with("QYVOL_HOST", &format!("http://{}", remote.address)).expect(2, &["https://"]);
    // Answered before a body is read, which would never come.
    let put = "PUT /v1/secrets/KEY HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n";
    for head in ["", "authorization: Bearer \r\n", "authorization: Basic eDp5\r\n"] {
        let answer = remote.say(&format!("{put}{head}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
        assert!(!answer.contains(remote.bench.sandbox.path("state").to_str().unwrap()), "{answer}");
    }
    assert!(remote.say("GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n").contains("\"unauthorized\""));
    let long = format!("GET /v1/info HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let mut stream = remote.connect();
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200"));

    // A new token holds at once.
    remote.run(&["ps"]).expect(0, &[]);
    let old = fs::read(sandbox.path("config/remote/token")).unwrap();
    sandbox.run(&["daemon", "token", "--new"]).expect(0, &[]);
    remote.run(&["ps"]).expect(0, &[]);
    fs::write(&wrong, old).unwrap();
    with("QYVOL_HOST_TOKEN", wrong.to_str().unwrap()).expect(126, &["token"]);
    wait_until("wrong tokens are told", || {
        fs::read_to_string(sandbox.path("log")).unwrap().contains("requests without the token")
    });
}

#[test]
fn strangers_take_no_more_than_their_places() {
    let remote = Remote::new();
    let mut silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&remote.address).unwrap()).collect();
    // Those beyond their places are hung up upon at once, and not when the handshake has taken too long.
    let mut ended = 0;
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match stream.read(&mut [0; 8]) {
            Ok(0) => ended += 1,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => ended += 1,
            _ => {}
        }
    }
    assert!((20..=24).contains(&ended), "{ended}");
    // The socket answers as ever, and so does the port when they are gone.
    remote.bench.get("/v1/info").expect(200);
    drop(silent);
    wait_until("others are let in", || remote.run(&["ps"]).code == Some(0));
    // What is no TLS is nothing.
    let mut plain = TcpStream::connect(&remote.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
}
