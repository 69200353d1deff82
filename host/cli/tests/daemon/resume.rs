//! Clients that wait while the daemon is started anew.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::bench::{Bench, SLEEPER};

#[test]
fn events_go_on_with_the_next_daemon() {
    let mut bench = Bench::new();
    bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200);
    bench.wait_for("sleeper", "ready");
    let mut follows = bench.command();
    let mut follows =
        follows.args(["events", "--since", "0", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let mut ids: Vec<u64> = Vec::new();
    let mut until = |words: &str| loop {
        let line = lines.next().unwrap().unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        ids.push(event["id"].as_u64().unwrap());
        if line.contains(words) {
            return;
        }
    };
    until("\"ready\"");
    bench.crash();
    bench.start();
    bench.wait_for("sleeper", "ready");
    bench.post("/v1/apps/sleeper/stop", &serde_json::json!({})).expect(200);
    until("\"stopped\"");
    follows.kill().unwrap();
    follows.wait().unwrap();
    // Each once, and none left out.
    let expected: Vec<u64> = (ids[0]..ids[0] + ids.len() as u64).collect();
    assert_eq!(ids, expected);
}

#[test]
fn what_is_watched_is_deployed_again_when_it_changes() {
    let bench = Bench::new();
    bench.sandbox.module("watched/main.wasm", SLEEPER);
    let manifest = |version: &str| {
        let text = format!("name: watched\nversion: {version}\nentrypoint: main.wasm\ntype: service\n");
        bench.sandbox.write("watched/app.qyv", text);
    };
    manifest("1.0.0");
    let mut watching = bench.command();
    watching.args(["deploy", "watched", "--watch"]).stderr(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let version = || {
        let detail = bench.get("/v1/apps/watched");
        if detail.status == 200 { detail.json()["summary"]["version"].to_string() } else { String::new() }
    };
    let until = |wanted: &str| {
        crate::sandbox::wait_until(wanted, || version() == format!("\"{wanted}\""));
        bench.wait_for("watched", "ready");
    };
    until("1.0.0");
    manifest("1.1.0");
    until("1.1.0");
    // A mistake is told, what runs goes on, and what mends it is deployed.
    bench.sandbox.write("watched/app.qyv", "name: watched\nentrypoint: main.wasm\ntype: servant\n");
    let mut errors = BufReader::new(watching.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(errors.any(|line| line.contains("servant")));
    assert_eq!((version(), bench.state("watched")), ("\"1.1.0\"".to_owned(), "ready".to_owned()));
    manifest("1.2.0");
    until("1.2.0");
    // What it packages is watched too.
    let image = || bench.get("/v1/apps/watched").json()["summary"]["image"].clone();
    let before = image();
    bench.sandbox.module("watched/main.wasm", &SLEEPER.replace("awake", "early"));
    crate::sandbox::wait_until("the program is deployed", || image() != before);
    let watcher = rustix::process::Pid::from_raw(i32::try_from(watching.id()).unwrap()).unwrap();
    rustix::process::kill_process(watcher, rustix::process::Signal::INT).unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(130));
    bench.wait_for("watched", "ready");
}
