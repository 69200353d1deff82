//! What a deployment sends, and what becomes of the answers.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::fake::{Answer, Asked, Heard, daemon, detail, event, lines, problem, summary};
use crate::sandbox::{Sandbox, exits};

/// The bundles that were sent, by their names.
fn sent(heard: &Heard) -> Vec<(String, Vec<u8>)> {
    let heard = heard.lock().unwrap();
    let archives = heard.iter().filter(|asked| asked.line == "POST /v1/deploy/bundles");
    archives.flat_map(|asked| files(&asked.body)).filter(|(name, _)| name != "deploy.json").collect()
}

fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let read = |mut entry: tar::Entry<'_, _>| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    archive.entries().unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// The same daemon, but that it has no bundles.
fn lacking(state: &'static str) -> impl Fn(&Asked) -> Option<Answer> {
    move |asked: &Asked| match asked.line.as_str() {
        "POST /v1/deploy" => {
            let request: Value = serde_json::from_slice(&asked.body).unwrap();
            let apps = request["apps"].as_array().unwrap().iter();
            let missing: Vec<Value> = apps.map(|app| app["bundle"].clone()).collect();
            let (error, message) = ("not-found", "bundles are not stored");
            let problem = json!({ "error": error, "message": message, "hint": null, "missing": missing });
            Some(Answer::with(404, &problem))
        }
        "POST /v1/deploy/bundles" => {
            let (name, body) = files(&asked.body).swap_remove(0);
            assert_eq!(name, "deploy.json");
            accepting(state)(&Asked { line: "POST /v1/deploy".into(), body })
        }
        _ => accepting(state)(asked),
    }
}

fn request(heard: &Heard) -> Value {
    let heard = heard.lock().unwrap();
    let asked = heard.iter().rev().find(|asked| asked.line == "POST /v1/deploy").expect("it was deployed");
    serde_json::from_slice(&asked.body).unwrap()
}

/// A daemon that accepts everything, and whose apps are in `state` at once.
fn accepting(state: &'static str) -> impl Fn(&Asked) -> Option<Answer> {
    move |asked: &Asked| match asked.line.as_str() {
        "POST /v1/deploy" => {
            let request: Value = serde_json::from_slice(&asked.body).unwrap();
            let count = request["apps"].as_array().unwrap().len();
            let name = |number: usize| if count == 1 { "web".to_owned() } else { format!("app-{number}") };
            let apps: Vec<Value> = (0..count)
                .map(|number| json!({ "app": name(number), "revision": 1, "changed": true }))
                .collect();
            Some(Answer::with(200, &json!({ "apps": apps, "event": 7 })))
        }
        "GET /v1/events?since=7" => Some(Answer::stream(&[&event(8, "web", "starting")])),
        "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", state, 9))),
        "GET /v1/apps" => Some(Answer::with(200, &json!([summary("app-0", state), summary("app-1", state)]))),
        _ => None,
    }
}

#[test]
fn a_manifest_in_place_is_packed_sent_once_and_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("app/main.wat", exits(0));
    sandbox.write("app/app.qyv", "name: web\nentrypoint: main.wat\ntype: service\n");
    let heard = daemon(&sandbox, lacking("ready"));
    sandbox
        .run(&["deploy", "app", "--env", "A=1", "--replicas", "2", "--", "x"])
        .expect(0, &["web: ready now"]);
    let sent = sent(&heard);
    let [(name, bundle)] = &sent[..] else { panic!("{} bundles were sent", sent.len()) };
    let hash = blake3::hash(bundle).to_hex().to_string();
    assert_eq!(*name, hash);
    let app = request(&heard)["apps"][0].clone();
    assert_eq!(app["bundle"], hash);
    assert_eq!(app["folder"], sandbox.path("app").canonicalize().unwrap().to_str().unwrap());
    assert_eq!(
        (&app["env"], &app["args"], &app["replicas"]),
        (&json!({ "A": "1" }), &json!(["x"]), &json!(2))
    );
    assert_eq!(app["allow_unsigned"], true);
    // What was sent holds what the bundle holds that `pack` makes; only their compression differs.
    sandbox.run(&["pack", "app", "--output", "app.qyvbin"]).expect(0, &[]);
    sandbox.write("sent.qyvbin", bundle);
    let main = ["app", "sent"].map(|name| {
        sandbox
            .run(&["unpack", &format!("{name}.qyvbin"), "--directory", &format!("out-{name}")])
            .expect(0, &[]);
        std::fs::read(sandbox.path(&format!("out-{name}/main.wasm"))).unwrap()
    });
    assert!(!main[0].is_empty() && main[0] == main[1]);
}

#[test]
fn a_bundle_that_the_daemon_has_is_not_sent_and_must_be_vouched_for() {
    let sandbox = Sandbox::new();
    sandbox.write("app/main.wat", exits(0));
    sandbox.write("app/app.qyv", "name: web\nentrypoint: main.wat\n");
    sandbox.run(&["pack", "app", "--output", "web.qyvbin"]).expect(0, &[]);
    let heard = daemon(&sandbox, accepting("done"));
    sandbox.run(&["deploy", "web.qyvbin"]).expect(0, &["web: done now"]);
    assert!(sent(&heard).is_empty());
    let app = request(&heard)["apps"][0].clone();
    assert_eq!((&app["allow_unsigned"], &app["folder"]), (&false.into(), &Value::Null));
    sandbox.run(&["deploy", "web.qyvbin", "--allow-unsigned", "--detach"]).expect(0, &[]);
    assert_eq!(request(&heard)["apps"][0]["allow_unsigned"], true);
}

#[test]
fn a_bare_module_is_an_app_with_nothing_but_its_program() {
    let sandbox = Sandbox::new();
    sandbox.write("web.wat", exits(0));
    sandbox.module("web.wasm", &exits(0));
    sandbox.write("data/file", "");
    let heard = daemon(&sandbox, lacking("ready"));
    let mut hashes = Vec::new();
    for file in ["web.wat", "web.wasm"] {
        let dir = ["--dir", "data::/data:ro", "--type", "service"];
        let report = sandbox.run(&[&["deploy", file, "--json"][..], &dir].concat()).expect(0, &[]).json();
        assert_eq!((&report["deploy"], &report["apps"][0]["app"]), (&1.into(), &"web".into()));
        let app = request(&heard)["apps"][0].clone();
        assert_eq!((&app["kind"], &app["directories"][0]["read_only"]), (&"service".into(), &true.into()));
        assert_eq!(
            app["directories"][0]["host"],
            sandbox.path("data").canonicalize().unwrap().to_str().unwrap()
        );
        hashes.push(app["bundle"].clone());
    }
    assert_eq!(hashes[0], hashes[1]);
    sandbox.write("sent.qyvbin", &sent(&heard)[0].1);
    let report = sandbox.run(&["inspect", "sent.qyvbin", "--json"]).expect(0, &[]).json();
    assert_eq!((&report["name"], &report["app"]["entrypoint"]), (&"web".into(), &"main.wasm".into()));
}

#[test]
fn a_folder_of_manifests_is_one_deployment() {
    let sandbox = Sandbox::new();
    sandbox.write("apps/main.wat", exits(0));
    for name in ["b", "a"] {
        sandbox.write(&format!("apps/{name}.qyv"), format!("name: {name}\nentrypoint: main.wat\n"));
    }
    let heard = daemon(&sandbox, accepting("ready"));
    sandbox.run(&["deploy", "apps"]).expect(0, &["app-0: ready now", "app-1: ready now"]);
    assert_eq!(lines(&heard).iter().filter(|line| *line == "POST /v1/deploy").count(), 1);
    assert_eq!(request(&heard)["apps"].as_array().unwrap().len(), 2);
    for option in [["--replicas", "2"], ["--type", "http"], ["--dir", ".::/d"]] {
        sandbox.run(&[&["deploy", "apps"][..], &option].concat()).expect(2, &[option[0], "these are 2"]);
    }
    sandbox.run(&["deploy", "apps", "apps/a.qyv"]).expect(126, &["two of the apps are called `a`"]);
    sandbox.run(&["deploy", "apps", "--bind", "in=."]).expect(126, &["no app here has the slot `in`"]);
    sandbox.write("apps/c.qyv", "nom: c\n");
    sandbox.run(&["deploy", "apps"]).expect(126, &["c.qyv:1"]);
}

#[test]
fn only_what_the_daemon_lacks_is_sent_and_once_for_all_apps_that_share_it() {
    let sandbox = Sandbox::new();
    for (name, code) in [("a", 0), ("b", 1)] {
        sandbox.write(&format!("apps/{name}.wat"), exits(code));
        sandbox.write(&format!("apps/{name}.qyv"), format!("name: {name}\nentrypoint: {name}.wat\n"));
    }
    let heard = daemon(&sandbox, |asked| match asked.line.as_str() {
        "POST /v1/deploy" => {
            let request: Value = serde_json::from_slice(&asked.body).unwrap();
            let missing = [&request["apps"][1]["bundle"]];
            let problem = json!({ "error": "not-found", "message": "m", "hint": null, "missing": missing });
            Some(Answer::with(404, &problem))
        }
        _ => lacking("ready")(asked),
    });
    sandbox.run(&["deploy", "apps"]).expect(0, &[]);
    let sent: Vec<String> = sent(&heard).into_iter().map(|(name, _)| name).collect();
    assert_eq!(sent, [request(&heard)["apps"][1]["bundle"].as_str().unwrap()]);

    // One that keeps nothing is not asked for ever.
    let sandbox = Sandbox::new();
    sandbox.write("web.wat", exits(0));
    let heard = daemon(&sandbox, |asked| {
        let missing = |line: &str| asked.line == line;
        if !missing("POST /v1/deploy") && !missing("POST /v1/deploy/bundles") {
            return None;
        }
        let request = match asked.line.as_str() {
            "POST /v1/deploy" => asked.body.clone(),
            _ => files(&asked.body).swap_remove(0).1,
        };
        lacking("ready")(&Asked { line: "POST /v1/deploy".into(), body: request })
    });
    sandbox.run(&["deploy", "web.wat"]).expect(125, &["the daemon forgets what is sent to it"]);
    assert!(lines(&heard).len() < 8, "{:?}", lines(&heard));
}

#[test]
fn an_app_that_fails_is_told_with_its_reason_and_one_that_is_refused_with_its_mend() {
    let sandbox = Sandbox::new();
    sandbox.write("web.wat", exits(9));
    daemon(&sandbox, accepting("crash-looping"));
    sandbox.run(&["deploy", "web.wat"]).expect(
        1,
        &["web: crash-looping now", "`web`: it said no", "a denial", "not up: `web`", "qyvol logs web"],
    );

    let sandbox = Sandbox::new();
    sandbox.write("web.wat", exits(9));
    daemon(&sandbox, |asked| match asked.line.as_str() {
        "POST /v1/deploy" => Some(problem(422, "refused")),
        _ => accepting("ready")(asked),
    });
    sandbox.run(&["deploy", "web.wat"]).expect(126, &["error: this is why", "hint: do that"]);
}

#[test]
fn mistakes_are_found_before_a_daemon_is_started_for_them() {
    let sandbox = Sandbox::new();
    sandbox.run(&["deploy", "absent.qyv"]).expect(127, &["absent.qyv"]);
    sandbox.write("app.qyv", "name: App\nentrypoint: a.wasm\n");
    sandbox.run(&["deploy", "."]).expect(126, &["app.qyv:1"]);
    sandbox.module("a.wasm", &exits(0));
    sandbox.run(&["deploy", "a.wasm", "--dir", "absent::/d"]).expect(127, &["absent"]);
    assert!(!sandbox.path("state").exists());
}

#[test]
fn what_is_missing_is_asked_for_on_a_terminal_and_sent_again() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    for (typed, code) in [("y\n", 0), ("n\n", 126)] {
        let sandbox = Sandbox::new();
        sandbox.write("main.wat", exits(0));
        sandbox.write("app.qyv", "name: web\nentrypoint: main.wat\nenv_from: [KEY, OTHER]\n");
        let refused = AtomicBool::new(false);
        let heard = daemon(&sandbox, move |asked| match asked.line.as_str() {
            "POST /v1/deploy" if !refused.swap(true, Ordering::Relaxed) => Some(problem(422, "refused")),
            _ => accepting("done")(asked),
        });
        let plain = sandbox.command();
        let program = plain.get_program().to_str().unwrap();
        let line = format!("exec '{program}' deploy . --grant env:OTHER");
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).current_dir(sandbox.path(""));
        script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = String::new();
        while !shown.contains("[y/N] ") {
            let mut some = [0; 512];
            let count = script.stdout.as_mut().unwrap().read(&mut some).unwrap();
            assert!(count > 0, "{shown}");
            shown.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        assert!(
            shown.contains("`web` asks for:") && shown.contains("env:KEY") && !shown.contains("OTHER"),
            "{shown}"
        );
        script.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        script.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
        assert_eq!(script.wait().unwrap().code(), Some(code), "{shown}");
        let allow = request(&heard)["apps"][0]["grants"]["allow"].clone();
        let asked = if code == 0 { json!(["env:OTHER", "env:KEY"]) } else { json!(["env:OTHER"]) };
        assert_eq!(allow, asked);
    }
}
