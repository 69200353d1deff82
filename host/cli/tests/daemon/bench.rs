//! A daemon with places of its own, and HTTP over its socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::sandbox::{PATIENCE, Sandbox, wait_until};

/// Prints a line, and sleeps until it is ended.
pub(crate) const SLEEPER: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "awake\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (i32.store (i32.const 216) (i32.const 1))
    (i64.store (i32.const 224) (i64.const 1000000000))
    (loop $again
      (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 20)))
      (br $again))))"#;

/// A state, and the daemon on it.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    daemon: Option<Child>,
}

/// A way to the daemon that needs no bench.
#[derive(Clone, Debug)]
pub(crate) struct Client(PathBuf);

impl Client {
    /// The status of a request that never reached anybody. One without an answer has 0.
    pub(crate) const NOBODY: u16 = 999;

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes())
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut socket = match UnixStream::connect(&self.0) {
            Ok(socket) => socket,
            Err(error) => return Answer { status: Self::NOBODY, body: error.to_string() },
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: qyvold\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = Vec::new();
        // A daemon that refuses early may have closed by then; what it said counts.
        let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body));
        let _ = socket.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Answer { status, body: body.to_owned() }
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Bench {
    /// Starts a daemon on a new state.
    pub(crate) fn new() -> Self {
        let mut bench = Self { sandbox: Sandbox::new(), daemon: None };
        bench.start();
        bench
    }

    /// The program, with the state of this bench.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.sandbox.command();
        command.env("QYVOL_STATE_DIR", self.sandbox.path("state"));
        command.env("QYVOL_RUNTIME_DIR", self.sandbox.path("run"));
        command
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same with more arguments.
    pub(crate) fn start_with(&mut self, more: &[&str]) {
        let mut command = self.command();
        command.args(["daemon", "run"]).args(more);
        self.start_command(command);
    }

    /// The same by another command.
    pub(crate) fn start_command(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.sandbox.path("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        wait_until("the daemon answers", || {
            let socket = UnixStream::connect(self.sandbox.path("run/qyvold.sock"));
            socket.is_ok() && self.get("/v1/info").status == 200
        });
    }

    /// Kills the daemon without a word.
    pub(crate) fn crash(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Waits until the daemon has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take().unwrap();
        wait_until("the daemon ends", || daemon.try_wait().unwrap().is_some());
        daemon.wait().unwrap().code()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes())
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.client().ask(method, path, body)
    }

    /// Who asks the daemon, whichever serves the socket.
    pub(crate) fn client(&self) -> Client {
        Client(self.sandbox.path("run/qyvold.sock"))
    }

    /// Packs and uploads a program under a manifest; the hash of its bundle.
    pub(crate) fn upload(&self, name: &str, manifest: &str, wat: &str) -> String {
        self.upload_wasm(name, manifest, &wat::parse_str(wat).unwrap())
    }

    /// The same of a program in its binary form.
    pub(crate) fn upload_wasm(&self, name: &str, manifest: &str, wasm: &[u8]) -> String {
        let (hash, bytes) = self.pack(name, manifest, wasm);
        let stored = self.ask("PUT", &format!("/v1/blobs/{hash}"), &bytes);
        assert!(matches!(stored.status, 200 | 201), "{stored:?}");
        hash
    }

    /// Packs a program under a manifest: the hash of the bundle, and its bytes.
    pub(crate) fn pack(&self, name: &str, manifest: &str, wasm: &[u8]) -> (String, Vec<u8>) {
        self.sandbox.write(&format!("{name}/main.wasm"), wasm);
        let text = format!("name: {name}\nentrypoint: main.wasm\n{manifest}");
        self.sandbox.write(&format!("{name}/app.qyv"), text);
        let bundle = format!("{name}.qyvbin");
        let _ = fs::remove_file(self.sandbox.path(&bundle));
        self.sandbox.run(&["pack", &format!("{name}/app.qyv"), "--output", &bundle]).expect(0, &[]);
        let bytes = fs::read(self.sandbox.path(&bundle)).unwrap();
        (blake3::hash(&bytes).to_hex().to_string(), bytes)
    }

    /// Deploys one unsigned app.
    pub(crate) fn deploy(&self, name: &str, manifest: &str, wat: &str) -> Answer {
        let hash = self.upload(name, manifest, wat);
        self.post("/v1/deploy", &json!({ "apps": [{ "bundle": hash, "allow_unsigned": true }] }))
    }

    /// The same of a program in its binary form.
    pub(crate) fn deploy_wasm(&self, name: &str, manifest: &str, wasm: &[u8]) -> Answer {
        self.deploy_granted(name, manifest, wasm, &[])
    }

    /// The same with rights.
    pub(crate) fn deploy_granted(&self, name: &str, manifest: &str, wasm: &[u8], allow: &[&str]) -> Answer {
        let hash = self.upload_wasm(name, manifest, wasm);
        let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": { "allow": allow } });
        self.post("/v1/deploy", &json!({ "apps": [app] }))
    }

    /// One word for what an app does.
    pub(crate) fn state(&self, app: &str) -> String {
        let detail = self.get(&format!("/v1/apps/{app}"));
        if detail.status != 200 {
            return format!("{} {}", detail.status, detail.body);
        }
        detail.json()["summary"]["state"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, app: &str, state: &str) {
        let mut last = String::new();
        let start = std::time::Instant::now();
        while last != state {
            assert!(start.elapsed() < PATIENCE, "`{app}` is {last}, not {state}\n{}", self.report(app));
            last = self.state(app);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn report(&self, app: &str) -> String {
        let log = fs::read_to_string(self.sandbox.path("log")).unwrap_or_default();
        let mut workers = String::new();
        for entry in fs::read_dir(self.sandbox.path("run/workers")).into_iter().flatten().flatten() {
            workers += &fs::read_to_string(entry.path().join("stderr.log")).unwrap_or_default();
        }
        format!("{}\n{log}\n{workers}", self.get(&format!("/v1/apps/{app}")).body)
    }

    /// The generation of an app's first instance, and its worker's process.
    pub(crate) fn instance(&self, app: &str) -> (u64, i32) {
        let detail = self.get(&format!("/v1/apps/{app}")).expect(200).json();
        let instance = &detail["instances"][0];
        let info = self.get("/v1/info").expect(200).json();
        let worker =
            info["workers"].as_array().unwrap().iter().find(|worker| worker["worker"] == instance["worker"]);
        let pid = worker.unwrap_or_else(|| panic!("{detail} {info}"))["pid"].as_i64().unwrap();
        (instance["instance"]["generation"].as_u64().unwrap(), pid.try_into().unwrap())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            let _ = self.ask("POST", "/v1/daemon/stop?apps=true", b"");
            if let Some(mut daemon) = self.daemon.take() {
                let _ = daemon.kill();
                let _ = daemon.wait();
            }
        }
        // Whatever a failed test has left: workers would go on for a minute.
        for entry in fs::read_dir(self.sandbox.path("run/workers")).into_iter().flatten().flatten() {
            let about = fs::read(entry.path().join("about.json")).unwrap_or_default();
            let about: Value = serde_json::from_slice(&about).unwrap_or_default();
            let pid = about["process"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
