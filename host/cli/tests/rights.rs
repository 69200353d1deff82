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
