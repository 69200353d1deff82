//! Goal: in each language, three commands make an app from nothing.
//! Method: `new`, `build`, `run` in a fresh folder, with the language's real tools. What is not installed is said and left out;
//! in CI that is a failure.

mod sandbox;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sandbox::Sandbox;

/// Whether CI runs this: it leaves nothing out.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Whether the tools of a language are here.
fn is_ready(sandbox: &Sandbox, language: &str) -> bool {
    let ran = sandbox.run(&["toolchain", "doctor", language, "--json"]);
    let ready = ran.json()["languages"][0]["ready"] == true;
    assert!(ready || !is_ci(), "CI leaves nothing out: {}", ran.stdout);
    if !ready {
        eprintln!("left out: {language} cannot be built here; `qyvol toolchain doctor {language}` says why");
    }
    ready
}

#[track_caller]
fn three_commands(language: &str) {
    let sandbox = Sandbox::new();
    if !is_ready(&sandbox, language) {
        return;
    }
    sandbox.run(&["new", "--lang", language, "hello"]).expect(0, &["made `hello`"]);
    let built = sandbox.run(&["build", "hello"]).expect(0, &["$ ", "built `hello/hello.wasm`"]);
    assert_eq!(built.stdout, "");
    let ran = sandbox.run(&["run", "hello", "--", "it's \"ü\""]).expect(0, &[]);
    assert_eq!(ran.stdout, "Hello, it's \"ü\"!\n", "{language}");
    assert_eq!(sandbox.run(&["run", "hello"]).expect(0, &[]).stdout, "Hello, world!\n");
    // The program is what the manifest says, and asks for nothing.
    sandbox.run(&["check", "hello"]).expect(0, &[]);
    let report = sandbox.run(&["build", "hello", "--release", "--json"]).expect(0, &[]).json();
    assert_eq!(report["language"], language);
    assert!(report["bytes"].as_u64() <= report["bytes_before"].as_u64(), "{report}");
    assert_eq!(sandbox.run(&["run", "hello", "--", "you"]).expect(0, &[]).stdout, "Hello, you!\n");
}

#[test]
fn rust() {
    three_commands("rust");
}

#[test]
fn c() {
    three_commands("c");
}

#[test]
fn nim() {
    three_commands("nim");
}

#[test]
fn kotlin() {
    three_commands("kotlin");
}

#[test]
fn go() {
    three_commands("go");
}

#[test]
fn cpp_with_c_and_its_own_flags() {
    let sandbox = Sandbox::new();
    if !is_ready(&sandbox, "c") {
        return;
    }
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\n");
    sandbox.write("compile_flags.txt", "-DWHO=\"you\"\n");
    sandbox.write("src/half.c", "int half(int n) { int class = n; return class / 2; }\n");
    let main = "#include <iostream>\n#include <map>\nextern \"C\" int half(int);\n#define S(x) #x\n#define T(x) S(x)\n\
        int main() { std::map<int, const char *> m{{21, T(WHO)}}; std::cout << m[half(42)] << '\\n'; }\n";
    sandbox.write("src/main.cpp", main);
    sandbox.run(&["build"]).expect(0, &["$ clang-22 ", "$ clang++-22 "]);
    assert_eq!(sandbox.run(&["run", "."]).expect(0, &[]).stdout, "you\n");
}

#[test]
fn cpp_throws_and_catches() {
    let sandbox = Sandbox::new();
    if !is_ready(&sandbox, "c") {
        return;
    }
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\n");
    let main = "#include <cstdio>\n#include <stdexcept>\nstatic void f() { throw std::runtime_error(\"thrown\"); }\n\
        int main() { try { f(); } catch (const std::exception &e) { std::printf(\"caught %s\\n\", e.what()); } }\n";
    sandbox.write("src/main.cpp", main);
    for arguments in [&["build"][..], &["build", "--release"]] {
        sandbox.run(arguments).expect(0, &[]);
        assert_eq!(sandbox.run(&["run", "."]).expect(0, &[]).stdout, "caught thrown\n");
    }
}

#[test]
fn a_mistake_in_the_sources_is_told_by_the_compiler_alone() {
    for (language, file, source, words) in [
        (
            "c",
            "src/main.c",
            "int main(void) { return nonsense; }\n",
            "use of undeclared identifier 'nonsense'",
        ),
        ("go", "main.go", "package main\nfunc main() { nonsense() }\n", "undefined: nonsense"),
        ("nim", "src/main.nim", "nonsense()\n", "undeclared identifier: 'nonsense'"),
        ("kotlin", "src/main.kt", "fun main() { nonsense() }\n", "nonsense"),
    ] {
        let sandbox = Sandbox::new();
        if !is_ready(&sandbox, language) {
            continue;
        }
        sandbox.run(&["new", "--lang", language, "broken"]).expect(0, &[]);
        sandbox.write(&format!("broken/{file}"), source);
        sandbox.write("broken/broken.wasm", "old");
        let ran = sandbox.run(&["build", "broken"]).expect(1, &["$ ", words]);
        assert_eq!(ran.stdout, "", "{language}");
        assert!(!ran.stderr.contains("error: the program"), "{}", ran.stderr);
        assert_eq!(std::fs::read(sandbox.path("broken/broken.wasm")).unwrap(), b"old");
    }
}

/// Puts a program of this name into the folder `bin`, which is a whole `PATH`.
fn fake(sandbox: &Sandbox, name: &str, script: &str) {
    let path = sandbox.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_path(sandbox: &Sandbox, path: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = sandbox.command().args(arguments).env("PATH", path).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_is_missing_or_too_old_is_named_with_what_mends_it() {
    let sandbox = Sandbox::new();
    let empty = sandbox.path("empty");
    for (language, words) in [
        ("rust", "install Rust: https://rustup.rs"),
        ("c", "`clang` (22, or 16 and newer) is not installed"),
        ("nim", "`nim` (1.6 or newer) is not installed"),
        ("kotlin", "`java` (11 or newer) is not installed"),
        ("go", "install Go: https://go.dev/dl"),
    ] {
        sandbox.run(&["new", "--lang", language, language]).expect(0, &[]);
        let (code, said) = with_path(&sandbox, &empty, &["build", language]);
        assert_eq!(code, Some(127), "{said}");
        assert!(said.contains(words), "{language}: {said}");
        let (code, _) = with_path(&sandbox, &empty, &["toolchain", "doctor", language]);
        assert_eq!(code, Some(1), "{language}");
    }
    fake(&sandbox, "go", "echo go version go1.19.8 linux/amd64");
    fake(&sandbox, "clang", "echo Debian clang version 14.0.6");
    for (language, words) in
        [("go", "go` is version 1.19.8; 1.24 or newer is needed"), ("c", "clang` is version 14.0.6; ")]
    {
        let (code, said) = with_path(&sandbox, &sandbox.path("bin"), &["build", language]);
        assert_eq!(code, Some(127), "{said}");
        assert!(said.contains(words), "{language}: {said}");
    }
}

#[test]
fn an_unknown_language_has_the_nearest_beside_it() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["new", "--lang", "kotln", "x"][..],
        &["build", "--lang", "kotln"],
        &["toolchain", "install", "kotln"],
    ] {
        sandbox.run(arguments).expect(2, &["kotln", "'kotlin'"]);
    }
    assert!(!sandbox.path("x").exists());
    // Of the two options of one name, each is understood.
    sandbox.run(&["--lang", "es", "new", "--lang", "go", "eins"]).expect(0, &["se hizo"]);
    assert!(sandbox.path("eins/go.mod").exists());
    sandbox.run(&["new", "--lang", "es", "drei"]).expect(0, &["se hizo"]);
    assert!(sandbox.path("drei/Cargo.toml").exists());
}

#[test]
fn the_language_is_told_from_files_the_manifest_or_the_option() {
    let sandbox = Sandbox::new();
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\n");
    sandbox.write("go.mod", "module app\n");
    sandbox.write("main.c", "int main(void) { return 0; }\n");
    sandbox.run(&["build"]).expect(126, &["holds sources of C and C++, Go", "--lang c"]);
    let empty = sandbox.path("empty");
    let (_, said) = with_path(&sandbox, &empty, &["build", "--lang", "golang"]);
    assert!(said.contains("Go cannot be built here"), "{said}");
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\nlanguage: c++\n");
    let (_, said) = with_path(&sandbox, &empty, &["build"]);
    assert!(said.contains("C and C++ cannot be built here"), "{said}");
}
