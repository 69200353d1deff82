//! Things that are no app, given as APP.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use crate::sandbox::{Ran, Sandbox, exits};

/// Each of `run`, `check` and `caps` answers with one of `codes` and never panics or hangs.
#[track_caller]
fn refused(sandbox: &Sandbox, app: &str, words: &[&str]) {
    let ran = sandbox.run(&["run", app]);
    ran.expect(126, words).expect(126, &[app]);
    for command in ["check", "caps"] {
        let ran = sandbox.run(&[command, app]);
        assert!(ran.stderr.contains(app), "{command} {app} does not name the file: {}", ran.stderr);
        assert!(matches!(ran.code, Some(1 | 126)), "{command} {app}: {:?}\n{}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    assert_eq!(sandbox.cached(".native").len() + sandbox.cached(".partial").len(), 0);
}

#[test]
fn nothing_is_not_found() {
    let sandbox = Sandbox::new();
    for command in ["run", "check", "caps"] {
        sandbox.run(&[command, "absent.wasm"]).expect(127, &["absent.wasm"]);
        std::fs::create_dir_all(sandbox.path("empty")).unwrap();
        sandbox.run(&[command, "empty"]).expect(127, &["holds no `.qyv` manifest"]);
    }
}

#[test]
fn files_that_are_no_programs_are_refused() {
    let sandbox = Sandbox::new();
    let whole = wat::parse_str(exits(0)).unwrap();
    sandbox.write("empty.wasm", "");
    refused(&sandbox, "empty.wasm", &["empty"]);
    // After its eight first bytes, a module is one without anything to run.
    for cut in [1, 4, 7, 9, 11, whole.len() - 1] {
        sandbox.write("cut.wasm", &whole[..cut]);
        refused(&sandbox, "cut.wasm", &[]);
    }
    for version in [0_u8, 2, 9, 0xff] {
        let mut other = whole.clone();
        other[4] = version;
        sandbox.write("version.wasm", &other);
        refused(&sandbox, "version.wasm", &["version"]);
    }
    let noise: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for name in ["noise.wasm", "noise.qyv", "noise.qyvbin", "noise.wat", "noise.bin", "noise"] {
        sandbox.write(name, &noise);
        refused(&sandbox, name, &[]);
    }
    for name in ["zero.qyv", "zero.qyvbin", "zero.wat", "zero"] {
        sandbox.write(name, "");
        refused(&sandbox, name, &[]);
    }
    sandbox.write("text.wat", "(module (func (export \"_start\") i32.konst 1))");
    refused(&sandbox, "text.wat", &["text.wat:1:", "i32.konst"]);
}

#[test]
fn native_code_is_refused_by_name_and_by_content() {
    let sandbox = Sandbox::new();
    let native = std::fs::read(env!("CARGO_BIN_EXE_qyv")).unwrap();
    for name in ["program.cwasm", "program.wasm", "program"] {
        sandbox.write(name, &native);
        refused(&sandbox, name, &["native code"]);
    }
    // An entry of the cache itself is native code with a record behind it.
    sandbox.module("good.wasm", &exits(0));
    sandbox.run(&["run", "good.wasm"]).expect(0, &[]);
    let entry = std::fs::read(&sandbox.cached(".native")[0]).unwrap();
    sandbox.write("entry.wasm", &entry);
    sandbox.run(&["run", "entry.wasm"]).expect(126, &["native code"]);
}

#[test]
fn huge_files_are_refused_without_reading_them() {
    let sandbox = Sandbox::new();
    for (name, words) in [
        ("huge.wasm", "larger than"),
        ("huge.wat", "larger than"),
        ("huge.qyv", "larger than"),
        ("huge.qyvbin", ""),
        ("huge", ""),
    ] {
        File::create(sandbox.path(name)).unwrap().set_len(1 << 30).unwrap();
        let start = Instant::now();
        refused(&sandbox, name, &[words]);
        assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn things_that_are_neither_file_nor_folder_are_refused() {
    let sandbox = Sandbox::new();
    let status = std::process::Command::new("mkfifo").arg(sandbox.path("pipe.wasm")).status().unwrap();
    assert!(status.success());
    refused(&sandbox, "pipe.wasm", &["neither a file nor a folder"]);
    refused(&sandbox, "/dev/zero", &["neither a file nor a folder"]);
    std::os::unix::fs::symlink("round.wasm", sandbox.path("round.wasm")).unwrap();
    assert!(matches!(sandbox.run(&["run", "round.wasm"]).code, Some(125..=127)));
    // A manifest whose program is a pipe finds no program, and does not wait for one.
    sandbox.write("app/app.qyv", "name: app\nentrypoint: pipe.wasm\n");
    std::fs::rename(sandbox.path("pipe.wasm"), sandbox.path("app/pipe.wasm")).unwrap();
    refused(&sandbox, "app", &["pipe.wasm"]);
}

#[test]
fn names_that_are_no_text_are_names() {
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"\xff\xfe n.wasm");
    std::fs::write(sandbox.path("").join(name), wat::parse_str(exits(42)).unwrap()).unwrap();
    for (command, code) in [("run", 42), ("check", 0), ("caps", 0)] {
        Ran::of(sandbox.command().arg(command).arg(name).output().unwrap()).expect(code, &[]);
    }
    let mut command = sandbox.command();
    command.args(["run", "x.wasm", "--"]).arg(OsStr::from_bytes(b"\xff"));
    Ran::of(command.output().unwrap()).expect(2, &["UTF-8"]);
}

#[test]
fn manifests_that_attack_their_reader_are_refused_soon() {
    let sandbox = Sandbox::new();
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 'b'..='k' {
        let before = char::from_u32(u32::from(level) - 1).unwrap();
        bomb += &format!("{level}: &{level} [{}]\n", vec![format!("*{before}"); 8].join(", "));
    }
    let head = "name: app\nentrypoint: app.wasm\n";
    sandbox.module("app.wasm", &exits(0));
    let cases = [
        ("bomb", format!("{head}{bomb}"), ""),
        ("nested-flow", format!("{head}args: {}{}", "[".repeat(100_000), "]".repeat(100_000)), ""),
        ("nested-map", format!("{head}env: {}{}", "{a: ".repeat(50_000), "}".repeat(50_000)), ""),
        ("duplicate", format!("{head}name: other\n"), "name"),
        ("unknown", format!("{head}permisions: {{ fs: read-only }}\n"), "permissions"),
        ("controls", format!("{head}description: \"a\u{7}b\"\n"), "control character"),
        ("documents", format!("{head}---\n{head}"), ""),
        ("list", "- name: app\n".to_owned(), ""),
        ("scalar", "app".to_owned(), ""),
    ];
    for (name, text, word) in cases {
        sandbox.write(&format!("{name}.qyv"), text);
        let start = Instant::now();
        let app = format!("{name}.qyv");
        sandbox.run(&["run", &app]).expect(126, &[word]);
        let ran = sandbox.run(&["check", &app, "--json"]).expect(1, &[]);
        assert_eq!(ran.json()["ok"], false);
        assert!(!ran.json()["problems"].as_array().unwrap().is_empty(), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
    }
    let mut file = File::create(sandbox.path("large.qyv")).unwrap();
    file.write_all(head.as_bytes()).unwrap();
    let line = format!("# {}\n", "x".repeat((1 << 20) - 3));
    for _ in 0..100 {
        file.write_all(line.as_bytes()).unwrap();
    }
    drop(file);
    refused(&sandbox, "large.qyv", &["larger than"]);
}

#[test]
fn programs_of_manifests_must_be_there_and_be_programs() {
    let sandbox = Sandbox::new();
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\n");
    let ran = sandbox.run(&["run", "app.qyv"]);
    assert!(matches!(ran.code, Some(126 | 127)), "{:?}", ran.code);
    assert!(ran.stderr.contains("app.wasm"), "{}", ran.stderr);
    sandbox.run(&["check", "app.qyv"]).expect(1, &["app.wasm"]);
    sandbox.write("app.wasm", "#!/bin/sh\n");
    sandbox.run(&["run", "app.qyv"]).expect(126, &["`app.wasm` of `app.qyv` is not a WebAssembly program"]);
    sandbox.run(&["check", "app.qyv"]).expect(1, &["`app.wasm` of `app.qyv` is not a WebAssembly program"]);
    std::fs::remove_file(sandbox.path("app.wasm")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", sandbox.path("app.wasm")).unwrap();
    let ran = sandbox.run(&["run", "app.qyv"]);
    assert!(matches!(ran.code, Some(126 | 127)), "{:?}", ran.code);
}

#[test]
fn programs_for_other_worlds_are_told_so_when_they_are_run() {
    let sandbox = Sandbox::new();
    for (module, words) in [
        (r#"(module (import "wbg" "f" (func)) (func (export "main")))"#, "wasm-bindgen"),
        (
            r#"(module (import "go" "runtime.wasmExit" (func (param i32))) (func (export "run")))"#,
            "GOOS=wasip1",
        ),
        (r#"(module (tag $e) (func (export "_start") try nop catch $e end))"#, "wasm-use-legacy-eh=false"),
        (r#"(component (import "wasi:cli/stdout@0.3.0" (instance)))"#, "WASI 0.3"),
        (
            r#"(module (type (struct)) (tag $e) (func (export "_start") try nop catch $e end))"#,
            "Kotlin 2.3 or newer",
        ),
        (r#"(module (import "js_code" "kotlin.x" (func)) (func (export "_initialize")))"#, "`wasmWasi`"),
        (
            r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
                (import "env" "emscripten_notify_memory_growth" (func (param i32))) (func (export "_start")))"#,
            "-sSTANDALONE_WASM",
        ),
        (r#"(module (import "a" "b" (func)) (func (export "_start")))"#, "Emscripten"),
        (r#"(module (import "gojs" "runtime.wasmExit" (func (param i32))) (func (export "run")))"#, "wasip1"),
        (
            r#"(module (import "env" "abort" (func (param i32 i32 i32 i32))) (func (export "_start")))"#,
            "wasi-shim",
        ),
        (
            r#"(module (import "wasi_unstable" "fd_close" (func (param i32) (result i32))) (func (export "_start")))"#,
            "`wasi_unstable`",
        ),
        (
            r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) (func (export "_start")))"#,
            "without threads",
        ),
        (
            r#"(module (import "env" "memory" (memory 1 2 shared)) (func (export "_start")))"#,
            "without threads",
        ),
    ] {
        sandbox.write("other.wat", module);
        sandbox.run(&["run", "other.wat"]).expect(126, &["`other.wat` is built for", words]);
        sandbox.run(&["check", "other.wat"]).expect(1, &["`other.wat` is built for", words]);
        let told = sandbox.run(&["caps", "other.wat"]).expect(0, &[]).stdout;
        assert!(told.contains("It does not run here: ") && told.contains(words), "{told}");
    }
}

#[test]
fn programs_that_want_what_nobody_offers_are_refused_by_name() {
    let sandbox = Sandbox::new();
    sandbox
        .module("stranger.wasm", r#"(module (import "env" "my_function" (func)) (func (export "_start")))"#);
    sandbox.run(&["run", "stranger.wasm"]).expect(126, &["env::my_function"]);
    sandbox.module("library.wasm", r#"(module (func (export "_initialize")))"#);
    sandbox.run(&["run", "library.wasm"]).expect(126, &["_start"]);
    sandbox.run(&["check", "library.wasm"]).expect(1, &["_initialize"]);
    sandbox.module("threads.wasm", r#"(module (memory 1 2 shared) (func (export "_start")))"#);
    sandbox.run(&["run", "threads.wasm"]).expect(126, &["`threads.wasm` is built for WASI with threads"]);
    sandbox.module("parameter.wasm", r#"(module (func (export "_start") (param i32)))"#);
    sandbox.run(&["run", "parameter.wasm"]).expect(126, &["_start"]);
    sandbox.module("memory.wasm", r#"(module (memory (export "memory") 60000) (func (export "_start")))"#);
    sandbox.run(&["run", "memory.wasm"]).expect(137, &["limits.memory"]);
}
