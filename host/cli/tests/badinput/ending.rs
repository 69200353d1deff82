//! How a run ends: exit codes, traps, limits, and the reports of them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{BUSY, Ran, Sandbox, exits, read_json, ready_then};

/// Runs a module with a status file; gives what it says.
#[track_caller]
fn status(sandbox: &Sandbox, arguments: &[&str], code: i32) -> (Ran, Value) {
    let mut all = vec!["run", "--status-file", "status.json"];
    all.extend(arguments);
    let ran = sandbox.run(&all).expect(code, &[]);
    let status = read_json(&sandbox.path("status.json"));
    assert_eq!(status["exit_code"], code);
    assert_eq!(status["status"], 1);
    (ran, status)
}

#[test]
fn exit_codes_of_the_app_pass_and_larger_ones_become_1_with_a_message() {
    let sandbox = Sandbox::new();
    for code in [0, 1, 42, 124, 255] {
        sandbox.module("app.wasm", &exits(code));
        let (ran, status) = status(&sandbox, &["app.wasm"], i32::try_from(code).unwrap());
        assert_eq!((&status["cause"], &status["app_exit_code"]), (&"exit".into(), &code.into()));
        assert_eq!(ran.stderr, "");
    }
    for code in [256, 300, 0x8000_0000, u32::MAX] {
        sandbox.module("app.wasm", &exits(code));
        let (ran, status) = status(&sandbox, &["app.wasm"], 1);
        assert_eq!(status["app_exit_code"], code);
        assert!(ran.stderr.contains(&code.to_string()), "{}", ran.stderr);
    }
}

#[test]
fn json_goes_to_standard_error_and_says_the_same_as_the_status_file() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &ready_then(""));
    let (ran, status) = status(&sandbox, &["app.wasm", "--json"], 0);
    assert_eq!(ran.stdout, "ready\n");
    assert_eq!(serde_json::from_str::<Value>(&ran.stderr).unwrap(), status);
    let (_, status) = self::status(&sandbox, &["absent.wasm", "--json"], 127);
    assert_eq!(status["cause"], "not_found");
}

#[test]
fn a_trap_names_its_reason_and_functions_and_leaves_a_core_dump() {
    let sandbox = Sandbox::new();
    sandbox.module(
        "app.wasm",
        r#"(module (func $inner unreachable) (func $outer call $inner) (func (export "_start") call $outer))"#,
    );
    let (ran, status) = status(&sandbox, &["app.wasm", "--coredump", "core"], 134);
    for word in ["unreachable", "inner", "outer"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    assert_eq!(status["cause"], "trap");
    assert_eq!(status["trap"]["frames"][0]["function"], "inner");
    assert_eq!(status["trap"]["frames"][1]["function"], "outer");
    assert!(std::fs::read(sandbox.path("core")).unwrap().starts_with(b"\0asm"));
    sandbox
        .run(&["run", "app.wasm", "--coredump", "/proc/none/core"])
        .expect(134, &["core dump was not written", "/proc/none"]);
    for body in ["i32.const 1 i32.const 0 i32.div_u drop", "i32.const -1 i32.load drop"] {
        sandbox.module("app.wasm", &format!(r#"(module (memory 1) (func (export "_start") {body}))"#));
        sandbox.run(&["run", "app.wasm"]).expect(134, &[]);
    }
}

#[test]
fn deep_recursion_is_a_trap_and_never_a_crash() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", r#"(module (func $deeper (export "_start") call $deeper))"#);
    for stack in ["64KiB", "1MiB", "64MiB"] {
        let limit = format!("stack={stack}");
        let (ran, _) = status(&sandbox, &["app.wasm", "--limit", &limit], 134);
        assert!(ran.stderr.contains("stack"), "{}", ran.stderr);
    }
    sandbox.run(&["run", "app.wasm", "--limit", "stack=1GiB"]).expect(2, &["stack"]);
}

#[test]
fn memory_beyond_the_limit_is_refused_and_the_trap_that_follows_is_the_limits() {
    let sandbox = Sandbox::new();
    let growing = r#"(memory (export "memory") 1) (func (export "_start")
        (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)"#;
    let tables = r#"(table 1 externref) (func (export "_start")
        (loop (br_if 0 (i32.ne (table.grow (ref.null extern) (i32.const 10000)) (i32.const -1)))) unreachable)"#;
    for body in [growing, tables] {
        sandbox.module("app.wasm", &format!("(module {body})"));
        let (ran, status) = status(&sandbox, &["app.wasm", "--limit", "memory=8MiB"], 137);
        assert_eq!(status["cause"], "memory");
        assert!(status["memory_peak_bytes"].as_u64().unwrap() <= 8 << 20, "{status}");
        assert!(ran.stderr.contains("limits.memory"), "{}", ran.stderr);
    }
    // A guest that takes the refusal well ends as it likes.
    let polite = r#"(module (memory 1) (func (export "_start") (drop (memory.grow (i32.const 60000)))))"#;
    sandbox.module("app.wasm", polite);
    status(&sandbox, &["app.wasm", "--limit", "memory=8MiB"], 0);
}

#[test]
fn what_an_instance_is_made_of_counts_against_the_memory() {
    let sandbox = Sandbox::new();
    let globals = "(global (mut i64) (i64.const 1))".repeat(500_000);
    sandbox.module("app.wasm", &format!(r#"(module {globals} (func (export "_start")))"#));
    let component = |globals: &str| {
        format!(
            r#"(component (core module $m {globals} (func (export "run") (result i32) (i32.const 0))) {}
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $out (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $out)))"#,
            "(core instance (instantiate $m))".repeat(49)
        )
    };
    sandbox.module("p2.wasm", &component(&globals));
    // 16 bytes a global and instance: one of p2.wasm's fifty would fit into the larger limit.
    for (app, limit) in
        [("app.wasm", "memory=1MiB"), ("p2.wasm", "memory=1MiB"), ("p2.wasm", "memory=100MiB")]
    {
        let (ran, status) = status(&sandbox, &[app, "--limit", limit], 137);
        assert_eq!(status["cause"], "memory");
        assert!(ran.stderr.contains("limits.memory"), "{}", ran.stderr);
    }
    let (_, enough) = status(&sandbox, &["app.wasm", "--limit", "memory=10MiB"], 0);
    assert!(enough["memory_peak_bytes"].as_u64().unwrap() >= 8_000_000, "{enough}");
    // Many instances of little need little.
    sandbox.module("p2.wasm", &component(""));
    status(&sandbox, &["p2.wasm", "--limit", "memory=1MiB"], 0);
}

#[test]
fn wall_time_holds_whatever_the_guest_does() {
    let sandbox = Sandbox::new();
    for (name, then) in BUSY {
        sandbox.module("app.wasm", &ready_then(then));
        // Compiled before, so that only the run is timed.
        sandbox.run(&["run", "app.wasm", "--timeout", "1ms", "--limit", "memory=400MiB"]);
        for more in [&[][..], &["--no-interruption"]] {
            let arguments = ["app.wasm", "--timeout", "300ms", "--limit", "memory=400MiB"];
            let mut command = sandbox.command();
            command.args(["run", "--status-file", "status.json"]).args(arguments).args(more);
            // A pipe that nobody writes to, and that stays open.
            let (reader, writer) = std::io::pipe().unwrap();
            let mut child = command
                .stdin(reader)
                .stderr(std::process::Stdio::null())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let start = Instant::now();
            let ended = child.wait().unwrap();
            drop(writer);
            let took = start.elapsed();
            assert_eq!(ended.code(), Some(124), "{name} {more:?}");
            assert!(took > Duration::from_millis(300), "{name} {more:?} took {took:?}");
            // With the compilation of the second flavour.
            assert!(took < Duration::from_secs(2), "{name} {more:?} took {took:?}");
            assert_eq!(read_json(&sandbox.path("status.json"))["cause"], "timeout", "{name}");
        }
    }
}

#[test]
fn processor_time_holds_and_sleep_costs_none() {
    let sandbox = Sandbox::new();
    for (name, then) in [BUSY[0], BUSY[3]] {
        sandbox.module("app.wasm", &ready_then(then));
        let limits = ["app.wasm", "--limit", "cpu_time=200ms", "--limit", "memory=400MiB"];
        let (_, status) = status(&sandbox, &limits, 137);
        assert_eq!(status["cause"], "cpu_time", "{name}");
    }
    sandbox.module("app.wasm", &ready_then(BUSY[1].1));
    let (_, status) = status(&sandbox, &["app.wasm", "--limit", "cpu_time=200ms", "--timeout", "500ms"], 124);
    assert_eq!(status["cause"], "timeout");
}

#[test]
fn a_status_file_that_cannot_be_written_is_said_and_changes_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &exits(7));
    sandbox.run(&["run", "app.wasm", "--status-file", "/proc/none/status"]).expect(7, &["/proc/none"]);
}

#[test]
fn a_guest_that_fills_a_stream_nobody_reads_ends_in_time_all_the_same() {
    for stream in [1, 2] {
        let sandbox = Sandbox::new();
        let text = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4) (data (i32.const 4) "\00\00\02\00")
            (func (export "_start") (loop
                (drop (call $write (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))"#
        );
        sandbox.module("app.wasm", &text);
        let mut command = sandbox.command();
        command.args(["run", "app.wasm", "--timeout", "300ms", "--status-file", "status.json"]);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut code = None;
        crate::sandbox::wait_until("the end", || {
            code = child.try_wait().unwrap().map(|status| status.code());
            code.is_some()
        });
        assert_eq!(code, Some(Some(124)));
        assert_eq!(read_json(&sandbox.path("status.json"))["cause"], "timeout");
    }
}
