//! A daemon that answers as it is told, byte by byte.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// As in `GET /v1/apps`.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// Whether the connection stays open after it.
    held: bool,
}

impl Answer {
    /// These bytes, and then nothing more.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), held: false }
    }

    /// A whole answer.
    pub(crate) fn with(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        Self::raw(head + &body)
    }

    /// An answer that comes in pieces, and does not end.
    pub(crate) fn stream(pieces: &[&str]) -> Self {
        let mut text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        for piece in pieces {
            text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
        }
        Self { bytes: text.into_bytes(), held: true }
    }

    /// The same, hung up upon in the middle.
    pub(crate) fn broken_stream(pieces: &[&str]) -> Self {
        Self { held: false, ..Self::stream(pieces) }
    }
}

/// What was asked so far.
pub(crate) type Heard = Arc<Mutex<Vec<Asked>>>;

/// Listens where the sandbox's commands look for the daemon. What `answer` does not know is 404 without a word.
pub(crate) fn daemon(sandbox: &Sandbox, answer: impl Fn(&Asked) -> Option<Answer> + Send + 'static) -> Heard {
    std::fs::create_dir_all(sandbox.path("run")).unwrap();
    let listener = UnixListener::bind(sandbox.path("run/qyvold.sock")).unwrap();
    let heard = Heard::default();
    let said = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A connection without a request asks only whether somebody is there.
            let Some(asked) = read(&mut stream) else { continue };
            said.lock().unwrap().push(asked.clone());
            let answer = match (&asked.line[..], answer(&asked)) {
                (_, Some(answer)) => answer,
                ("GET /v1/info", None) => Answer::with(200, &info()),
                (_, None) => Answer::raw("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
            };
            // A client that left is the test's to judge.
            let _ = stream.write_all(&answer.bytes);
            if answer.held {
                held.push(stream);
            }
        }
    });
    heard
}

/// The requests so far, a line each.
pub(crate) fn lines(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
}

fn read(stream: &mut UnixStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let mut some = [0; 4096];
        let count = stream.read(&mut some).ok().filter(|count| *count > 0)?;
        bytes.extend(&some[..count]);
    };
    let mut body = bytes.split_off(head + 4);
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<u64>().unwrap());
    let left = length - body.len() as u64;
    stream.take(left).read_to_end(&mut body).unwrap();
    let mut words = head.split(' ');
    let method = words.next().unwrap().to_ascii_uppercase();
    Some(Asked { line: format!("{method} {}", words.next().unwrap()), body })
}

/// What `GET /v1/info` tells.
pub(crate) fn info() -> Value {
    json!({
        "version": "0.1.0", "pid": 7, "started": 0, "state": "/s", "apps": 1, "instances": 1,
        "workers": [{ "worker": "shared-1", "pid": 8, "instances": 1, "own": false, "walls": [
            { "name": "landlock", "on": true, "detail": "" },
            { "name": "seccomp", "on": false, "detail": "the kernel has none" },
        ] }],
    })
}

/// One row of `GET /v1/apps`.
pub(crate) fn summary(app: &str, state: &str) -> Value {
    json!({
        "app": app, "version": "1.2.3", "kind": "service", "state": state, "status": format!("{state} now"),
        "replicas": 1, "ready": u8::from(state == "ready"), "restarts": 0, "deployed": 0, "revision": 1,
        "listen": ["tcp://127.0.0.1:8080"], "image": "ab".repeat(32),
    })
}

/// `GET /v1/apps/{app}`.
pub(crate) fn detail(app: &str, state: &str, code: u8) -> Value {
    json!({
        "summary": summary(app, state), "manifest": {}, "grants": { "allow": ["net"], "bind": ["in=/srv/in:ro"] },
        "directories": [{ "host": "/h", "guest": "/g", "read_only": true }], "env": { "A": "1" },
        "notes": ["`scheduler.mode: ai` runs as fixed"],
        "instances": [{
            "instance": { "app": app, "slot": 0, "generation": 4 }, "state": state, "status": format!("{state} now"),
            "started": 0, "worker": "shared-1",
            "last_end": { "time": 0, "cause": "exit", "code": code, "message": "it said no", "denials": ["a denial"] },
        }],
        "revisions": [],
    })
}

/// A server-sent event.
pub(crate) fn event(id: u64, app: &str, state: &str) -> String {
    let data = json!({
        "id": id, "time": 0, "kind": "state", "app": app, "instance": null, "state": state, "message": state,
    });
    format!("id: {id}\nevent: state\ndata: {data}\n\n")
}

/// An answer that is a problem.
pub(crate) fn problem(status: u16, error: &str) -> Answer {
    Answer::with(status, &json!({ "error": error, "message": "this is why", "hint": "do that" }))
}
