//! Runs a real program, built for wasm32-wasip2 with the standard library, on file trees in memory.

mod outside;
mod services;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use qyv_vfs::{Access, Budget, Clock, MemFs, MemFsOptions, OpenOptions, Vfs};
use qyv_wasi::{Denial, Right};
use qyvol_engine::component::{
    ComponentConfig, ComponentLimits, ComponentState, Prepared, SinkStream, add_to_linker, check,
};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

/// An empty file system in memory. `DATA_BYTES` is its quota.
fn mem_fs() -> Box<MemFs> {
    Box::new(MemFs::new(MemFsOptions {
        bytes: Budget::new(DATA_BYTES),
        inodes: Budget::new(1000),
        memory: Budget::unlimited(),
        clock: Arc::new(FixedClock),
        max_file: DATA_BYTES,
    }))
}

const DATA_BYTES: u64 = 16 << 20;

/// Builds the program once and compiles it once.
static GUEST: LazyLock<(Engine, Vec<u8>, Component)> = LazyLock::new(|| {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest-p2");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest-p2");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target=wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(&package)
        // Flags and tools that were meant for the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo starts");
    assert!(built.success(), "the guest builds; `rustup target add wasm32-wasip2` if the target is missing");
    let wasm = std::fs::read(target.join("wasm32-wasip2/release/guest-p2.wasm")).expect("the guest is there");
    let mut config = Config::new();
    config.epoch_interruption(true);
    // As the engine of this crate has it.
    config.concurrency_support(false);
    let engine = Engine::new(&config).expect("an engine");
    let component = Component::new(&engine, &wasm).expect("the guest compiles");
    (engine, wasm, component)
});

/// A file tree and its preopened directories.
type Tree = (Vfs, Vec<(String, Option<qyv_vfs::Node>)>);

/// `/data`, writable, and `/ro`, read-only, with a file.
fn tree() -> Tree {
    let mut vfs = Vfs::new();
    vfs.mount("/data", mem_fs(), Access::ReadWrite).unwrap();
    let mut ro = mem_fs();
    put(&mut *ro, "file", b"content");
    vfs.mount("/ro", ro, Access::ReadOnly).unwrap();
    let preopens = ["/data", "/ro"]
        .map(|path| (path.to_owned(), Some(vfs.open_root(path).unwrap())))
        .into_iter()
        .collect();
    (vfs, preopens)
}

fn put(fs: &mut dyn qyv_vfs::FileSystem, name: &str, bytes: &[u8]) {
    let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    let root = fs.root();
    let file = fs.open(root, name, &options).unwrap().handle;
    assert_eq!(fs.write_at(file, 0, &[bytes]), Ok(bytes.len()));
    fs.close(file);
}

/// What came out of a program.
struct Ran {
    result: wasmtime::Result<u8>,
    stdout: Vec<u8>,
    stderr: String,
    denials: Vec<Denial>,
}

impl Ran {
    /// The lines of stdout of a program that succeeded.
    #[track_caller]
    fn lines(&self) -> Vec<&str> {
        assert!(matches!(self.result, Ok(0)), "{:?}\n{}", self.result, self.stderr);
        std::str::from_utf8(&self.stdout).expect("UTF-8").lines().collect()
    }
}

/// The most descriptors, and the other limits.
type Limits = (u64, ComponentLimits);

fn usual() -> Limits {
    (256, ComponentLimits::default())
}

/// Runs the program with `args`.
fn run_with(args: &[&str], stdin: &'static str, (vfs, preopens): Tree, limits: Limits) -> Ran {
    run_component(&GUEST.2, args, stdin, (vfs, preopens), limits)
}

fn run_component(
    component: &Component,
    args: &[&str],
    stdin: &'static str,
    (vfs, preopens): Tree,
    (descriptors, limits): Limits,
) -> Ran {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker).unwrap();
    let (stdout, stderr) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let config = ComponentConfig {
        args: ["guest-p2"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
        env: vec![("NAME".into(), "value".into())],
        vfs,
        preopens,
        services: None,
        outside: None,
        stdin: Box::new(MemoryInputPipe::new(stdin)),
        stdout: Box::new(SinkStream::new(stdout.clone(), false)),
        stderr: Box::new(SinkStream::new(stderr.clone(), false)),
        descriptors: Budget::new(descriptors),
        limits,
    };
    let mut store = Store::new(engine, ComponentState::new(config).unwrap());
    store.set_epoch_deadline(u64::MAX / 2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prepared = Prepared::new(&linker, component).unwrap();
    let result = runtime.block_on(prepared.run(&mut store));
    let denials = store.data_mut().denials().to_vec();
    drop(store);
    let stdout = Arc::into_inner(stdout).expect("nobody else holds it").into_inner().unwrap();
    let stderr = Arc::into_inner(stderr).expect("nobody else holds it").into_inner().unwrap();
    Ran { result, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), denials }
}

fn run(args: &[&str]) -> Ran {
    run_with(args, "", tree(), usual())
}

#[test]
fn exit_codes_come_through() {
    assert!(matches!(run(&["exit", "0"]).result, Ok(0)));
    assert!(matches!(run(&["exit", "1"]).result, Ok(1)));
    // This libc knows success and failure only; the other test exits with a number.
    assert!(matches!(run(&["exit", "42"]).result, Ok(1)));
    assert!(matches!(run(&["fail"]).result, Ok(1)));
    let panicked = run(&["panic"]);
    assert!(panicked.result.unwrap_err().is::<wasmtime::Trap>());
    assert!(panicked.stderr.contains("told to panic"), "{}", panicked.stderr);
}

#[test]
fn exit_with_code_comes_through() {
    let component = wat::parse_str(
        r#"(component
            (import "wasi:cli/exit@0.2.12" (instance $exit
                (export "exit-with-code" (func (param "status-code" u8)))))
            (core func $exit (canon lower (func $exit "exit-with-code")))
            (core module $m
                (import "host" "exit" (func $exit (param i32)))
                (func (export "run") (result i32) (call $exit (i32.const 42)) unreachable))
            (core instance $i (instantiate $m (with "host" (instance (export "exit" (func $exit))))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $out (export "run" (func $run)))
            (export "wasi:cli/run@0.2.12" (instance $out)))"#,
    )
    .unwrap();
    assert_eq!(check(&component), Ok(()));
    let component = Component::new(&GUEST.0, component).unwrap();
    let ran = run_component(&component, &[], "", tree(), usual());
    assert!(matches!(ran.result, Ok(42)), "{:?}", ran.result);
}

#[test]
fn streams_arguments_and_environment() {
    let ran = run_with(&["stdio", "a b"], "from\0outside", tree(), usual());
    assert_eq!(
        ran.lines(),
        ["args [\"stdio\", \"a b\"]", "env [(\"NAME\", \"value\")]", "stdin \"from\\0outside\""]
    );
    assert_eq!(ran.stderr, "on stderr\n");
}

#[test]
fn files() {
    let ran = run(&["files"]);
    assert_eq!(
        ran.lines(),
        [
            "appended \"first\\nsecond\\n\"",
            "renamed Err(NotFound)",
            "linked \"dir/b\" \"first\\nsecond\\n\"",
            "is link true",
            "entries 202 [\"b\", \"c\", \"n000\"] Some(\"n199\")",
            "seen through the other name \"first\\nSECOND\" \"first\\nSECOND\"",
            "modified Ok(1000000000.000000007s)",
            // ENOTEMPTY of this libc.
            "not empty Err(Some(55))",
            "left 0",
        ]
    );
}

#[test]
fn more_than_one_buffer_goes_both_ways() {
    let ran = run(&["bulk"]);
    assert!(matches!(ran.result, Ok(0)), "{:?}\n{}", ran.result, ran.stderr);
    let (said, bytes) = ran.stdout.split_at(b"same true\n".len());
    assert_eq!(said, b"same true\n");
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    assert_eq!(bytes.len(), 500_000);
}

#[test]
fn a_read_only_mount_is_not_changed() {
    let ran = run(&["read-only"]);
    let lines = ran.lines();
    assert_eq!(lines[0], "read Ok(())");
    for line in &lines[1..] {
        assert!(line.contains("Err("), "{line}");
        assert!(
            ["ReadOnlyFilesystem", "CrossesDevices", "InvalidInput", "Uncategorized"]
                .iter()
                .any(|kind| line.contains(kind)),
            "{line}"
        );
    }
    assert_eq!(lines.len(), 14);
    let denied: Vec<_> = ran.denials.iter().map(|denial| (denial.call, denial.what.as_str())).collect();
    for expected in [
        ("open-at", "/ro/new"),
        ("open-at", "/ro/file"),
        ("unlink-file-at", "/ro/file"),
        ("create-directory-at", "/ro/dir"),
        ("rename-at", "/ro/file"),
        ("rename-at", "/ro/x"),
        ("symlink-at", "/ro/link"),
        ("set-times", "/ro/…/"),
    ] {
        assert!(denied.contains(&expected), "{expected:?} {denied:?}");
    }
    assert!(ran.denials.iter().all(|denial| denial.right == Right::Write("/ro".into())), "{denied:?}");
}

#[test]
fn the_closed_root_refuses_and_tells() {
    let tree = (Vfs::new(), vec![("/".to_owned(), None)]);
    let ran = run_with(&["closed"], "", tree, usual());
    for line in ran.lines() {
        assert!(line.ends_with("Err(PermissionDenied)"), "{line}");
    }
    let denied: Vec<_> = ran.denials.iter().map(|denial| (denial.call, denial.what.as_str())).collect();
    for expected in [
        ("open-at", "/etc/passwd"),
        ("metadata-hash-at", "/etc/passwd"),
        ("open-at", "/"),
        ("create-directory-at", "/new"),
        ("rename-at", "/a"),
        ("open-at", "/svc/logger"),
    ] {
        assert!(denied.contains(&expected), "{expected:?} {denied:?}");
    }
    for denial in &ran.denials {
        let service = denial.what == "/svc/logger";
        let right = if service { Right::Dial("logger".into()) } else { Right::Files };
        assert_eq!(denial.right, right, "{denial:?}");
    }
    assert_eq!(ran.denials.iter().find(|denial| denial.what == "/etc/passwd").unwrap().times, 2);
}

#[test]
fn services_are_refused_at_an_open_root_unless_a_folder_is_there() {
    for folder in [false, true] {
        let mut vfs = Vfs::new();
        vfs.mount("/", mem_fs(), Access::ReadWrite).unwrap();
        let mut preopens = vec![("/".to_owned(), Some(vfs.open_root("/").unwrap()))];
        if folder {
            let mut fs = mem_fs();
            put(&mut *fs, "logger", b"a file");
            vfs.mount("/svc", fs, Access::ReadWrite).unwrap();
            preopens.push(("/svc".to_owned(), Some(vfs.open_root("/svc").unwrap())));
        }
        let ran = run_with(&["service"], "", (vfs, preopens), usual());
        let expected = if folder { "service Ok(())" } else { "service Err(PermissionDenied)" };
        assert_eq!(ran.lines(), [expected]);
        assert_eq!(ran.denials.len(), usize::from(!folder), "{:?}", ran.denials);
    }
}

#[test]
fn no_path_leaves_its_directory() {
    let mut vfs = Vfs::new();
    let mut root = mem_fs();
    put(&mut *root, "secret", b"secret");
    vfs.mount("/", root, Access::ReadWrite).unwrap();
    let mut data = mem_fs();
    let top = qyv_vfs::FileSystem::root(&*data);
    qyv_vfs::FileSystem::create_dir(&mut *data, top, "x").unwrap();
    qyv_vfs::FileSystem::symlink(&mut *data, "../secret", top, "up").unwrap();
    qyv_vfs::FileSystem::symlink(&mut *data, "/secret", top, "abs").unwrap();
    vfs.mount("/data", data, Access::ReadWrite).unwrap();
    let preopens = vec![("/data".to_owned(), Some(vfs.open_root("/data").unwrap()))];
    let ran = run_with(&["escape"], "", (vfs, preopens), usual());
    for line in ran.lines() {
        assert_eq!(line.contains("Err("), !line.starts_with("link to the outside"), "{line}");
    }
}

#[test]
fn open_files_are_counted() {
    let ran = run_with(&["many"], "", tree(), (10, ComponentLimits::default()));
    assert_eq!(ran.lines(), ["open 8 then QuotaExceeded", "after some were closed true"]);
}

#[test]
fn handles_are_counted() {
    let limits = ComponentLimits { resources: 40, ..ComponentLimits::default() };
    let ran = run_with(&["many"], "", tree(), (256, limits));
    let lines = ran.lines();
    assert!(lines[0].ends_with("then QuotaExceeded"), "{lines:?}");
    assert_eq!(lines[1], "after some were closed true");
}

#[test]
fn the_network_is_denied() {
    let ran = run(&["net"]);
    for line in ran.lines() {
        assert!(line.ends_with("Err(PermissionDenied)"), "{line}");
    }
    let address = "tcp://127.0.0.1:9".to_owned();
    let denied: Vec<_> =
        ran.denials.into_iter().map(|denial| (denial.call, denial.what, denial.right)).collect();
    let expected = [
        ("start-connect", address.clone(), Right::Connect(address)),
        ("start-bind", "tcp://127.0.0.1:0".to_owned(), Right::Listen),
        ("start-bind", "udp://127.0.0.1:0".to_owned(), Right::Listen),
        ("resolve-addresses", "localhost".to_owned(), Right::Connect("localhost".into())),
        ("resolve-addresses", "logger.svc".to_owned(), Right::Dial("logger".into())),
    ];
    assert_eq!(denied, expected);
}

#[test]
fn clocks_and_randomness() {
    assert_eq!(run(&["clocks"]).lines(), ["slept true", "after 2020 true", "random true"]);
}

#[test]
fn the_program_passes_the_check() {
    assert_eq!(check(&GUEST.1), Ok(()));
}
