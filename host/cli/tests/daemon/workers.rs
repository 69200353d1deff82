//! Processes that run apps: one of an app's own and its walls, one of another version, and what is left of them at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use qyvol_protocol::channel;
use qyvol_protocol::worker::{FromWorker, Hello, MountFrom, Start, ToWorker, VERSION};
use serde_json::{Value, json};

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::{PATIENCE, wait_until};

/// Reads `/in/file` and prints it, writes `/in/made`, and sleeps. It exits with the errno of what fails. Descriptor 3 is
/// the folder.
const KEEPER: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "file")
  (data (i32.const 80) "made")
  (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func (export "_start")
    (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 100))
    (call $check (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
    (i32.store (i32.const 4) (i32.load (i32.const 12)))
    (call $check (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
    (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 4) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
    (i32.store (i32.const 216) (i32.const 1))
    (i64.store (i32.const 224) (i64.const 1000000000))
    (loop $again
      (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 20)))
      (br $again))))"#;

const SLOT: &str = "type: service\nfs: { type: diskfs, mount: /in, source: slot:inbox, mode: read-write }\n";

/// The errno.
const ACCES: u8 = 2;

impl Bench {
    /// Deploys an app whose slot `inbox` is bound to a folder of the host.
    fn deploy_bound(&self, name: &str, folder: &str) -> crate::bench::Answer {
        let hash = self.upload(name, SLOT, KEEPER);
        let bind = format!("inbox={}", self.sandbox.path(folder).display());
        let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": { "bind": [bind] } });
        self.post("/v1/deploy", &json!({ "apps": [app] }))
    }

    /// What the daemon says of the worker that runs an app's first instance.
    fn worker_of(&self, app: &str) -> Value {
        let name = self.get(&format!("/v1/apps/{app}")).expect(200).json()["instances"][0]["worker"].clone();
        let info = self.get("/v1/info").expect(200).json();
        let workers = info["workers"].as_array().unwrap();
        workers.iter().find(|worker| worker["worker"] == name).unwrap().clone()
    }

    fn workers(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.sandbox.path("run/workers")).into_iter().flatten();
        folder.map(|entry| entry.unwrap().path()).collect()
    }

    /// Becomes the daemon of a worker, whose own has ended.
    fn command_worker(&self, name: &str) -> UnixStream {
        let folder = self.sandbox.path("run/workers").join(name);
        let socket = UnixStream::connect(folder.join("control.sock")).unwrap();
        let about: Value = serde_json::from_slice(&fs::read(folder.join("about.json")).unwrap()).unwrap();
        let token = about["token"].as_str().unwrap().to_owned();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        channel::send(&socket, &ToWorker::Hello(Hello { version: VERSION, lease: 1 << 40, token }), &[])
            .unwrap();
        let first = channel::receive::<FromWorker>(&socket).unwrap().unwrap().message;
        assert!(matches!(first, FromWorker::Welcome(_)), "{first:?}");
        socket
    }
}

fn is_alive(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that has ended and was not looked at yet is a `Z`.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn an_app_with_a_folder_of_the_host_has_a_worker_of_its_own_walled_to_that() {
    let mut bench = Bench::new();
    bench.sandbox.write("inbox/file", "from the host\n");
    bench.sandbox.write("outside/file", "secret\n");
    bench.deploy("shared", "type: service\n", SLEEPER).expect(200);
    bench.deploy("alone", "type: service\nisolation: process\n", SLEEPER).expect(200);
    bench.deploy_bound("keeper", "inbox").expect(200);
    for app in ["shared", "alone", "keeper"] {
        bench.wait_for(app, "ready");
    }
    wait_until("it has written", || bench.sandbox.path("inbox/made").exists());
    assert!(bench.get("/v1/apps/keeper/logs").expect(200).body.contains("from the host"));
    let [shared, alone, keeper] = ["shared", "alone", "keeper"].map(|app| bench.worker_of(app));
    assert_eq!([&shared["own"], &alone["own"], &keeper["own"]], [false, true, true]);
    assert_ne!(alone["pid"], keeper["pid"]);
    let walled = |worker: &Value| {
        let walls = worker["walls"].as_array().unwrap();
        walls.iter().any(|wall| wall["name"] == "landlock" && wall["on"] == true)
    };
    if ![&shared, &alone, &keeper].into_iter().all(walled) {
        eprintln!("left out: this kernel has no Landlock");
        return;
    }

    // Whoever takes a worker over, as an app might that has broken out of the engine, gets no further than its walls.
    let inspect = bench.get("/v1/apps/keeper").expect(200).json();
    bench.crash();
    for (worker, reach, beyond) in
        [(&keeper, "inbox", "outside"), (&alone, "", "inbox"), (&shared, "", "inbox")]
    {
        let socket = bench.command_worker(worker["worker"].as_str().unwrap());
        for (generation, folder, opens) in [(1, reach, true), (2, beyond, false)] {
            if folder.is_empty() {
                continue;
            }
            let start = start_of(&bench, &inspect, folder, generation);
            channel::send(&socket, &ToWorker::Start(Box::new(start.clone())), &[]).unwrap();
            let refused = loop {
                match channel::receive::<FromWorker>(&socket).unwrap().unwrap().message {
                    FromWorker::Failed { instance, message } if instance == start.instance => {
                        panic!("{message}")
                    }
                    FromWorker::Exited(exited) if exited.instance == start.instance => {
                        assert_eq!(exited.code, ACCES, "{}", exited.message);
                        break true;
                    }
                    _ if opens && fs::read_to_string(&start.log).is_ok_and(|log| log.contains("host")) => {
                        break false;
                    }
                    // Whoever may read says nothing more: it is asked for its usage until it has printed.
                    FromWorker::Started { .. } | FromWorker::Usage { .. } if opens => {
                        channel::send(&socket, &ToWorker::Usage { request: 1 }, &[]).unwrap();
                    }
                    _ => {}
                }
            };
            assert_eq!(refused, !opens, "{worker} and `{folder}`");
        }
    }
    // They listen to no daemon whose lease is lower: the next one replaces them, and everything is up again.
    bench.start();
    for app in ["shared", "alone", "keeper"] {
        bench.wait_for(app, "ready");
    }
    for (before, app) in [(shared, "shared"), (alone, "alone"), (keeper, "keeper")] {
        assert!(!is_alive(before["pid"].as_u64().unwrap()));
        assert_ne!(bench.worker_of(app)["pid"], before["pid"]);
    }
}

/// What a daemon would say to run `keeper` with another folder.
fn start_of(bench: &Bench, inspect: &Value, folder: &str, generation: u64) -> Start {
    let image = inspect["summary"]["image"].as_str().unwrap();
    let blob = bench.sandbox.path("state/blobs");
    let bundle = find(&blob, image).unwrap_or_else(|| panic!("`{image}` is not in `{}`", blob.display()));
    let program = wat::parse_str(KEEPER).unwrap();
    let app: qyv_spec::App = serde_json::from_value(inspect["manifest"].clone()).unwrap();
    Start {
        instance: format!("keeper.7@{generation}").parse().unwrap(),
        revision: 1,
        bundle,
        module: qyv_spec::app::Hash::of(&program),
        kind: app.kind,
        args: Vec::new(),
        env: Vec::new(),
        own_files: false,
        mounts: vec![qyvol_protocol::worker::Mount {
            place: "/in".parse().unwrap(),
            mode: qyv_spec::manifest::Mode::ReadWrite,
            from: MountFrom::Folder { path: bench.sandbox.path(folder), beneath: None },
        }],
        secrets: Vec::new(),
        dial: Vec::new(),
        connect: Vec::new(),
        anywhere: false,
        services: Vec::new(),
        listen: Vec::new(),
        limits: app.limits,
        weight: 100,
        log: bench.sandbox.path("state/logs/keeper/7.log"),
        health: None,
    }
}

/// The file beneath `folder` whose name ends so.
fn find(folder: &std::path::Path, ending: &str) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return find(&path, ending);
        }
        path.to_str().is_some_and(|path| ending.ends_with(path.rsplit('/').next().unwrap())).then_some(path)
    })
}

#[test]
fn a_worker_of_another_version_is_left_to_end_before_its_apps_start_again() {
    let mut bench = Bench::new();
    bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200);
    bench.wait_for("sleeper", "ready");
    bench.ask("POST", "/v1/daemon/stop?apps=true", b"").expect(204);
    assert_eq!(bench.ended(), Some(0));
    // What a worker of another release looks like: a process, what is known of it, and an answer that is not ours.
    let folder = bench.sandbox.path("run/workers/s9-9");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let control = UnixListener::bind(folder.join("control.sock")).unwrap();
    let mut old = Command::new("sleep").arg("2").stdin(Stdio::null()).spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", old.id())).unwrap();
    let started: u64 =
        stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
    let about = json!({ "process": { "pid": old.id(), "started": started }, "purpose": { "shared": { "stack": 1 << 20 } }, "token": "word" });
    fs::write(folder.join("about.json"), about.to_string()).unwrap();
    let answers = std::thread::spawn(move || {
        let (socket, _) = control.accept().unwrap();
        let said = channel::receive::<ToWorker>(&socket).unwrap().unwrap().message;
        assert!(matches!(said, ToWorker::Hello(_)));
        let message = "this worker speaks version 99".to_owned();
        channel::send(&socket, &FromWorker::Refused { message, ends: true }, &[]).unwrap();
    });
    bench.start();
    // It ended by itself, not by a signal, and nothing was started before that.
    let ended = old.try_wait().unwrap().expect("it has ended");
    assert_eq!(ended.code(), Some(0));
    answers.join().unwrap();
    assert!(!folder.exists());
    bench.wait_for("sleeper", "ready");
}

#[test]
fn a_daemon_that_stops_with_its_apps_leaves_nothing_and_the_next_one_starts_them() {
    let mut bench = Bench::new();
    bench.deploy("sleeper", "type: service\nlimits: { instances: 2 }\n", SLEEPER).expect(200);
    bench.deploy("alone", "type: service\nisolation: process\n", SLEEPER).expect(200);
    bench.deploy("stopped", "type: service\n", SLEEPER).expect(200);
    bench.post("/v1/apps/sleeper/scale", &json!({ "replicas": 2 })).expect(200);
    bench.post("/v1/apps/stopped/stop", &json!({})).expect(200);
    bench.wait_for("sleeper", "ready");
    bench.wait_for("alone", "ready");
    let info = bench.get("/v1/info").expect(200).json();
    let pids: Vec<u64> =
        info["workers"].as_array().unwrap().iter().map(|worker| worker["pid"].as_u64().unwrap()).collect();
    assert!(pids.len() >= 2, "{info}");
    bench.ask("POST", "/v1/daemon/stop?apps=true", b"").expect(204);
    assert_eq!(bench.ended(), Some(0));
    wait_until("no worker is left", || pids.iter().all(|pid| !is_alive(*pid)));
    bench.start();
    bench.wait_for("sleeper", "ready");
    bench.wait_for("alone", "ready");
    assert_eq!(bench.state("stopped"), "stopped");
    wait_until("both replicas are there", || {
        bench.get("/v1/apps/sleeper").expect(200).json()["summary"]["ready"] == 2
    });
    assert!(bench.workers().len() >= 2);
}
