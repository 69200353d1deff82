//! The question of a first run, on a terminal of its own (`script` of util-linux makes one).

mod sandbox;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sandbox::{Sandbox, exits};

/// A command on a terminal.
struct Terminal {
    script: Child,
    shown: String,
}

impl Terminal {
    fn start(sandbox: &Sandbox, arguments: &str) -> Self {
        let plain = sandbox.command();
        let line = format!("exec '{}' {arguments}", plain.get_program().to_str().unwrap());
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).current_dir(sandbox.path(""));
        script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("ONE", "1").env("TWO", "2");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { script: script.spawn().expect("`script` of util-linux is there"), shown: String::new() }
    }

    /// Reads until `text` is shown.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let mut some = [0; 512];
            let count = self.script.stdout.as_mut().unwrap().read(&mut some).unwrap();
            assert!(count > 0, "`{text}` is missing in:\n{}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }

    /// Types, and returns the exit code and everything that was shown.
    fn answer(mut self, typed: &str) -> (Option<i32>, String) {
        self.script.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        let mut rest = Vec::new();
        self.script.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.script.wait().unwrap().code(), self.shown)
    }
}

const QUESTION: &str = "[y/N] ";

/// Runs on a terminal, and answers the question when it comes.
#[track_caller]
fn answered(sandbox: &Sandbox, arguments: &str, typed: &str) -> (Option<i32>, String) {
    let mut terminal = Terminal::start(sandbox, arguments);
    terminal.wait_for(QUESTION);
    terminal.answer(typed)
}

fn manifest(variables: &str) -> String {
    format!("name: asker\nentrypoint: a.wasm\nenv_from: [{variables}]\n")
}

fn asker() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.module("app/a.wasm", &exits(7));
    sandbox.write("app/app.qyv", manifest("ONE"));
    sandbox
}

fn stored(sandbox: &Sandbox) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(sandbox.path("data/grants")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn yes_is_kept_and_everything_else_is_no() {
    for yes in ["y\n", "Y\n", "yes\n", " y \n"] {
        let sandbox = asker();
        let (code, shown) = answered(&sandbox, "run app", yes);
        assert_eq!(code, Some(7), "{yes:?}: {shown}");
        assert!(shown.contains("`asker` asks for:") && shown.contains("env:ONE"), "{shown}");
        assert_eq!(stored(&sandbox).len(), 1);
        // Not asked again, with a terminal or without.
        let (code, shown) = Terminal::start(&sandbox, "run app").answer("");
        assert_eq!((code, shown.contains(QUESTION)), (Some(7), false), "{shown}");
        let mut plain = sandbox.command();
        assert_eq!(plain.args(["run", "app"]).env("ONE", "1").status().unwrap().code(), Some(7));
    }
    // The last is the end of the input.
    for no in ["n\n", "\n", "no\n", "yesterday\n", "y n\n", "\x04"] {
        let sandbox = asker();
        let (code, shown) = answered(&sandbox, "run app", no);
        assert_eq!(code, Some(126), "{no:?}: {shown}");
        assert!(shown.contains("--grant env:ONE"), "{shown}");
        assert_eq!(stored(&sandbox), Vec::<PathBuf>::new(), "{no:?}");
    }
}

#[test]
fn ctrl_c_at_the_question_ends_the_run() {
    let sandbox = asker();
    let (code, shown) = answered(&sandbox, "run app --status-file status.json", "\x03");
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(sandbox::read_json(&sandbox.path("status.json"))["cause"], "interrupt");
    assert_eq!(stored(&sandbox), Vec::<PathBuf>::new());
}

#[test]
fn an_app_that_asks_for_more_is_asked_about_again() {
    let sandbox = asker();
    assert_eq!(answered(&sandbox, "run app", "y\n").0, Some(7));
    sandbox.write("app/app.qyv", manifest("ONE, TWO"));
    let plain = || {
        let mut plain = sandbox.command();
        plain.args(["run", "app"]).env("ONE", "1").env("TWO", "2");
        sandbox::Ran::of(plain.output().unwrap())
    };
    // Only what is new is asked for.
    let refused = plain().expect(126, &["--grant env:TWO"]);
    assert!(!refused.stderr.contains("env:ONE"), "{}", refused.stderr);
    let (code, shown) = answered(&sandbox, "run app", "n\n");
    assert_eq!((code, shown.contains("env:ONE")), (Some(126), false), "{shown}");
    plain().expect(126, &["env:TWO"]);
    assert_eq!(answered(&sandbox, "run app", "y\n").0, Some(7));
    plain().expect(7, &[]);
    // Less is granted still, as long as the policy lets it.
    sandbox.write("app/app.qyv", manifest("TWO"));
    plain().expect(7, &[]);
    sandbox.write("config/policy.yaml", "policy: 1\nallow: [\"env:ONE\"]\n");
    plain().expect(126, &["policy", "`TWO`"]);
}

#[test]
fn a_new_version_of_a_bundle_that_asks_for_more_is_asked_about_again() {
    let sandbox = asker();
    sandbox.run(&["keygen"]).expect(0, &[]);
    sandbox.run(&["trust", "add", "default", "--name", "asker"]).expect(0, &[]);
    let pack = |variables: &str, version: &str| {
        sandbox.write("app/app.qyv", format!("{}version: {version}\n", manifest(variables)));
        sandbox.run(&["pack", "app", "--output", "app.qyvbin", "--sign", "default"]).expect(0, &[]);
    };
    pack("ONE", "1.0.0");
    assert_eq!(answered(&sandbox, "run app.qyvbin", "y\n").0, Some(7));
    pack("ONE", "1.1.0");
    assert_eq!(Terminal::start(&sandbox, "run app.qyvbin").answer("").0, Some(7));
    pack("ONE, TWO", "1.2.0");
    sandbox.run(&["run", "app.qyvbin"]).expect(126, &["env:TWO"]);
    let (code, shown) = answered(&sandbox, "run app.qyvbin", "y\n");
    assert_eq!((code, shown.contains("env:ONE")), (Some(7), false), "{shown}");
}

/// Prints the file `f` of the folder that is descriptor 3.
const PRINTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "f") (data (i32.const 64) "\00\01\00\00\40\00\00\00")
    (func $must (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
    (func (export "_start")
        (call $must (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 80)))
        (call $must (call $read (i32.load (i32.const 80)) (i32.const 64) (i32.const 1) (i32.const 84)))
        (i32.store (i32.const 68) (i32.load (i32.const 84)))
        (call $must (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 84)))))"#;

/// Swaps `name` for a link to the folder `secret`.
fn swap(sandbox: &Sandbox, name: &str) {
    fs::rename(sandbox.path(name), sandbox.path(&format!("{name}-moved"))).unwrap();
    std::os::unix::fs::symlink(sandbox.path("secret"), sandbox.path(name)).unwrap();
}

#[test]
fn a_folder_that_is_swapped_after_it_was_checked_is_not_what_the_app_sees() {
    for (slot, option) in [("", "--dir shown::/in:ro"), ("slot", "--bind in=shown:ro")] {
        let sandbox = asker();
        sandbox.module("app/a.wasm", PRINTS);
        let fs = "fs: [{ type: diskfs, source: \"slot:in\", mount: /in }]\n";
        sandbox.write("app/app.qyv", manifest("ONE") + if slot.is_empty() { "" } else { fs });
        sandbox.write("shown/f", "shown");
        sandbox.write("secret/f", "secret");
        let root = sandbox.path("shown").canonicalize().unwrap();
        sandbox.write("config/policy.yaml", format!("policy: 1\npaths: [{}]\n", root.display()));
        let mut terminal = Terminal::start(&sandbox, &format!("run app {option}"));
        terminal.wait_for(QUESTION);
        swap(&sandbox, "shown");
        let (code, shown) = terminal.answer("y\n");
        assert_eq!(code, Some(0), "{option}: {shown}");
        assert!(shown.ends_with("shown") && !shown.contains("secret"), "{option}: {shown}");
    }
}

#[test]
fn a_stored_bind_is_checked_against_the_policy_each_time() {
    let sandbox = asker();
    sandbox.module("app/a.wasm", PRINTS);
    let fs = "fs: [{ type: diskfs, source: \"slot:in\", mount: /in }]\n";
    sandbox.write("app/app.qyv", manifest("ONE") + fs);
    sandbox.write("shown/f", "shown");
    sandbox.write("secret/f", "secret");
    let root = sandbox.path("shown").canonicalize().unwrap();
    sandbox.write("config/policy.yaml", format!("policy: 1\npaths: [{}]\n", root.display()));
    assert_eq!(answered(&sandbox, "run app --bind in=shown:ro", "y\n").0, Some(0));
    let stored = &stored(&sandbox)[0];
    let mut grants = sandbox::read_json(stored);
    grants["bind"] = serde_json::json!([format!("in={}:ro", root.display())]);
    fs::write(stored, grants.to_string()).unwrap();
    let run = || {
        let mut plain = sandbox.command();
        sandbox::Ran::of(plain.args(["run", "app"]).env("ONE", "1").output().unwrap())
    };
    assert_eq!(run().expect(0, &[]).stdout, "shown");
    swap(&sandbox, "shown");
    let refused = run().expect(126, &["policy"]);
    assert_eq!(refused.stdout, "");
}
