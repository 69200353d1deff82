//! Programs beside instances: by `exec`, by checks; and who watches.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use serde_json::json;

use crate::bench::Bench;
use crate::sandbox::{Ran, wait_until};
use crate::tool::TOOL;

/// A service whose program is the tool.
const SERVICE: &str = "type: service\npermissions: { fs: read-only }\n\
    fs: [{ type: memfs, mount: /tmp, size: 1MiB }]\n";

fn deployed(bench: &Bench, name: &str, manifest: &str) {
    bench.deploy(name, manifest, TOOL).expect(200);
    bench.wait_for(name, "ready");
}

fn exec(bench: &Bench, arguments: &[&str]) -> Ran {
    Ran::of(bench.command().arg("exec").args(arguments).output().unwrap())
}

/// A program that goes on until it is ended.
fn begin(bench: &Bench, arguments: &[&str]) -> Child {
    let mut command = bench.command();
    command.arg("exec").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// One that has begun: it has said something.
fn begun(bench: &Bench, arguments: &[&str]) -> Child {
    let mut child = begin(bench, arguments);
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_program_runs_beside_an_instance_with_its_streams_files_and_exit_code() {
    let bench = Bench::new();
    deployed(&bench, "tool", SERVICE);
    exec(&bench, &["tool", "--", "quit"]).expect(7, &[]);
    // Input to its end, and no input without `-i`.
    let mut cat = begin(&bench, &["-i", "tool", "cat"]);
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| number as u8).collect();
    let mut input = cat.stdin.take().unwrap();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent));
    let ended = cat.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(ended.status.success() && ended.stdout == expected, "{}", ended.stdout.len());
    assert_eq!(exec(&bench, &["tool", "cat"]).expect(0, &[]).stdout, "");
    // The same files: what one writes, the next one reads, as the instance does.
    exec(&bench, &["tool", "write", "tmp/note"]).expect(0, &[]);
    assert_eq!(exec(&bench, &["tool", "read", "tmp/note"]).expect(0, &[]).stdout, "written\n");
    // Variables, a trap, and what `-t` says.
    let env = exec(&bench, &["-t", "-e", "LEVEL=debug", "tool", "env"]).expect(0, &["no terminal"]);
    assert!(env.stdout.contains("LEVEL=debug\n"), "{}", env.stdout);
    exec(&bench, &["tool", "trap"]).expect(134, &["unreachable"]);
    // Where there is nothing to run beside.
    exec(&bench, &["nobody", "quit"]).expect(127, &["no app `nobody`"]);
    exec(&bench, &["tool.1", "quit"]).expect(126, &["does not run", "qyvol start tool"]);
    exec(&bench, &["tool", "--", "/bin/other.wasm"]).expect(127, &["has no program"]);
    bench.post("/v1/apps/tool/exec", &json!({})).expect(426);
    let long = "x".repeat(100_000);
    let many: Vec<&str> = ["tool", "quit"].into_iter().chain((0..12).map(|_| long.as_str())).collect();
    exec(&bench, &many).expect(126, &["more than 1048576 bytes"]);
    assert_eq!(bench.state("tool"), "ready");
    bench.post("/v1/apps/tool/stop", &json!({})).expect(200);
    bench.wait_for("tool", "stopped");
    exec(&bench, &["tool", "quit"]).expect(126, &["does not run"]);
}

#[test]
fn another_program_of_the_bundle_runs_and_none_from_elsewhere() {
    let bench = Bench::new();
    bench.sandbox.write("two/bin/other.wasm", wat::parse_str(crate::sandbox::exits(9)).unwrap());
    deployed(
        &bench,
        "two",
        "type: service\npermissions: { fs: read-only }\nfiles: [main.wasm, bin/other.wasm]\n\
        fs: [{ type: memfs, mount: /tmp, size: 1MiB }]\n",
    );
    exec(&bench, &["two", "--", "/bin/other.wasm", "any"]).expect(9, &[]);
    exec(&bench, &["two", "--", "/main.wasm", "quit"]).expect(7, &[]);
    // What the app has written is no program of its bundle.
    exec(&bench, &["two", "write", "tmp/evil.wasm"]).expect(0, &[]);
    exec(&bench, &["two", "--", "/tmp/evil.wasm"]).expect(127, &["has no program"]);
    exec(&bench, &["two", "--", "/../bin/other.wasm"]).expect(126, &[]);
}

#[test]
fn it_ends_with_its_client_and_with_its_instance() {
    let bench = Bench::new();
    deployed(&bench, "tool", SERVICE);
    // As many as there may be: all of them go with their clients.
    for _ in 0..2 {
        let sleepers: Vec<Child> = (0..16).map(|_| begun(&bench, &["tool", "hello-and-sleep"])).collect();
        exec(&bench, &["tool", "quit"]).expect(126, &["16 programs run beside it already"]);
        sleepers.into_iter().for_each(end);
        wait_until("there is room again", || exec(&bench, &["tool", "quit"]).code == Some(7));
    }
    let sleeper = begun(&bench, &["tool", "hello-and-sleep"]);
    bench.post("/v1/apps/tool/kill", &json!({})).expect(200);
    let ended = Ran::of(sleeper.wait_with_output().unwrap());
    ended.expect(137, &["killed"]);
    bench.wait_for("tool", "stopped");
}

#[test]
fn who_does_not_read_holds_up_nobody_and_loops_leave_time_to_neighbours() {
    let bench = Bench::new();
    deployed(&bench, "tool", SERVICE);
    deployed(&bench, "other", "type: service\n");
    let mut busy = vec![begun(&bench, &["tool", "flood"])];
    busy.extend((0..15).map(|_| begun(&bench, &["tool", "spin"])));
    exec(&bench, &["tool", "quit"]).expect(126, &["16 programs run beside it already"]);
    for _ in 0..3 {
        exec(&bench, &["other", "quit"]).expect(7, &[]);
    }
    assert_eq!((bench.state("tool"), bench.state("other")), ("ready".to_owned(), "ready".to_owned()));
    busy.into_iter().for_each(end);
    wait_until("there is room again", || exec(&bench, &["tool", "quit"]).code == Some(7));
}

#[test]
fn it_gains_no_right_that_its_instance_has_not() {
    let bench = Bench::new();
    bench.ask("PUT", "/v1/secrets/KEY", b"hunter2").expect(204);
    deployed(&bench, "echo", "type: service\nservices: [{ name: echo }]\n");
    let process = std::process::id();
    let address = format!("tcp://127.8.{}.{}:7009", process % 250 + 1, process / 250 % 250 + 1);
    let listens = format!("{SERVICE}limits: {{ memory: 8MiB, fds: 20 }}\n")
        .replace("fs: read-only", &format!("fs: read-only, net: {{ listen: ['{address}'] }}"));
    let hash = bench.upload("tool", &listens, TOOL);
    let grants = json!({ "allow": [format!("listen:{address}")] });
    let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": grants });
    bench.post("/v1/deploy", &json!({ "apps": [app] })).expect(200);
    bench.wait_for("tool", "ready");
    // A folder that is not its own, a service, a secret; each fails as for the instance, with errno as the exit code.
    for path in ["svc/echo", "run/secrets/KEY", "etc/passwd", "../etc/passwd"] {
        let ran = exec(&bench, &["tool", "read", path]);
        assert!(matches!(ran.code, Some(2 | 44 | 63 | 76)), "{path}: {:?}", ran.code);
    }
    exec(&bench, &["tool", "write", "main.wasm"]).expect(69, &[]);
    // No sockets to listen on, and none by saying so.
    let env = exec(&bench, &["-e", "QYV_LISTEN_FDS=3", "tool", "env"]).expect(0, &[]).stdout;
    assert!(!env.contains("QYV_LISTEN") && !env.contains("hunter2"), "{env}");
    // The memory is that of the app, for all of its programs together: the instance's own page and others are in it.
    exec(&bench, &["tool", "grow", "x"]).expect(0, &[]);
    exec(&bench, &["tool", "grow", &"x".repeat(120)]).expect(1, &[]);
    assert_eq!(bench.state("tool"), "ready");
}

#[test]
fn a_check_by_a_program_decides_whether_an_app_is_healthy() {
    let bench = Bench::new();
    let checked = |arguments: &str| {
        format!(
            "{SERVICE}health: {{ exec: [{arguments}], interval: 50ms, timeout: 300ms, retries: 2 }}\nrestart: never\n"
        )
    };
    deployed(&bench, "well", &checked("env"));
    bench.deploy("ill", &checked("quit"), TOOL).expect(200);
    bench.wait_for("ill", "unhealthy");
    let why =
        |path: &str| bench.get("/v1/apps/ill").json().pointer(path).unwrap().as_str().unwrap().to_owned();
    assert!(
        why("/instances/0/status").ends_with(": its check ended with 7"),
        "{}",
        why("/instances/0/status")
    );
    bench.post("/v1/apps/ill/stop", &json!({})).expect(200);
    bench.wait_for("ill", "stopped");
    let end = why("/instances/0/last_end/message");
    assert!(end.ends_with("its last check failed: its check ended with 7"), "{end}");
    // One that hangs is ended, and does not hold up the next.
    bench.deploy("hangs", &checked("hello-and-sleep"), TOOL).expect(200);
    bench.wait_for("hangs", "unhealthy");
    assert_eq!(bench.state("well"), "ready");
    // What a check prints is nobody's log.
    let logs = bench.get("/v1/apps/hangs/logs").expect(200).body;
    assert!(!logs.contains("hello"), "{logs}");
}

#[test]
fn attach_shows_what_is_written_and_leaves_without_a_trace() {
    let bench = Bench::new();
    let ticks = "type: service\nargs: [tick]\n";
    bench.deploy("tick", ticks, TOOL).expect(200);
    bench.wait_for("tick", "ready");
    let attach = || {
        let mut command = bench.command();
        command.args(["attach", "tick"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut watcher = attach();
    let mut said = [0; 10];
    watcher.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"tick\ntick\n");
    let before = bench.instance("tick");
    end(watcher);
    assert_eq!((bench.state("tick"), bench.instance("tick")), ("ready".to_owned(), before));
    // One that stays is told of the end; one that never reads holds up nobody.
    let (last, _deaf) = (attach(), attach());
    let mut last = last;
    last.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    bench.post("/v1/apps/tick/stop", &json!({})).expect(200);
    let ended = Ran::of(last.wait_with_output().unwrap());
    ended.expect(143, &["stopped"]);
    Ran::of(bench.command().args(["attach", "tick"]).output().unwrap()).expect(126, &["does not run"]);
}
