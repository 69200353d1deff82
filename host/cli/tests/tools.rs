//! The commands that look and tell: `check`, `caps`, `doctor`, `cache`, `completions`, `man`, and what is typed wrongly.

mod sandbox;

use std::process::Command;

use sandbox::{Ran, Sandbox, exits};

#[test]
fn check_lists_every_mistake_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("app.qyv", "name: App\nentrypoint: app.wasm\npermisions: {}\nlimits: { memory: 64 }\n");
    let ran =
        sandbox.run(&["check", "app.qyv"]).expect(1, &["app.qyv:1:", "app.qyv:3:", "app.qyv:4:", "help:"]);
    assert_eq!(ran.stdout, "");
    let report = sandbox.run(&["check", "app.qyv", "--json"]).expect(1, &[]).json();
    let lines: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 3, 4]);
    assert!(report["problems"][1]["mend"].as_str().unwrap().contains("permissions"));
}

#[test]
fn check_says_what_is_asked_for_what_is_missing_and_what_is_never_used() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &exits(0));
    let manifest = "name: app\nversion: 1.2.3\nentrypoint: app.wasm
permissions: { fs: read-only, net: { connect: [\"https://example.org\"] } }
scheduler: { mode: ai }
fs: { type: diskfs, mount: /in, source: \"slot:inbox\" }
";
    sandbox.write("app.qyv", manifest);
    let ran = sandbox.run(&["check", "app.qyv"]).expect(0, &["`permissions.fs` is asked for and never used"]);
    for word in ["`app` 1.2.3", "https://example.org", "`inbox`", "not available here yet", "`scheduler`"] {
        assert!(ran.stdout.contains(word), "`{word}` is missing in {}", ran.stdout);
    }
    let report = sandbox.run(&["check", ".", "--json"]).expect(0, &[]).json();
    assert_eq!((&report["ok"], &report["runs_here"]), (&true.into(), &false.into()));
    assert_eq!(report["requests"].as_array().unwrap().len(), 2);
    sandbox.run(&["run", "app.qyv"]).expect(126, &["not available here yet"]);
}

#[test]
fn check_names_programs_of_other_worlds() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", r#"(module (import "wbg" "__wbg_log" (func)))"#);
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wasm\n");
    for app in ["app.wasm", "app.qyv"] {
        sandbox.run(&["check", app]).expect(1, &["wasm-bindgen", "wbg::__wbg_log", "hint: "]);
    }
}

#[test]
fn caps_tells_needs_lines_and_what_is_never_used() {
    let sandbox = Sandbox::new();
    let text = r#"(module (import "wasi_snapshot_preview1" "path_open" (func)) (func (export "_start")))"#;
    sandbox.module("app.wasm", text);
    sandbox.write("app.wat", text);
    sandbox.write("app.qyv", "name: app\nentrypoint: app.wat\npermissions: { fs: read-only }\nargs: [x]\n");
    for app in ["app.wasm", "app.wat"] {
        let ran = sandbox.run(&["caps", app]).expect(0, &[]);
        for word in ["WASI preview 1", "`path_open`", "permissions: { fs: read-only }"] {
            assert!(ran.stdout.contains(word), "{}", ran.stdout);
        }
    }
    let report = sandbox.run(&["caps", "app.qyv", "--json"]).expect(0, &[]).json();
    assert_eq!(report["world"], "wasi-p1");
    assert_eq!(report["runs_here"], true);
    assert_eq!(report["needs"][0]["asked"], true);
    assert_eq!(report["unused"][0]["key"], "args");
    assert_eq!(report["imports"][0], "wasi_snapshot_preview1::path_open");
    assert_eq!(sandbox.run(&["caps", "app.wasm", "--json"]).json()["unused"], serde_json::Value::Null);
}

#[test]
fn caps_lists_the_interfaces_of_a_component() {
    let sandbox = Sandbox::new();
    sandbox.module(
        "app.wasm",
        r#"(component (import "wasi:filesystem/types@0.2.3" (instance)) (import "wasi:cli/exit@0.2.3" (instance)))"#,
    );
    let ran = sandbox.run(&["caps", "app.wasm"]).expect(0, &[]);
    for word in ["A component for WASI 0.2", "wasi:cli/exit@0.2.3", "open and read files", "wasi:cli/run"] {
        assert!(ran.stdout.contains(word), "{}", ran.stdout);
    }
}

#[test]
fn doctor_tries_everything_and_compiles_for_real() {
    let sandbox = Sandbox::new();
    sandbox.run(&["doctor"]).expect(0, &[]);
    let report = sandbox.run(&["doctor", "--json"]).expect(0, &[]).json();
    assert_eq!(report["ok"], true);
    let state = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["state"].clone()
    };
    for name in ["compiler", "openat2", "cache", "policy", "trust"] {
        assert_eq!(state(name), "ok", "{name}");
    }
    assert!(!sandbox.cache().exists(), "looking changes nothing");
    sandbox.write("config/trust", "nonsense");
    sandbox.run(&["doctor"]).expect(1, &[]);
    std::fs::remove_file(sandbox.path("config/trust")).unwrap();
    if !std::path::Path::new("/etc/qyvol/policy.yaml").exists() {
        sandbox.write("config/policy.yaml", "policy: 2\n");
        let ran = sandbox.run(&["doctor"]).expect(1, &[]);
        assert!(ran.stdout.contains("policy version 2"), "{}", ran.stdout);
    }
}

#[test]
fn cache_lists_prunes_and_clears() {
    let sandbox = Sandbox::new();
    for code in [1, 2, 3] {
        sandbox.module("app.wasm", &exits(code));
        sandbox.run(&["run", "app.wasm"]);
    }
    let report = sandbox.run(&["cache", "list", "--json"]).expect(0, &[]).json();
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["record"]["kind"], "module");
    assert!(sandbox.run(&["cache", "list"]).stdout.contains("3 entries"));
    let removed = |arguments: &[&str]| {
        let report = sandbox.run(&[&["cache"], arguments, &["--json"]].concat()).expect(0, &[]).json();
        report["removed"].as_u64().unwrap()
    };
    assert_eq!(removed(&["prune"]), 0);
    assert_eq!(removed(&["prune", "--unused", "30d", "--keep", "2GiB"]), 0);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 86_400);
    std::fs::File::open(entries[2]["path"].as_str().unwrap()).unwrap().set_modified(old).unwrap();
    assert_eq!(removed(&["prune", "--unused", "30d"]), 1);
    let one = entries[0]["bytes"].as_u64().unwrap();
    assert_eq!(removed(&["prune", "--keep", &format!("{}B", one + one / 2)]), 1);
    assert_eq!(removed(&["clear"]), 1);
    assert!(sandbox.cached(".native").is_empty());
    sandbox.run(&["cache", "prune", "--keep", "2"]).expect(2, &["64MiB", "size"]);
}

#[test]
fn completions_are_made_for_every_shell_and_both_names() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        for name in ["qyvol", "qyv"] {
            let ran = sandbox.run(&["completions", shell, "--name", name]).expect(0, &[]);
            assert!(ran.stdout.contains(name) && ran.stdout.contains("caps"), "{shell}");
        }
    }
    let script = sandbox.run(&["completions", "bash"]).stdout;
    let path = sandbox.write("completion", script);
    let bash = Command::new("bash").arg("-n").arg(path).status().unwrap();
    assert!(bash.success());
    sandbox.run(&["completions", "tcsh"]).expect(2, &["elvish"]);
}

#[test]
fn man_pages_are_made_for_every_command() {
    let sandbox = Sandbox::new();
    sandbox.run(&["man", "man1"]).expect(0, &[]);
    for page in ["qyvol", "qyvol-run", "qyvol-check", "qyvol-cache", "qyvol-cache-prune"] {
        let text = std::fs::read_to_string(sandbox.path(&format!("man1/{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(&page.replace('-', "\\-")), "{page}: {text}");
    }
    assert!(!sandbox.path("man1/qyvol-man.1").exists());
    assert!(sandbox.run(&["man"]).stdout.contains(".TH qyvol"));
    assert!(!sandbox.run(&["--help"]).stdout.contains("man pages"));
}

#[test]
fn what_is_typed_wrongly_is_told_with_what_was_meant() {
    let sandbox = Sandbox::new();
    for (arguments, words) in [
        (&["chekc", "app.qyv"][..], "'check'"),
        (&["run", "--limt", "memory=1MiB", "x"], "'--limit'"),
        (&["cache", "prnue"], "'prune'"),
        (&["cache"], "Usage"),
        (&["run"], "<APP>"),
        (&["run", "x", "--timeout", "soon"], "30s"),
        (&["run", "x", "--limit", "memroy=1MiB"], "memory"),
        (&["run", "x", "y"], "--"),
        (&[], "Usage"),
    ] {
        sandbox.run(arguments).expect(2, &[words]);
    }
}

#[test]
fn the_short_name_is_the_same_program_and_its_help_shows_it() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &exits(42));
    let short = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qyv"));
        let plain = sandbox.command();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::of(command.current_dir(sandbox.path("")).args(arguments).output().unwrap())
    };
    short(&["run", "app.wasm"]).expect(42, &[]);
    assert!(short(&["run", "--help"]).expect(0, &[]).stdout.contains("Usage: qyv run"));
    assert!(sandbox.run(&["run", "--help"]).stdout.contains("Usage: qyvol run"));
    short(&["chekc"]).expect(2, &["Usage: qyv "]);
    std::fs::copy(env!("CARGO_BIN_EXE_qyv"), sandbox.path("qyv")).unwrap();
    let alone = Command::new(sandbox.path("qyv")).output().unwrap();
    Ran::of(alone).expect(125, &["`qyvol` beside it"]);
}

#[test]
fn the_daemon_has_a_name_of_its_own() {
    let sandbox = Sandbox::new();
    let daemon = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qyvold"));
        let plain = sandbox.command();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::of(command.args(arguments).output().unwrap())
    };
    assert!(daemon(&["--help"]).expect(0, &[]).stdout.contains("Usage: qyvol daemon run"));
    daemon(&["--manifest", "x"]).expect(2, &["--manifests"]);
}
