//! Standard streams that are closed, full, or whose reader left.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::sandbox::{Ran, Sandbox, ready_then};

/// A program that exits with the error number of its one write.
const WRITES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "hello\0a")
    (func (export "_start")
        (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// WASI's number of "broken pipe".
const PIPE: i32 = 64;
/// WASI's number of "no space left".
const NOSPC: i32 = 51;

#[test]
fn a_guest_learns_that_its_reader_left() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", WRITES);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command();
    let ran = Ran::of(command.args(["run", "app.wasm"]).stdout(writer).output().unwrap());
    ran.expect(PIPE, &[]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.command();
    Ran::of(command.args(["run", "app.wasm"]).stdout(full).output().unwrap()).expect(NOSPC, &[]);
}

#[test]
fn reports_end_well_when_their_reader_left_and_say_when_they_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &ready_then(""));
    let reports: [&[&str]; 8] = [
        &["caps", "app.wasm"],
        &["check", "app.wasm", "--json"],
        &["cache", "list"],
        &["cache", "verify", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["completions", "bash"],
        &["man"],
    ];
    for arguments in reports {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::of(sandbox.command().args(arguments).stdout(writer).output().unwrap());
        ran.expect(0, &[]);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::of(sandbox.command().args(arguments).stdout(full).output().unwrap());
        ran.expect(125, &["standard output"]);
    }
}

#[test]
fn streams_that_are_closed_from_the_start_do_no_harm() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", WRITES);
    for (redirect, code) in [
        ("run app.wasm >&-", 0),
        ("run app.wasm <&- >&- 2>&-", 0),
        ("caps app.wasm >&-", 0),
        ("doctor <&- >&-", 0),
    ] {
        let script = format!("exec \"$0\" {redirect}");
        let mut shell = std::process::Command::new("sh");
        let command = sandbox.command();
        shell.args(["-c", &script]).arg(command.get_program()).current_dir(sandbox.path(""));
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        let ran = Ran::of(shell.output().unwrap());
        ran.expect(code, &[]);
        // What was meant for standard output did not land in a file of the cache.
        assert!(
            !sandbox.cached(".native").iter().any(|path| std::fs::read(path).unwrap().starts_with(b"hello"))
        );
    }
}

#[test]
fn a_failure_with_closed_standard_error_keeps_its_code() {
    let sandbox = Sandbox::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command();
    assert_eq!(command.args(["run", "absent.wasm"]).stderr(writer).status().unwrap().code(), Some(127));
}
