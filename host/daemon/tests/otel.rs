//! A daemon with a collector, which is this test: what reaches it, and that one which is not there holds up nothing.
//!
//! The program is the daemon as well, in a process of its own, since what it sends is said by its environment. It is no
//! worker: each instance that is started here is lost at once, which is told too.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use qyv_spec::app::{Hash, PackagedFile};
use qyv_spec::bundle::{Input, Writer};
use qyv_spec::manifest::Manifest;
use serde_json::{Value, json};

/// Names the folder of the daemon that this process is.
const FOLDER: &str = "QYVOLD_TEST_FOLDER";

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The caller of one request.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn main() -> ExitCode {
    // What the daemon starts of itself: a worker, or a compiler.
    if std::env::args().any(|argument| argument.starts_with("--qyvol")) {
        return ExitCode::FAILURE;
    }
    if let Some(folder) = std::env::var_os(FOLDER) {
        return qyvold::run(options(Path::new(&folder)));
    }
    what_is_done_and_measured_reaches_the_collector();
    a_collector_that_is_not_there_holds_up_nothing();
    nothing_is_sent_when_nobody_asked_for_it();
    ExitCode::SUCCESS
}

fn what_is_done_and_measured_reaches_the_collector() {
    let (endpoint, heard) = collector();
    let daemon = Daemon::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_SERVICE_NAME", "tested"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ]);
    daemon.ask("GET", "/v1/apps", b"", 200);
    let (hash, bundle) = bundle();
    daemon.ask("PUT", &format!("/v1/blobs/{hash}"), &bundle, 201);
    let deploys = json!({ "apps": [{ "bundle": hash, "allow_unsigned": true }] });
    daemon.ask("POST", "/v1/deploy", deploys.to_string().as_bytes(), 200);
    daemon.ask("GET", "/v1/apps/nobody", b"", 404);

    let (mut spans, mut measured) = (Vec::new(), Vec::new());
    let start = Instant::now();
    let span = |spans: &[Value], name: &str| spans.iter().find(|span| span["name"] == name).cloned();
    let wanted = ["GET /v1/apps", "POST /v1/deploy", "GET /v1/apps/{app}", "start web", "deploy web"];
    while measured.is_empty() || wanted.iter().any(|name| span(&spans, name).is_none()) {
        assert!(start.elapsed() < PATIENCE, "{spans:#?} {measured:#?}");
        let Ok((path, message)) = heard.recv_timeout(PATIENCE) else { panic!("nothing more comes") };
        let (all, list, items) = match path.as_str() {
            "/v1/traces" => ("resourceSpans", "scopeSpans", "spans"),
            "/v1/metrics" => ("resourceMetrics", "scopeMetrics", "metrics"),
            other => panic!("`{other}`"),
        };
        let part = &message[all][0];
        assert!(part["resource"].to_string().contains("\"tested\""), "{message}");
        let found = part[list][0][items].as_array().unwrap().clone();
        let of_app = |metric: &&Value| metric["name"] == "qyvol_apps";
        match items {
            "spans" => spans.extend(found),
            _ => measured.extend(
                found.iter().find(of_app).filter(|m| m["gauge"]["dataPoints"][0]["asInt"] == "1").cloned(),
            ),
        }
    }
    let asked = span(&spans, "GET /v1/apps").unwrap();
    let told = |span: &Value, key: &str| {
        let attributes = span["attributes"].as_array().unwrap();
        let value = attributes.iter().find(|attribute| attribute["key"] == key);
        value.map(|attribute| attribute["value"]["stringValue"].as_str().unwrap().to_owned())
    };
    assert_eq!((&asked["traceId"], &asked["parentSpanId"]), (&PARENT[3..35].into(), &PARENT[36..52].into()));
    assert_eq!(asked["kind"], 2);
    let missing = span(&spans, "GET /v1/apps/{app}").unwrap();
    assert_eq!(told(&missing, "http.response.status_code").as_deref(), Some("404"));
    let (deploy, start) = (span(&spans, "deploy web").unwrap(), span(&spans, "start web").unwrap());
    assert_eq!((&start["traceId"], &start["parentSpanId"]), (&deploy["traceId"], &deploy["spanId"]));
    assert_eq!(
        (&start["status"]["code"], &deploy["status"]["code"]),
        (&2.into(), &2.into()),
        "{start} {deploy}"
    );
    assert_eq!(told(&start, "qyvol.app").as_deref(), Some("web"));
}

fn a_collector_that_is_not_there_holds_up_nothing() {
    // Nobody listens at an address of this process alone, and one that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for endpoint in ["http://127.9.9.9:9", &silent, "https://no.tls.here"] {
        let daemon = Daemon::start(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ]);
        for _ in 0..100 {
            daemon.ask("GET", "/v1/apps", b"", 200);
        }
    }
}

fn nothing_is_sent_when_nobody_asked_for_it() {
    let (_, heard) = collector();
    let daemon = Daemon::start(&[("OTEL_SERVICE_NAME", "tested"), ("OTEL_METRIC_EXPORT_INTERVAL", "10")]);
    daemon.ask("GET", "/v1/apps", b"", 200);
    assert!(heard.try_recv().is_err());
}

/// Takes what is sent to it: the path and the message.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if tell.send(exchange(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (endpoint, heard)
}

fn exchange(mut stream: TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(count) = line.strip_prefix("content-length:") {
            length = count.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    (path, serde_json::from_slice(&body).unwrap())
}

/// A daemon on a new state, ended with this.
struct Daemon {
    folder: tempfile::TempDir,
    process: Child,
}

impl Daemon {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Nothing of what this machine may be set to.
        let set = std::env::vars_os().map(|(name, _)| name);
        for name in set.filter(|name| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.env(FOLDER, folder.path()).envs(variables.iter().copied()).stderr(Stdio::null());
        let daemon = Self { process: command.spawn().unwrap(), folder };
        let start = Instant::now();
        while UnixStream::connect(daemon.socket()).is_err() {
            assert!(start.elapsed() < PATIENCE, "no daemon");
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    fn socket(&self) -> std::path::PathBuf {
        options(self.folder.path()).socket()
    }

    fn ask(&self, method: &str, path: &str, body: &[u8], status: u16) {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: q\r\ntraceparent: {PARENT}\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{method} {path}: {answer}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options(folder: &Path) -> qyvold::Options {
    qyvold::Options {
        state: folder.join("state"),
        runtime: folder.join("run"),
        cache: folder.join("cache"),
        trust: folder.join("trust"),
        policies: Vec::new(),
        identity: folder.join("identity"),
        manifests: folder.join("manifests"),
        listen: None,
        remote: folder.join("remote"),
        compile_timeout: PATIENCE,
    }
}

/// An app that is given up at its first failure, and its hash.
fn bundle() -> (String, Vec<u8>) {
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    let text = "name: web\nentrypoint: main.wasm\ntype: service\nrestart: never\n";
    let manifest = Manifest::from_yaml(text, "app.qyv").unwrap();
    let path = "main.wasm".parse().unwrap();
    let file = PackagedFile { path, size: MODULE.len() as u64, blake3: Hash::of(MODULE) };
    let app = manifest.resolve(vec![file]).unwrap();
    let mut writer = Writer::new(app.to_json());
    let module = writer.module("main.wasm", Input::bytes(MODULE)).unwrap();
    writer.module_file("main.wasm", 0, module).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    writer.write(&mut bytes, &[]).unwrap();
    let bytes = bytes.into_inner();
    (blake3::hash(&bytes).to_hex().to_string(), bytes)
}
