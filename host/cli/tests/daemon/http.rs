//! HTTP apps whose program is a handler of requests, as their clients see them.

mod client;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use self::client::{Client, Reply, ask};
use crate::bench::{Answer, Bench};
use crate::sandbox::{PATIENCE, wait_until};

/// The handler of `tests/guest-http`, built once.
static GUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest-http");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest-http");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target=wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(&package)
        // Flags and tools that were meant for the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo starts");
    assert!(built.success(), "the guest builds; `rustup target add wasm32-wasip2` if the target is missing");
    std::fs::read(target.join("wasm32-wasip2/release/guest_http.wasm")).expect("the guest is there")
});

/// A daemon, and the address of an app `web` on it.
struct Web {
    bench: Bench,
    address: String,
}

impl Web {
    fn new() -> Self {
        static PORT: AtomicU16 = AtomicU16::new(7100);
        // Of this process alone: no other test or program takes it.
        let process = std::process::id();
        let port = PORT.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.10.{}.{}:{port}", process % 250 + 1, process / 250 % 250 + 1);
        Self { bench: Bench::new(), address }
    }

    /// Deploys the handler with these lines in its manifest.
    fn deploy(&self, lines: &str) -> Answer {
        let listen = format!("permissions: {{ net: {{ listen: ['tcp://{}'] }} }}\n", self.address);
        let hash = self.bench.upload_wasm("web", &format!("type: http\n{listen}{lines}"), &GUEST);
        let grants = json!({ "allow": [format!("listen:tcp://{}", self.address)] });
        let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": grants });
        self.bench.post("/v1/deploy", &json!({ "apps": [app] }))
    }

    /// The same, and waits until it is ready.
    fn with(lines: &str) -> Self {
        let web = Self::new();
        web.deploy(lines).expect(200);
        web.bench.wait_for("web", "ready");
        web
    }

    fn get(&self, path: &str) -> Reply {
        ask(&self.address, &format!("GET {path} HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n"))
    }

    fn detail(&self) -> Value {
        self.bench.get("/v1/apps/web").expect(200).json()
    }

    fn used(&self, what: &str) -> u64 {
        let rows = self.bench.get("/v1/usage").expect(200).json();
        rows.as_array().unwrap().iter().map(|row| row[what].as_u64().unwrap()).sum()
    }

    #[track_caller]
    fn logged(&self, words: &str) {
        wait_until(&format!("`{words}` in the log"), || {
            self.bench.get("/v1/apps/web/logs?tail=1000").body.contains(words)
        });
    }
}

#[test]
fn requests_are_answered_and_what_goes_wrong_stays_with_its_request() {
    let web = Web::with(
        "env: { WORD: said }\nhealth: { http: /, interval: 1s }\nfs: { type: memfs, mount: /tmp }\n\
         limits: { memory: 32MiB, wall: 6s, cpu_time: 500ms }\n",
    );
    let generation = web.bench.instance("web").0;
    let is = |path: &str, status: u16, body: &str| {
        let reply = web.get(path);
        assert_eq!((reply.status, reply.body.as_str(), reply.whole), (status, body, true), "{path}");
    };
    is("/", 200, "hello");
    is("/env?WORD", 200, "said");
    is("/print", 200, "printed");
    web.logged("printed to stdout");
    web.logged("printed to stderr");
    is("/sleep?10", 200, "slept");
    is("/forbidden", 200, "[true, true, true, true]");
    is("/after", 200, "answered");
    web.logged("worked on after the answer");
    // Files are the app's, memory is the request's.
    is("/file", 200, "0");
    is("/file", 200, "1");
    // More fields than a message may have end the instance.
    is("/fields", 500, "internal server error\n");
    assert!(web.get("/outside").body.contains("HttpRequestDenied"));

    let broken = "internal server error\n";
    is("/trap", 500, broken);
    web.logged("GET /trap: the app trapped");
    web.logged("as it was asked to");
    is("/silent", 500, broken);
    web.logged("GET /silent: the handler ended without an answer");
    is("/exit", 500, broken);
    is("/none", 500, broken);
    is("/grow", 500, broken);
    web.logged("GET /grow: the app needed more memory than `limits.memory` allows");
    is("/loop", 504, "gateway timeout\n");
    web.logged("GET /loop: it used up the processor time of a request");
    is("/sleep?60000", 504, "gateway timeout\n");
    web.logged("GET /sleep: it took longer than a request may");
    let half = web.get("/half");
    assert_eq!((half.status, half.whole), (200, false), "{}", half.body);
    // Whether the head is out before the body is found too short is a matter of moments; a whole answer it never is.
    let mut short = Client::connect(&web.address);
    short.send("GET /short HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n");
    if let Some(short) = short.begun() {
        assert_eq!((short.status, short.whole), (200, false), "{}", short.body);
    }
    web.logged("GET /half: the app trapped");

    // Whoever asked badly is told, and the app is not bothered.
    let bad = |request: &str| ask(&web.address, request).status;
    assert_eq!(bad("GET / HTTP/1.1\r\nconnection: close\r\n\r\n"), 400);
    assert_eq!(bad("nonsense\r\n\r\n"), 400);
    assert_eq!(bad("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n"), 501);
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "v".repeat(40_000));
    assert_eq!(bad(&long), 431);
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert_eq!(bad(&many), 431);
    let head = ask(&web.address, "HEAD /after HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    is("/", 200, "hello");
    assert_eq!(web.bench.instance("web").0, generation, "it was never restarted");
    assert!(web.used("requests") >= 20, "{}", web.used("requests"));
    wait_until("all memory is given back", || web.used("memory") < 1 << 20);
}

#[test]
fn bodies_stream_both_ways_and_who_does_not_read_fills_nothing() {
    let web = Web::with("limits: { memory: 32MiB }\n");
    // More than the app has memory for.
    let total = 48 << 20;
    let mut client = Client::connect(&web.address);
    client.send(&format!("POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: {total}\r\n\r\n"));
    let piece = vec![b'x'; 1 << 16];
    for _ in 0..total / piece.len() {
        client.stream.write_all(&piece).unwrap();
    }
    assert_eq!(client.reply().body, total.to_string());
    // The connection goes on, and a body in pieces comes back as it was.
    client.send("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    client.send("7\r\n second\r\n0\r\n\r\n");
    assert_eq!(client.reply().body, "first second");
    // An answer without an end: its client reads none of it, then some, and goes.
    let mut idle = Client::connect(&web.address);
    idle.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it works", || web.used("memory") > 1 << 20);
    assert_eq!(web.get("/").body, "hello");
    let mut some = vec![0; 1 << 20];
    idle.stream.read_exact(&mut some).unwrap();
    assert!(web.used("memory") < 8 << 20);
    drop((idle, client));
    wait_until("its instance is ended", || web.used("memory") < 1 << 18);
    // So is that of a client which goes before it has an answer.
    let mut gone = Client::connect(&web.address);
    gone.send("GET /sleep?600000 HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it works", || web.used("memory") > 1 << 20);
    drop(gone);
    wait_until("its instance is ended", || web.used("memory") < 1 << 18);
    assert_eq!(web.get("/").body, "hello");
}

#[test]
fn so_many_are_at_work_so_many_wait_and_the_others_are_turned_away() {
    let web = Web::with("limits: { requests: 1 }\n");
    let mut first = Client::connect(&web.address);
    first.send("GET /sleep?1500 HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it works", || web.used("memory") > 1 << 20);
    let mut waiting: Vec<Client> = (0..16).map(|_| Client::connect(&web.address)).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    // Whoever finds the queue full is told at once; the one at work keeps it full meanwhile.
    let mut refused = web.get("/");
    for _ in 0..20 {
        if refused.status == 503 {
            break;
        }
        refused = web.get("/");
    }
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    web.logged("`limits.requests`");
    assert_eq!(first.reply().body, "slept");
    for client in &mut waiting {
        assert_eq!(client.reply().body, "hello");
    }
}

#[test]
fn nobody_who_asks_notices_that_a_revision_takes_the_place_of_another() {
    let web = Web::with("env: { REVISION: first }\n");
    // Asks all the time, until the last revision answers.
    let ask = |connection: &str| {
        let request = format!("GET /env?REVISION HTTP/1.1\r\nhost: a\r\n{connection}\r\n");
        let (mut client, mut seen, begin) = (None, Vec::new(), Instant::now());
        while seen.last().is_none_or(|last| last != "third") {
            assert!(begin.elapsed() < PATIENCE, "{seen:?}");
            let mut open = client.take().unwrap_or_else(|| Client::connect(&web.address));
            open.send(&request);
            let reply = open.reply();
            assert_eq!(reply.status, 200, "{}", reply.body);
            if seen.last() != Some(&reply.body) {
                seen.push(reply.body);
            }
            if !reply.head.contains("connection: close") {
                client = Some(open);
            }
        }
        seen
    };
    std::thread::scope(|scope| {
        let clients = ["", "", "connection: close\r\n"].map(|how| scope.spawn(move || ask(how)));
        for next in ["second", "third"] {
            web.deploy(&format!("env: {{ REVISION: {next} }}\n")).expect(200);
            wait_until("the next revision answers", || web.get("/env?REVISION").body == next);
            web.bench.wait_for("web", "ready");
        }
        for client in clients {
            // While two run, either may answer.
            let seen = client.join().unwrap();
            assert_eq!(seen.first().map(String::as_str), Some("first"), "{seen:?}");
        }
    });
}

#[test]
fn a_stop_lets_requests_end_and_a_kill_does_not() {
    let web = Web::with("stop_grace: 20s\n");
    let mut at_work = Client::connect(&web.address);
    let mut idle = Client::connect(&web.address);
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(idle.reply().body, "hello");
    at_work.send("GET /sleep?700 HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it works", || web.used("memory") > 1 << 20);
    web.bench.post("/v1/apps/web/stop", &json!({})).expect(200);
    let reply = at_work.reply();
    assert_eq!((reply.status, reply.body.as_str()), (200, "slept"));
    assert!(reply.head.contains("connection: close"), "{}", reply.head);
    assert!(idle.is_closed());
    web.bench.wait_for("web", "stopped");

    web.bench.post("/v1/apps/web/start", &json!({})).expect(200);
    web.bench.wait_for("web", "ready");
    let mut at_work = Client::connect(&web.address);
    at_work.send("GET /loop HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it works", || web.used("memory") > 1 << 20);
    web.bench.post("/v1/apps/web/kill", &json!({})).expect(200);
    assert!(at_work.is_closed());
}

#[test]
fn what_cannot_answer_requests_says_why() {
    let web = Web::new();
    let failed = |words: &str| {
        wait_until(words, || web.detail().to_string().contains(words));
        web.bench.ask("DELETE", "/v1/apps/web", b"");
    };
    web.deploy("services: [{ name: other }]\n").expect(200);
    failed("cannot offer `service://other`");
    let library = wat::parse_str("(component)").unwrap();
    let deploy = |manifest: &str, wasm: &[u8]| {
        let hash = web.bench.upload_wasm("web", manifest, wasm);
        let grants = json!({ "allow": [format!("listen:tcp://{}", web.address)] });
        let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": grants });
        web.bench.post("/v1/deploy", &json!({ "apps": [app] })).expect(200);
    };
    let listens = format!("type: http\npermissions: {{ net: {{ listen: ['tcp://{}'] }} }}\n", web.address);
    deploy(&listens, &library);
    failed("there is nothing to run");
    deploy("type: service\n", &GUEST);
    failed("deploy it with `type: http`");
    let run = web.bench.sandbox.write("handler.wasm", &*GUEST);
    web.bench.sandbox.run(&["run", run.to_str().unwrap()]).expect(126, &["deploy it with `type: http`"]);
}

#[test]
fn slow_clients_hold_up_nobody() {
    let web = Web::with("limits: { requests: 2, wall: 1s }\n");
    let mut slow: Vec<Client> = (0..200).map(|_| Client::connect(&web.address)).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nhost: a\r\nx-half: ");
    }
    assert_eq!(web.get("/").body, "hello");
    // Bodies that do not come hold an instance for the time of a request, and no longer.
    let mut stalled: Vec<Client> = (0..2).map(|_| Client::connect(&web.address)).collect();
    for client in &mut stalled {
        client.send("POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nx");
    }
    wait_until("they work", || web.used("memory") > 1 << 20);
    assert_eq!(web.get("/").body, "hello");
    for client in &mut stalled {
        assert_eq!(client.reply().status, 504);
    }
    for client in &mut slow {
        client.send("whole\r\n\r\n");
        assert_eq!(client.reply().body, "hello");
    }
}
