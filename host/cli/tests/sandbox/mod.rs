//! A folder of one test's own, with a cache, a configuration and data of its own, and the program that is tested.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub(crate) struct Ran {
    /// The exit code; `None` when a signal ended the process.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Assembles a module to `name`.
    pub(crate) fn module(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, wat::parse_str(text).unwrap())
    }

    /// The program, started in this folder, with places of this sandbox's own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qyvol"));
        command
            .current_dir(self.folder.path())
            .env("QYVOL_CACHE_DIR", self.cache())
            .env("QYVOL_CONFIG_DIR", self.path("config"))
            .env("QYVOL_DATA_DIR", self.path("data"))
            .env("QYVOL_STATE_DIR", self.path("state"))
            .env("QYVOL_RUNTIME_DIR", self.path("run"))
            .env_remove("NO_COLOR")
            .env_remove("COLORTERM")
            // Messages are looked at in English, whatever the language of this machine is.
            .env_remove("LC_ALL")
            .env_remove("LC_MESSAGES")
            .env_remove("LANG")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().unwrap())
    }

    /// The files of the cache whose names end so.
    pub(crate) fn cached(&self, suffix: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.cache()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect()
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the command ended with `code` and each of `words` is on its standard error.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing in:\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A program that ends at once with this code.
pub(crate) fn exits(code: u32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") i32.const {code} call $exit))"#
    )
}

/// A program that writes `ready` and a line feed, and then does `then`.
pub(crate) fn ready_then(then: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "ready\0a")
        (data (i32.const 32) "\40\00\00\00\10\00\00\00")
        ;; A subscription to the monotonic clock, an hour from now, at 128.
        (data (i32.const 144) "\01\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            {then}))"#
    )
}

/// What a guest may be at when it is stopped, and how `then` of [`ready_then`] gets there.
pub(crate) const BUSY: [(&str, &str); 4] = [
    ("loop", "(loop (br 0))"),
    ("sleep", "(drop (call $poll (i32.const 128) (i32.const 192) (i32.const 1) (i32.const 240)))"),
    ("stdin", "(drop (call $read (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 8)))"),
    (
        "fill",
        "(drop (memory.grow (i32.const 4096))) (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000)) (br 0))",
    ),
];

/// A module of about `functions` KiB, which takes the compiler a while: 2000 take seconds.
pub(crate) fn large_module(functions: usize) -> Vec<u8> {
    let mut body = vec![0];
    body.extend([0x20, 0]);
    for step in 0..128_u8 {
        // i32.const step, i32.add, local.tee 0, i32.const 5, i32.rotl
        body.extend([0x41, step & 0x3f, 0x6a, 0x22, 0, 0x41, 5, 0x77]);
    }
    body.push(0x0b);
    let code: Vec<u8> = std::iter::repeat_n([leb(body.len()), body].concat(), functions)
        .chain([vec![2, 0, 0x0b]])
        .flatten()
        .collect();
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    // Types: (i32) -> i32 and () -> ().
    section(&mut wasm, 1, &[2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0]);
    let mut types = leb(functions + 1);
    types.extend(std::iter::repeat_n(0, functions));
    types.push(1);
    section(&mut wasm, 3, &types);
    section(&mut wasm, 5, &[1, 0, 1]);
    let mut exports = b"\x02\x06memory\x02\x00\x06_start\x00".to_vec();
    exports.extend(leb(functions));
    section(&mut wasm, 7, &exports);
    section(&mut wasm, 10, &[leb(functions + 1), code].concat());
    wasm
}

fn section(wasm: &mut Vec<u8>, id: u8, bytes: &[u8]) {
    wasm.push(id);
    wasm.extend(leb(bytes.len()));
    wasm.extend(bytes);
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
