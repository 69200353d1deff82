//! What an app gets that runs in its folder, and what it can make of it.

mod sandbox;

use std::fs;

use sandbox::Sandbox;

/// A program that prints `data/f` of descriptor 3; before, it does `first`, whose descriptor 4 is the folder `data`
/// itself, to be written.
fn prints_its_file(first: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "data/f") (data (i32.const 16) "../secret") (data (i32.const 32) "f")
        (data (i32.const 64) "\00\01\00\00\40\00\00\00")
        (func $must (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
        (func (export "_start")
            {first}
            (call $must (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 6) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 80)))
            (call $must (call $read (i32.load (i32.const 80)) (i32.const 64) (i32.const 1) (i32.const 84)))
            (i32.store (i32.const 68) (i32.load (i32.const 84)))
            (call $must (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 84)))))"#
    )
}

const MANIFEST: &str =
    "name: reader\nentrypoint: reader.wasm\nfiles: [\"data/**\"]\npermissions: { fs: read-only }\n";
const WRITABLE: &str = "fs: [{ type: diskfs, source: data, mount: /w, mode: read-write }]\n";

#[test]
fn an_app_in_its_folder_reads_its_packaged_files() {
    let sandbox = Sandbox::new();
    sandbox.write("app/app.qyv", MANIFEST);
    sandbox.write("app/data/f", "packaged");
    sandbox.module("app/reader.wasm", &prints_its_file(""));
    let ran = sandbox.run(&["run", "app"]).expect(0, &[]);
    assert_eq!(ran.stdout, "packaged");
}

#[test]
fn a_packaged_file_that_the_app_itself_replaces_is_not_read() {
    let replaced_by = [
        // A link to a file beside the app.
        "(drop (call $symlink (i32.const 16) (i32.const 9) (i32.const 4) (i32.const 32) (i32.const 1)))",
        // Another file of the same folder, which was not packaged.
        "(drop (call $link (i32.const 4) (i32.const 0) (i32.const 48) (i32.const 7) (i32.const 4) (i32.const 32) (i32.const 1)))",
    ];
    for replacement in replaced_by {
        let sandbox = Sandbox::new();
        sandbox.write("app/app.qyv", [MANIFEST, WRITABLE].concat());
        sandbox.write("app/data/f", "packaged");
        sandbox.write("app/data/.hidden", "secrets!");
        sandbox.write("app/secret", "secrets!");
        let unlink = "(call $must (call $unlink (i32.const 4) (i32.const 32) (i32.const 1)))";
        let text = prints_its_file(&format!("{unlink} {replacement}"));
        let text =
            text.replace("(data (i32.const 64)", "(data (i32.const 48) \".hidden\") (data (i32.const 64)");
        sandbox.module("app/reader.wasm", &text);
        let ran = sandbox.run(&["run", "app"]);
        assert_eq!(ran.code, Some(29), "the read fails with IO: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stdout, "");
        assert!(
            !fs::exists(sandbox.path("app/data/f")).unwrap() || replacement.contains("link"),
            "it was replaced"
        );
    }
}

#[test]
fn apps_of_one_name_have_volumes_of_their_own() {
    let sandbox = Sandbox::new();
    for folder in ["one", "two"] {
        sandbox.write(
            &format!("{folder}/app.qyv"),
            "name: same\nentrypoint: a.wasm\npermissions: { fs: read-write }\n",
        );
        sandbox.module(&format!("{folder}/a.wasm"), &sandbox::exits(0));
        sandbox.run(&["run", folder]).expect(0, &[]);
    }
    let volumes: Vec<_> = fs::read_dir(sandbox.path("data/volumes")).unwrap().map(Result::unwrap).collect();
    assert_eq!(volumes.len(), 2);
    for volume in volumes {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(volume.metadata().unwrap().permissions().mode() & 0o077, 0, "others may not look into it");
    }
}

#[test]
fn the_policy_caps_what_the_command_line_shows_and_gives_nothing_to_a_mere_name() {
    let sandbox = Sandbox::new();
    let inside = sandbox.path("inside");
    fs::create_dir_all(&inside).unwrap();
    let inside = inside.canonicalize().unwrap();
    sandbox.module("a.wasm", &sandbox::exits(0));
    sandbox.write(
        "config/policy.yaml",
        format!(
            "policy: 1\npaths: [{}]\napps: [{{ name: \"acme-*\", bind: [\"in={}\"] }}]\n",
            inside.display(),
            inside.display()
        ),
    );
    sandbox.run(&["run", "a.wasm", "--dir", "inside::/in:ro"]).expect(0, &[]);
    sandbox.run(&["run", "a.wasm", "--dir", ".::/in:ro"]).expect(126, &["policy"]);
    sandbox.write(
        "acme-x.qyv",
        "name: acme-x\nentrypoint: a.wasm\nfs: [{ type: diskfs, source: \"slot:in\", mount: /in }]\n",
    );
    sandbox.run(&["run", "acme-x.qyv"]).expect(126, &["--bind in="]);
    sandbox.run(&["run", "acme-x.qyv", "--bind", "in=inside:ro"]).expect(0, &[]);
}

#[test]
fn a_volume_is_held_by_one_run_at_a_time() {
    use std::io::Read as _;
    let sandbox = Sandbox::new();
    let manifest =
        |name: &str| format!("name: {name}\nentrypoint: a.wasm\npermissions: {{ fs: read-write }}\n");
    sandbox.write("app/app.qyv", manifest("holder"));
    sandbox.module("app/a.wasm", &sandbox::ready_then(sandbox::BUSY[1].1));
    sandbox.write("other/app.qyv", manifest("holder"));
    sandbox.module("other/a.wasm", &sandbox::exits(0));
    let mut first =
        sandbox.command().args(["run", "app"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    first.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let process = format!("process {}", first.id());
    sandbox.run(&["run", "app"]).expect(126, &["private volume of `holder`", &process, "`kill "]);
    // Another app, and another's of the same name.
    sandbox.run(&["run", "other"]).expect(0, &[]);
    // However the first one ends.
    first.kill().unwrap();
    first.wait().unwrap();
    sandbox.module("app/a.wasm", &sandbox::exits(0));
    sandbox.run(&["run", "app"]).expect(0, &[]);
    sandbox.run(&["run", "app"]).expect(0, &[]);
    let locks: Vec<_> = fs::read_dir(sandbox.path("data/locks")).unwrap().map(Result::unwrap).collect();
    assert_eq!(locks.len(), 2);
    assert!(locks.iter().all(|lock| lock.metadata().unwrap().len() == 0), "{locks:?}: one names a process");
}

/// A program that ends with 1 unless the variable list is empty.
const HAS_VARIABLES: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (if (i32.load (i32.const 0)) (then (call $exit (i32.const 1))))))"#;

#[test]
fn the_policy_caps_variables_and_grants_of_the_command_line() {
    let sandbox = Sandbox::new();
    sandbox.module("a.wasm", HAS_VARIABLES);
    sandbox.write("wants.qyv", "name: wants\nentrypoint: a.wasm\nenv_from: [ONE]\n");
    let run = |policy: &str, arguments: &[&str]| {
        sandbox.write("config/policy.yaml", format!("policy: 1\n{policy}\n"));
        let mut command = sandbox.command();
        sandbox::Ran::of(command.arg("run").args(arguments).env("ONE", "1").output().unwrap())
    };
    for allowed in ["", "allow: [all]", "allow: [env]", "allow: [\"env:ONE\"]"] {
        run(allowed, &["a.wasm", "--env", "ONE=2"]).expect(1, &[]);
        run(allowed, &["a.wasm", "--env", "ONE"]).expect(1, &[]);
        run(allowed, &["wants.qyv", "--grant", "env"]).expect(1, &[]);
    }
    for forbidden in ["allow: []", "allow: [net]", "allow: [\"env:TWO\"]"] {
        let hint = "add `env:ONE` to `allow`";
        run(forbidden, &["a.wasm", "--env", "ONE=2"]).expect(126, &["policy", "`ONE`", hint]);
        run(forbidden, &["a.wasm", "--env", "ONE"]).expect(126, &["policy", "`ONE`"]);
        run(forbidden, &["a.wasm"]).expect(0, &[]);
        for grant in ["env", "env:ONE", "all"] {
            run(forbidden, &["wants.qyv", "--grant", grant]).expect(126, &["policy", "`ONE`"]);
        }
    }
}

#[test]
fn the_policy_caps_memory_and_limits_of_the_command_line() {
    let sandbox = Sandbox::new();
    // 64 pages are 4 MiB.
    sandbox.module("big.wasm", "(module (memory (export \"memory\") 64) (func (export \"_start\")))");
    // Ends with the error number of the write that does not fit.
    sandbox.module(
        "fills.wasm",
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "f") (data (i32.const 64) "\00\00\00\00\00\00\01\00")
        (global $left (mut i32) (i32.const 256))
        (func $must (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
        (func (export "_start")
            (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
                (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 80)))
            (loop $next
                (call $must (call $write (i32.load (i32.const 80)) (i32.const 64) (i32.const 1) (i32.const 84)))
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (br_if $next (global.get $left)))))"#,
    );
    let mem = ["run", "fills.wasm", "--mem", "/m:1GiB"];
    sandbox.run(&["run", "big.wasm", "--limit", "memory=64MiB"]).expect(0, &[]);
    sandbox.run(&mem).expect(0, &[]);
    sandbox.write("config/policy.yaml", "policy: 1\nlimits: { memory: 2MiB, wall: 300ms }\n");
    sandbox.run(&["run", "big.wasm"]).expect(137, &[]);
    sandbox.run(&["run", "big.wasm", "--limit", "memory=64MiB"]).expect(137, &[]);
    let full = sandbox.run(&mem);
    assert!(matches!(full.code, Some(48 | 51)), "NOMEM or NOSPC: {:?} {}", full.code, full.stderr);
    sandbox.module("loops.wasm", "(module (func (export \"_start\") (loop (br 0))))");
    sandbox.run(&["run", "loops.wasm", "--limit", "wall=1h", "--timeout", "1h"]).expect(124, &[]);
}

#[test]
fn a_folder_beside_the_manifest_stays_beneath_it_and_within_the_policy() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::new();
    sandbox.module(
        "app/reader.wasm",
        &prints_its_file("")
            .replace("data/f", "f\\00\\00\\00\\00\\00")
            .replace("(i32.const 6) (i32.const 0)", "(i32.const 1) (i32.const 0)"),
    );
    sandbox.write(
        "app/app.qyv",
        "name: reader\nentrypoint: reader.wasm\nfs: [{ type: diskfs, source: shared, mount: /w }]\n",
    );
    sandbox.write("app/data/f", "data");
    sandbox.write("secret/f", "secret");
    let show = |target: &str| {
        let _ = fs::remove_file(sandbox.path("app/shared"));
        symlink(target, sandbox.path("app/shared")).unwrap();
        sandbox.run(&["run", "app"])
    };
    assert_eq!(show("data").expect(0, &[]).stdout, "data");
    for out in ["../secret", "data/../../secret", sandbox.path("secret").to_str().unwrap()] {
        assert_eq!(show(out).expect(126, &["leads out of the manifest's folder"]).stdout, "");
    }
    // The policy is about where the link leads.
    let root = sandbox.path("app").canonicalize().unwrap();
    sandbox.write("config/policy.yaml", format!("policy: 1\npaths: [{}/shared]\n", root.display()));
    assert_eq!(show("data").expect(126, &["policy", "app/data"]).stdout, "");
}
