//! `service://qyvold`: programs that start others and look after apps, and what they gain by trying.

use std::io::Read as _;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::guests::{Target, svc};
use crate::sandbox::{Ran, wait_until};
use crate::tool::TOOL;

/// Deploys a service whose program is the tool, with this of its manifest and these grants.
fn deployed(bench: &Bench, name: &str, manifest: &str, allow: &[&str]) {
    let wasm = wat::parse_str(TOOL).unwrap();
    bench.deploy_granted(name, &format!("type: service\n{manifest}"), &wasm, allow).expect(200);
    bench.wait_for(name, "ready");
}

fn exec(bench: &Bench, arguments: &[&str]) -> Ran {
    Ran::of(bench.command().arg("exec").args(arguments).output().unwrap())
}

/// What is answered to requests, one after the other; the lines that are objects.
fn ask(bench: &Bench, app: &str, requests: &[Value]) -> Vec<Value> {
    let mut words = vec![app.to_owned(), "ask".to_owned()];
    words.extend(requests.iter().enumerate().map(|(number, request)| {
        let mut request = request.clone();
        let body = request.as_object_mut().unwrap().remove("body");
        request["v"] = 1.into();
        request["id"] = number.into();
        // The tool ends each with a line feed, which counts.
        let body = body.map(|body| body.as_str().unwrap().to_owned());
        if let Some(body) = &body {
            request["bytes"] = (body.len() + 1).into();
        }
        body.map_or_else(|| request.to_string(), |body| format!("{request}\n{body}"))
    }));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = exec(bench, &words).expect(0, &[]);
    let lines = ran.stdout.lines().filter_map(|line| {
        let at = line.find("{\"")?;
        serde_json::from_str(&line[at..]).ok()
    });
    let mut answers: Vec<Value> = lines.filter(|answer: &Value| answer["v"] == 1).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers.len(), requests.len(), "{}", ran.stdout);
    answers
}

/// Runs a child to its end: what it has printed, and its exit code.
fn run(bench: &Bench, app: &str, request: &Value) -> (String, Value) {
    let mut request = request.clone();
    request["v"] = 1.into();
    request["do"] = "run".into();
    let read = json!({ "v": 1, "do": "read", "child": 1 }).to_string();
    let wait = json!({ "v": 1, "do": "wait", "child": 1 }).to_string();
    let words = [app, "ask", &request.to_string(), &wait, &read, &read, &read];
    let ran = exec(bench, &words).expect(0, &[]);
    let exit = ran.stdout.lines().find_map(|line| {
        let answer: Value = serde_json::from_str(line.get(line.find("{\"")?..)?).ok()?;
        Some(answer["ok"]["exit"].clone()).filter(|exit| !exit.is_null())
    });
    (ran.stdout.clone(), exit.unwrap_or_else(|| ran.stdout.into()))
}

/// The generation of an app's first instance; 0 while there is none.
fn generation(bench: &Bench, app: &str) -> u64 {
    let detail = bench.get(&format!("/v1/apps/{app}")).expect(200).json();
    detail["instances"][0]["instance"]["generation"].as_u64().unwrap_or(0)
}

fn kind(answer: &Value) -> &str {
    answer["error"]["kind"].as_str().unwrap_or("")
}

#[test]
fn a_program_starts_others_of_its_bundle_and_gets_their_output_and_their_end() {
    let bench = Bench::new();
    bench.sandbox.write("own/bin/other.wasm", wat::parse_str(crate::sandbox::exits(9)).unwrap());
    let manifest = "files: [main.wasm, bin/other.wasm]\npermissions: { fs: read-only, exec: true }\n";
    deployed(&bench, "own", manifest, &["exec-own"]);
    // What describes it, and that it is listed.
    let info = exec(&bench, &["own", "read", "svc/qyvold/.info"]).expect(0, &[]).stdout;
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!((&info["up"], &info["protocol"]), (&json!(true), &json!("lines")));
    assert_eq!(run(&bench, "own", &json!({ "args": ["quit"] })).1["code"], 7);
    assert_eq!(run(&bench, "own", &json!({ "program": "/bin/other.wasm" })).1["code"], 9);
    assert_eq!(run(&bench, "own", &json!({ "args": ["trap"] })).1["cause"], "trap");
    let (printed, _) = run(&bench, "own", &json!({ "args": ["env"], "env": { "LEVEL": "debug" } }));
    assert!(printed.contains("LEVEL=debug"), "{printed}");
    // Input in pieces, and its end.
    let answers = ask(
        &bench,
        "own",
        &[
            json!({ "do": "run", "args": ["cat"], "stdin": true }),
            json!({ "do": "write", "child": 1, "body": "first" }),
            json!({ "do": "write", "child": 1, "body": "second", "end": true }),
            json!({ "do": "write", "child": 1, "body": "late" }),
            json!({ "do": "wait", "child": 1 }),
            json!({ "do": "read", "child": 1 }),
        ],
    );
    assert_eq!((&answers[0]["ok"]["child"], kind(&answers[3])), (&json!(1), "conflict"));
    assert_eq!((&answers[4]["ok"]["exit"]["code"], &answers[5]["bytes"]), (&json!(0), &json!(13)));
    // One that would go on for ever.
    let answers = ask(
        &bench,
        "own",
        &[
            json!({ "do": "run", "args": ["spin"] }),
            json!({ "do": "kill", "child": 1 }),
            json!({ "do": "wait", "child": 1 }),
            json!({ "do": "wait", "child": 2 }),
            json!({ "do": "run", "program": "/etc/passwd" }),
            json!({ "do": "ps" }),
        ],
    );
    assert_eq!(answers[2]["ok"]["exit"]["cause"], "killed");
    assert_eq!((kind(&answers[3]), kind(&answers[4])), ("unknown", "unknown"));
    assert!(kind(&answers[5]) == "denied" && answers[5].to_string().contains("permissions: { admin:"));
    // Nothing of all that is left.
    wait_until("the children are gone", || exec(&bench, &["own", "quit"]).code == Some(7));
    assert_eq!(bench.state("own"), "ready");
}

#[test]
fn an_installed_app_runs_with_what_both_were_granted_and_no_more() {
    let bench = Bench::new();
    for secret in ["BOTH", "RICH"] {
        bench.ask("PUT", &format!("/v1/secrets/{secret}"), b"hunter2").expect(204);
    }
    bench.sandbox.write("in/deep/note", "shown\n");
    bench.sandbox.write("rich/table", "table\n");
    deployed(&bench, "echo", "services: [{ name: echo }]\n", &[]);
    let bind = |slot: &str, path: &str| format!("{slot}={}", bench.sandbox.path(path).display());
    // It may do much, and most of it its starter may not.
    let rich = "type: command\nfiles: [main.wasm, table]\nenv_from: [BOTH, RICH]\n\
        permissions: { fs: read-write, net: { connect: ['service://echo', 'tcp://127.0.0.1:9'] }, admin: [stop, logs], exec: { run: [echo] } }\n\
        fs:\n  - { type: diskfs, source: 'slot:deep', mount: /deep, mode: read-write }\n  - { type: diskfs, source: 'slot:own', mount: /own }\n";
    let hash = bench.upload("rich", rich, TOOL);
    let grants = json!({ "allow": ["all"], "bind": [bind("deep", "in/deep"), bind("own", "rich")] });
    let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": grants, "env": { "GIVEN": "x" } });
    bench.post("/v1/deploy", &json!({ "apps": [app] })).expect(200);
    let poor = "type: service\nenv_from: [BOTH]\nenv: { MINE: '1' }\npermissions: { fs: read-only, exec: { run: [rich, absent] } }\n\
        fs: { type: diskfs, source: 'slot:in', mount: /in }\n";
    let hash = bench.upload("poor", poor, TOOL);
    let grants = json!({ "allow": ["exec", "env"], "bind": [bind("in", "in")] });
    let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": grants });
    bench.post("/v1/deploy", &json!({ "apps": [app] })).expect(200);
    bench.wait_for("poor", "ready");

    let (printed, exit) = run(&bench, "poor", &json!({ "app": "rich", "args": ["read", "table"] }));
    assert!(exit["code"] == 0 && printed.contains("table\n"), "{printed}");
    let (printed, _) = run(&bench, "poor", &json!({ "app": "rich", "args": ["env"] }));
    assert!(printed.contains("BOTH=hunter2"), "{printed}");
    for none in ["RICH", "GIVEN", "MINE"] {
        assert!(!printed.contains(none), "{none}: {printed}");
    }
    // A folder within one of the starter's, to be read; no other, no volume, no secret, no service, no host.
    let (printed, exit) = run(&bench, "poor", &json!({ "app": "rich", "args": ["read", "deep/note"] }));
    assert!(exit["code"] == 0 && printed.contains("shown\n"), "{printed}");
    for (words, why) in [
        (["write", "deep/note"], "read-only for the starter"),
        (["read", "own/table"], "a folder that the starter has not"),
        (["write", "data/x"], "a private volume"),
        (["read", "run/secrets/RICH"], "a secret"),
        (["read", "svc/echo"], "a service"),
        (["read", "svc/127.0.0.1:9"], "a host"),
        (["read", "svc/qyvold"], "the system"),
    ] {
        let (printed, exit) = run(&bench, "poor", &json!({ "app": "rich", "args": words }));
        assert!(matches!(exit["code"].as_u64(), Some(2 | 44 | 63 | 69 | 76)), "{why}: {printed}");
    }
    assert!(exec(&bench, &["poor", "read", "in/deep/note"]).expect(0, &[]).stdout.contains("shown"));
    // Others: not in the list, whether there or not; in the list, and not there; not as another's program.
    let answers = ask(
        &bench,
        "poor",
        &[
            json!({ "do": "run", "app": "echo" }),
            json!({ "do": "run", "app": "nobody" }),
            json!({ "do": "run", "app": "absent" }),
            json!({ "do": "run" }),
            json!({ "do": "run", "app": "rich", "program": "/main.wasm" }),
            json!({ "do": "stop", "app": "echo" }),
            json!({ "do": "logs", "app": "echo" }),
        ],
    );
    let kinds: Vec<&str> = answers.iter().map(kind).collect();
    assert_eq!(kinds, ["denied", "denied", "unknown", "denied", "malformed", "denied", "denied"]);
    let same = |answer: &Value| answer["error"]["message"].as_str().unwrap().replace("nobody", "echo");
    assert_eq!(same(&answers[0]), same(&answers[1]));
    assert_eq!(bench.state("echo"), "ready");
}

#[test]
fn a_chain_of_starters_ends_with_what_all_of_it_was_granted() {
    let bench = Bench::new();
    let tool = |name: &str, permissions: &str| {
        deployed(&bench, name, &format!("permissions: {permissions}\n"), &["all"]);
    };
    tool("victim", "{ fs: false }");
    tool("last", "{ admin: [stop], exec: { run: [victim] } }");
    tool("middle", "{ exec: { run: [last] } }");
    tool("first", "{ exec: { run: [middle, last] } }");
    let request = |request: Value| {
        let mut request = request;
        request["v"] = 1.into();
        request.to_string()
    };
    // `first` has `middle` have `last` ask.
    let stop = request(json!({ "do": "stop", "app": "victim" }));
    let again = request(json!({ "do": "run", "app": "last", "args": ["ask", stop] }));
    let read = request(json!({ "do": "read", "child": 1 }));
    let (printed, _) = run(&bench, "first", &json!({ "app": "middle", "args": ["ask", again, read, read] }));
    assert!(printed.contains("63") || printed.contains("\"code\":2"), "{printed}");
    let (printed, exit) = run(&bench, "first", &json!({ "app": "last", "args": ["ask", stop] }));
    assert!(exit["code"] == 2 || exit["code"] == 63, "{printed}");
    assert_eq!(bench.state("victim"), "ready");
    // By itself it may.
    assert_eq!(ask(&bench, "last", &[json!({ "do": "stop", "app": "victim" })])[0]["ok"], json!({}));
    bench.wait_for("victim", "stopped");
}

#[test]
fn admin_rights_look_after_apps_one_by_one() {
    let bench = Bench::new();
    let wasm = wat::parse_str(TOOL).unwrap();
    bench.deploy_wasm("tick", "type: service\nargs: [tick]\n", &wasm).expect(200);
    bench.wait_for("tick", "ready");
    deployed(&bench, "ops", "permissions: { admin: [stop, logs] }\n", &["admin"]);
    deployed(&bench, "reader", "permissions: { admin: [logs] }\n", &["admin:logs"]);
    let answers = ask(
        &bench,
        "ops",
        &[
            json!({ "do": "ps" }),
            json!({ "do": "ps", "after": "reader" }),
            json!({ "do": "inspect", "app": "tick" }),
            json!({ "do": "logs", "app": "tick", "tail": 2 }),
            json!({ "do": "inspect", "app": "nobody" }),
            json!({ "do": "run", "args": ["quit"] }),
        ],
    );
    let names = |answer: &Value| -> Vec<String> {
        let apps = answer["ok"]["apps"].as_array().unwrap();
        apps.iter().map(|app| app["app"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&answers[0]), names(&answers[1])),
        (vec!["ops".to_owned(), "reader".to_owned(), "tick".to_owned()], vec!["tick".to_owned()],)
    );
    assert_eq!(answers[2]["ok"]["instances"][0]["state"], "ready");
    assert_eq!(answers[3]["ok"]["lines"].as_array().unwrap().len(), 2, "{}", answers[3]);
    assert_eq!((kind(&answers[4]), kind(&answers[5])), ("unknown", "denied"));
    let before = generation(&bench, "tick");
    ask(&bench, "ops", &[json!({ "do": "restart", "app": "tick" })]);
    wait_until("it has started anew", || {
        bench.state("tick") == "ready" && generation(&bench, "tick") > before
    });
    ask(&bench, "ops", &[json!({ "do": "stop", "app": "tick" })]);
    bench.wait_for("tick", "stopped");
    ask(&bench, "ops", &[json!({ "do": "start", "app": "tick" })]);
    bench.wait_for("tick", "ready");
    // Each right is one.
    let stop = &ask(&bench, "reader", &[json!({ "do": "stop", "app": "tick" })])[0];
    assert!(kind(stop) == "denied" && stop.to_string().contains("permissions: { admin: [stop] }"), "{stop}");
    assert_eq!(bench.state("tick"), "ready");
    // Who has neither dials nothing, and is told what would ask for it.
    deployed(&bench, "none", "permissions: { fs: read-only }\n", &[]);
    let ran = exec(&bench, &["none", "ask", "{}"]);
    assert!(
        matches!(ran.code, Some(2 | 63)) && ran.stderr.contains("permissions: { exec: true }"),
        "{}",
        ran.stderr
    );
}

#[test]
fn rights_are_the_operators_to_give() {
    let bench = Bench::new();
    for (permissions, hint) in [
        ("exec: true", "--grant exec-own"),
        ("exec: { run: [echo] }", "--grant exec:echo"),
        ("admin: [stop]", "--grant admin:stop"),
    ] {
        let refused =
            bench.deploy("app", &format!("permissions: {{ {permissions} }}\n"), TOOL).expect(422).body;
        assert!(refused.contains(hint), "{refused}");
    }
    let wasm = wat::parse_str(TOOL).unwrap();
    let power =
        bench.deploy_granted("app", "permissions: { admin: [power] }\n", &wasm, &["all"]).expect(422).body;
    assert!(power.contains("not available here yet"), "{power}");
    // What the host's policy does not let any app do, no grant gives.
    let mut bench = bench;
    bench.sandbox.write("config/policy.yaml", "policy: 1\nallow: [services]\n");
    bench.crash();
    let mut command = bench.command();
    command.env("QYVOL_CONFIG_DIR", bench.sandbox.path("config")).args(["daemon", "run"]);
    bench.start_command(command);
    let capped =
        bench.deploy_granted("app", "permissions: { exec: true }\n", &wasm, &["all"]).expect(422).body;
    assert!(capped.contains("policy does not let an app"), "{capped}");
}

fn begin(bench: &Bench, arguments: &[&str]) -> Child {
    let mut command = bench.command();
    command.arg("exec").args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_fork_bomb_is_bounded_and_its_neighbour_goes_on() {
    let bench = Bench::new();
    deployed(&bench, "bomb", "permissions: { exec: true }\nlimits: { memory: 64MiB }\n", &["exec"]);
    deployed(&bench, "other", "permissions: { admin: [stop] }\n", &["admin"]);
    let bombs: Vec<Child> = (0..3).map(|_| begin(&bench, &["bomb", "bomb"])).collect();
    let full = || {
        let answer = ask(&bench, "bomb", &[json!({ "do": "run", "args": ["quit"] })]);
        kind(&answer[0]) == "busy"
    };
    wait_until("there is no more room", full);
    for _ in 0..3 {
        exec(&bench, &["other", "quit"]).expect(7, &[]);
        assert_eq!(kind(&ask(&bench, "other", &[json!({ "do": "inspect", "app": "bomb" })])[0]), "");
    }
    bombs.into_iter().for_each(end);
    // What started them is gone, and so are they.
    wait_until("there is room again", || !full());
    assert_eq!((bench.state("bomb"), bench.state("other")), ("ready".to_owned(), "ready".to_owned()));
}

#[test]
fn nonsense_ends_its_conversation_and_silence_holds_up_nobody() {
    let bench = Bench::new();
    deployed(&bench, "rude", "permissions: { admin: [stop] }\n", &["admin"]);
    deployed(&bench, "other", "permissions: { admin: [stop] }\n", &["admin"]);
    for bad in ["", "{", "[]", "\u{fffd}", r#"{"v":2,"do":"ps"}"#, r#"{"v":1,"do":"ps","bytes":99999999999}"#]
    {
        let ran = exec(&bench, &["rude", "ask", bad, r#"{"v":1,"do":"ps"}"#]);
        assert!(
            ran.stdout.contains("\"malformed\"") && !ran.stdout.contains("\"apps\""),
            "{bad}: {}",
            ran.stdout
        );
    }
    // A line that never ends is cut off: who pushes it is told.
    let long = "x".repeat(5000);
    let pushed = exec(&bench, &["rude", "push", &long]);
    assert!(matches!(pushed.code, Some(15 | 64)), "{:?}", pushed.code);
    // Requests without end whose answers nobody reads.
    let requests = format!("{}\n", json!({ "v": 1, "do": "ps" })).repeat(100);
    let pushing: Vec<Child> = (0..8).map(|_| begin(&bench, &["rude", "push", &requests])).collect();
    for _ in 0..5 {
        assert_eq!(kind(&ask(&bench, "other", &[json!({ "do": "inspect", "app": "rude" })])[0]), "");
    }
    pushing.into_iter().for_each(end);
    // Conversations that say nothing: so many, and one more when they are gone.
    let answer = || kind(&ask(&bench, "rude", &[json!({ "do": "ps" })])[0]).to_owned();
    wait_until("it is heard again", || answer().is_empty());
}

#[test]
fn children_die_with_whom_they_belong_to() {
    let bench = Bench::new();
    let manifest = "permissions: { exec: true }\nisolation: process\n";
    deployed(&bench, "own", manifest, &["exec"]);
    let spin = json!({ "v": 1, "do": "run", "args": ["spin"] }).to_string();
    let wait = json!({ "v": 1, "do": "wait", "child": 1 }).to_string();
    for how in ["worker", "stop"] {
        let (before, worker) = bench.instance("own");
        let client = begin(&bench, &["own", "ask", &spin, &wait]);
        wait_until("it spins", || {
            // Its parent sleeps: what the process uses is the child's.
            let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() > 50
        });
        if how == "worker" {
            let pid = rustix::process::Pid::from_raw(worker).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            wait_until("another runs in its place", || {
                bench.state("own") == "ready" && generation(&bench, "own") > before
            });
        } else {
            bench.post("/v1/apps/own/stop", &json!({})).expect(200);
            bench.wait_for("own", "stopped");
        }
        let ended = client.wait_with_output().unwrap();
        assert!(!ended.status.success());
        assert!(how == "stop" || !std::path::Path::new(&format!("/proc/{worker}/exe")).exists());
    }
}

#[test]
fn a_conversation_outlives_the_daemon_and_is_told_that_it_is_away() {
    let mut bench = Bench::new();
    deployed(&bench, "own", "permissions: { exec: true, admin: [stop] }\n", &["exec", "admin"]);
    for name in ["a", "b", "c", "d", "e"] {
        deployed(&bench, name, "", &[]);
    }
    // More answers than fit between the program and who reads them here: the last ones are asked for when the daemon is gone.
    let request = |request: Value| request.to_string();
    let mut words = vec!["own".to_owned(), "ask".to_owned()];
    words.push(request(json!({ "v": 1, "do": "run", "args": ["cat"], "stdin": true })));
    words.extend((0..700).map(|_| request(json!({ "v": 1, "do": "ps" }))));
    words.push(format!("{}\nkept", json!({ "v": 1, "do": "write", "child": 1, "bytes": 5, "end": true })));
    words.push(request(json!({ "v": 1, "do": "wait", "child": 1 })));
    words.push(request(json!({ "v": 1, "do": "run", "args": ["quit"] })));
    let mut command = bench.command();
    command.arg("exec").args(&words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut first = [0; 1];
    client.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    bench.crash();
    let ended = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said:.300}");
    let answers: Vec<&str> = said.lines().collect();
    assert_eq!(answers.len(), words.len() - 2);
    assert!(answers[0].contains("\"child\"") && answers[699].contains("\"unavailable\""), "{}", answers[699]);
    // The child has gone on all the time; one more cannot be started.
    let last = &answers[answers.len() - 2..];
    assert!(last[0].contains("\"code\":0") && last[1].contains("\"unavailable\""), "{last:?}");
    bench.start();
    assert_eq!(kind(&ask(&bench, "own", &[json!({ "do": "ps" })])[0]), "");
}

#[test]
fn the_sdk_does_all_of_it_in_both_versions_of_wasi() {
    let bench = Bench::new();
    for (name, target) in [("one", Target::Preview1), ("two", Target::Preview2)] {
        let manifest = "permissions: { exec: true, admin: [logs] }\n";
        let wasm = svc("svc_system", target);
        bench.deploy_granted(name, manifest, &wasm, &["exec", "admin"]).expect(200);
        bench.wait_for(name, "done");
        let logs = bench.get(&format!("/v1/apps/{name}/logs")).expect(200).body;
        for line in [
            "long: 1 true",
            "stderr: 420000",
            "wait: 1",
            "said: SPOKEN Some(\\\"exit\\\")",
            "killed: killed",
            "apps: one",
            "stop: not granted: to look at other apps, and stop and start them",
            "other: Denied",
        ] {
            assert!(logs.contains(line), "{name}: `{line}` is missing in {logs}");
        }
    }
}
