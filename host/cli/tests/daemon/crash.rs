//! What goes on when the daemon or a worker is killed.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::{Ran, wait_until};

#[test]
fn an_instance_outlives_its_daemon_and_the_next_one_takes_it_over() {
    let mut bench = Bench::new();
    bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200);
    bench.wait_for("sleeper", "ready");
    let before = bench.instance("sleeper");
    bench.crash();
    bench.start();
    assert_eq!(bench.state("sleeper"), "ready");
    assert_eq!(bench.instance("sleeper"), before);
    // A daemon that is told to end leaves them running too.
    bench.ask("POST", "/v1/daemon/stop", b"").expect(204);
    assert_eq!(bench.ended(), Some(0));
    assert!(!bench.sandbox.path("run/qyvold.sock").exists());
    bench.start();
    assert_eq!(bench.instance("sleeper"), before);
    // Its log is still followed, and it can still be stopped.
    assert!(bench.get("/v1/apps/sleeper/logs").expect(200).body.contains("awake"));
    bench.post("/v1/apps/sleeper/stop", &serde_json::json!({})).expect(200);
    bench.wait_for("sleeper", "stopped");
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    let bench = Bench::new();
    bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200);
    bench.wait_for("sleeper", "ready");
    let (generation, worker) = bench.instance("sleeper");
    kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).unwrap();
    wait_until("the instance is started again", || {
        let detail = bench.get("/v1/apps/sleeper").expect(200).json();
        let instance = &detail["instances"][0];
        instance["state"] == "ready" && instance["instance"]["generation"].as_u64() > Some(generation)
    });
    let detail = bench.get("/v1/apps/sleeper").expect(200).json();
    assert_eq!(detail["instances"][0]["last_end"]["cause"], "worker-lost");
    assert_eq!(detail["summary"]["restarts"], 1);
}

#[test]
fn a_second_daemon_is_refused_and_says_who_runs() {
    let mut bench = Bench::new();
    let pid = bench.get("/v1/info").expect(200).json()["pid"].as_u64().unwrap();
    let second = Ran::of(bench.command().args(["daemon", "run"]).output().unwrap());
    second.expect(125, &[&format!("process {pid}"), "qyvol daemon stop"]);
    // The socket that a killed one leaves is in nobody's way.
    bench.crash();
    assert!(bench.sandbox.path("run/qyvold.sock").exists());
    bench.start();
}

#[test]
fn a_state_that_is_newer_or_damaged_is_left_as_it_is() {
    let mut bench = Bench::new();
    bench.crash();
    let state = bench.sandbox.path("state");
    let database = state.join("state-1.redb");
    let good = fs::read(&database).unwrap();
    let refused = |words: &[&str]| {
        Ran::of(bench.command().args(["daemon", "run"]).output().unwrap()).expect(125, words);
    };
    fs::write(state.join("state-2.redb"), b"from the future").unwrap();
    refused(&["version 2", "newer qyvold"]);
    fs::remove_file(state.join("state-2.redb")).unwrap();
    fs::write(&database, b"rubbish").unwrap();
    refused(&["damaged", "backup"]);
    assert_eq!(fs::read(&database).unwrap(), b"rubbish");
    fs::write(&database, good).unwrap();
    bench.start();
}
