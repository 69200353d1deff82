//! Ctrl-C and SIGTERM, in each phase of a run.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{BUSY, Sandbox, large_module, read_json, ready_then, wait_until};

const SIGNALS: [(Signal, i32, &str); 2] = [(Signal::INT, 130, "interrupt"), (Signal::TERM, 143, "terminate")];

/// Sends the signal and checks how the run ends.
#[track_caller]
fn stop(sandbox: &Sandbox, child: &mut Child, (signal, code, cause): (Signal, i32, &str), what: &str) {
    // `wait` closes it, which would end a guest that reads.
    let _stdin = child.stdin.take();
    let start = Instant::now();
    kill_process(Pid::from_child(child), signal).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(code), "{what}");
    assert!(start.elapsed() < Duration::from_secs(2), "{what} took {:?}", start.elapsed());
    let status = read_json(&sandbox.path("status.json"));
    assert_eq!((&status["cause"], &status["exit_code"]), (&cause.into(), &code.into()), "{what}");
    assert_eq!(sandbox.cached(".partial"), Vec::<std::path::PathBuf>::new(), "{what}");
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let _ = std::fs::remove_file(sandbox.path("status.json"));
    let mut command = sandbox.command();
    command.args(["run", "--status-file", "status.json", "app.wasm"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

#[test]
fn a_guest_stops_whatever_it_does() {
    let sandbox = Sandbox::new();
    for (name, then) in BUSY {
        sandbox.module("app.wasm", &ready_then(then));
        for signal in SIGNALS {
            let mut child = start(&sandbox, &["--limit", "memory=400MiB"]).spawn().unwrap();
            let mut ready = [0; 6];
            child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
            assert_eq!(&ready, b"ready\n");
            stop(&sandbox, &mut child, signal, name);
        }
    }
}

#[test]
fn a_guest_without_interruption_points_stops_too() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &ready_then(BUSY[0].1));
    let mut child = start(&sandbox, &["--no-interruption"]).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    stop(&sandbox, &mut child, SIGNALS[0], "loop without interruption points");
}

#[test]
fn a_compilation_stops_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", large_module(3000));
    for signal in SIGNALS {
        let mut child = start(&sandbox, &[]).spawn().unwrap();
        wait_until("the compilation", || !sandbox.cached(".partial").is_empty());
        // Now the child compiles, or waits for its input.
        std::thread::sleep(Duration::from_millis(50));
        stop(&sandbox, &mut child, signal, "compiling");
        assert!(sandbox.cached(".native").is_empty());
    }
}

#[test]
fn one_that_waits_for_anothers_compilation_stops_and_the_other_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", large_module(3000));
    let mut first = start(&sandbox, &[]).spawn().unwrap();
    wait_until("the compilation", || !sandbox.cached(".partial").is_empty());
    let mut second = start(&sandbox, &["--compile-timeout", "1h"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    kill_process(Pid::from_child(&second), Signal::INT).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(130));
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(sandbox.cached(".native").len(), 1);
}

#[test]
fn the_compiler_ends_with_a_process_that_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", large_module(3000));
    let mut child = start(&sandbox, &[]).spawn().unwrap();
    wait_until("the compilation", || !sandbox.cached(".partial").is_empty());
    let tasks = format!("/proc/{0}/task/{0}/children", child.id());
    wait_until("the compiler's start", || !std::fs::read_to_string(&tasks).unwrap_or_default().is_empty());
    let compiler = std::fs::read_to_string(&tasks).unwrap();
    let compiler: i32 = compiler.split_whitespace().next().unwrap().parse().unwrap();
    // Past its first moments, in which it asks to end with its parent.
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = || {
        std::fs::read_to_string(format!("/proc/{compiler}/stat")).map_or(true, |stat| stat.contains(") Z "))
    };
    wait_until("the compiler's end", gone);
    assert!(sandbox.cached(".native").is_empty());
    // What it left is swept, and not in anyone's way.
    sandbox.run(&["cache", "prune"]).expect(0, &[]);
    assert!(sandbox.cached(".partial").is_empty());
    assert!(sandbox.cached(".lock").is_empty());
}
