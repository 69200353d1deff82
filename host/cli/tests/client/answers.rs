//! Answers that come at once, and what is wrong with them.

use serde_json::json;

use crate::fake::{Answer, daemon, detail, info, lines, problem, summary};
use crate::sandbox::Sandbox;

#[test]
fn without_a_daemon_nothing_but_deploy_starts_one() {
    let sandbox = Sandbox::new();
    let look = |word: &str| sandbox.run(&[word]).expect(125, &["no daemon runs", "qyvol daemon start"]);
    for word in ["ps", "stats", "events"] {
        look(word);
    }
    for words in [["logs", "a"], ["stop", "a"], ["rm", "a"], ["wait", "a"], ["port", "a"], ["image", "ls"]] {
        sandbox.run(&words).expect(125, &["no daemon runs"]);
    }
    sandbox.run(&["inspect", "a"]).expect(127, &["no file `a`", "no daemon runs"]);
    sandbox.run(&["daemon", "status"]).expect(1, &[]);
    sandbox.run(&["daemon", "stop"]).expect(0, &["no daemon runs"]);
    assert!(!sandbox.path("state").exists() && !sandbox.path("run").exists());
    // The socket that a daemon left behind.
    std::fs::create_dir_all(sandbox.path("run")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(sandbox.path("run/qyvold.sock")).unwrap());
    look("ps");
}

#[test]
fn a_folder_that_is_too_deep_for_a_socket_is_told() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command.args(["ps"]).env("QYVOL_RUNTIME_DIR", sandbox.path(&"x".repeat(108)));
    let ran = crate::sandbox::Ran::of(command.output().unwrap());
    ran.expect(125, &["too long for a socket", "QYVOL_RUNTIME_DIR"]);
}

#[test]
fn apps_are_listed_and_those_that_rest_only_on_demand() {
    let sandbox = Sandbox::new();
    daemon(&sandbox, |asked| {
        let apps = json!([summary("web", "ready"), summary("once", "done"), summary("bad", "failed")]);
        (asked.line == "GET /v1/apps").then(|| Answer::with(200, &apps))
    });
    let ran = sandbox.run(&["ps"]).expect(0, &[]);
    let rows: Vec<&str> = ran.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(rows, ["NAME", "web", "bad"]);
    assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
    assert!(sandbox.run(&["ps", "-a"]).stdout.contains("once"));
    let report = sandbox.run(&["ps", "--all", "--json"]).expect(0, &[]).json();
    assert_eq!((&report["ps"], &report["apps"][1]["state"]), (&1.into(), &"done".into()));
}

#[test]
fn a_problem_of_the_daemon_keeps_its_words_and_has_an_exit_code() {
    for (status, error, code) in
        [(404, "not-found", 127), (422, "refused", 126), (409, "conflict", 126), (400, "invalid", 126)]
            .into_iter()
            .chain([(413, "too-large", 126), (401, "unauthorized", 126), (503, "unavailable", 125)])
            .chain([(500, "internal", 125)])
    {
        let sandbox = Sandbox::new();
        daemon(&sandbox, move |_| Some(problem(status, error)));
        let told = ["error: this is why", "hint: do that"];
        sandbox.run(&["ps"]).expect(code, &told);
        sandbox.run(&["port", "a"]).expect(code, &told);
        sandbox.run(&["logs", "a"]).expect(code, &told);
        sandbox.run(&["events"]).expect(code, &told);
        sandbox.run(&["stop", "a", "--detach"]).expect(code, &told);
    }
}

#[test]
fn answers_that_are_none_are_told_and_never_taken_for_one() {
    let half_list = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n[{}", summary("web", "ready"));
    for (answer, told) in [
        ("", "hung up"),
        ("HTTP/1.1 200", "hung up"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "hung up"),
        (half_list.as_str(), "hung up"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "hung up"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "does not understand"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "does not understand"),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html", "502 Bad Gateway: <html"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 9999\r\n\r\n{\"error\":", "404 Not Found"),
    ] {
        let sandbox = Sandbox::new();
        let bytes = answer.to_owned();
        daemon(&sandbox, move |_| Some(Answer::raw(&bytes)));
        let ran = sandbox.run(&["ps"]);
        let code = if told.starts_with("404") { 127 } else { 125 };
        let ran = ran.expect(code, &[told, "hint: "]);
        assert_eq!(ran.stdout, "", "{answer:?}");
    }
}

#[test]
fn a_field_that_is_unknown_is_a_daemon_of_another_version() {
    let sandbox = Sandbox::new();
    let mut app = summary("web", "ready");
    app["colour"] = "blue".into();
    daemon(&sandbox, move |_| Some(Answer::with(200, &json!([app]))));
    sandbox.run(&["ps"]).expect(125, &["unknown field `colour`", "different versions"]);
}

#[test]
fn what_runs_is_not_removed_without_force() {
    let sandbox = Sandbox::new();
    let heard = daemon(&sandbox, |asked| match asked.line.as_str() {
        "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", "ready", 0))),
        "GET /v1/apps/old" => Some(Answer::with(200, &detail("old", "stopped", 0))),
        line if line.starts_with("DELETE ") => Some(Answer::with(200, &json!({}))),
        _ => None,
    });
    sandbox.run(&["rm", "old", "web"]).expect(126, &["`web` runs", "--force"]);
    assert!(!lines(&heard).iter().any(|line| line.starts_with("DELETE")), "{:?}", lines(&heard));
    sandbox.run(&["rm", "old"]).expect(0, &["removed `old`"]);
    sandbox.run(&["rm", "--force", "--volumes", "web"]).expect(0, &["removed `web`"]);
    let removed: Vec<String> = lines(&heard).into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(removed, ["DELETE /v1/apps/old?volumes=false", "DELETE /v1/apps/web?volumes=true"]);
}

#[test]
fn a_deployed_app_is_inspected_by_its_name() {
    let sandbox = Sandbox::new();
    daemon(&sandbox, |asked| match asked.line.as_str() {
        "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", "ready", 3))),
        "GET /v1/info" => Some(Answer::with(200, &info())),
        _ => None,
    });
    let ran = sandbox.run(&["inspect", "web"]).expect(0, &[]);
    for word in [
        "web 1.2.3",
        "tcp://127.0.0.1:8080",
        "runs as fixed",
        "granted at deploy",
        "          net\n",
        "bind in=/srv/in:ro",
        "dir /h::/g:ro",
        "env A=1",
        "web.0@4  ready now",
        "walls: landlock, no seccomp (the kernel has none)",
        "with 3: it said no",
        "a denial",
    ] {
        assert!(ran.stdout.contains(word), "`{word}` is missing in\n{}", ran.stdout);
    }
    let report = sandbox.run(&["inspect", "web", "--json"]).expect(0, &[]).json();
    assert_eq!((&report["kind"], &report["workers"][0]["pid"]), (&"deployed".into(), &8.into()));
    // A file of that name is meant before an app, and a path is never an app.
    sandbox.write("web", "no app");
    sandbox.run(&["inspect", "web"]).expect(126, &["no app that is known by its name"]);
    sandbox.run(&["inspect", "./db"]).expect(127, &["./db"]);
}

#[test]
fn waiting_ends_with_the_apps_own_exit_code() {
    let sandbox = Sandbox::new();
    daemon(&sandbox, |asked| match asked.line.as_str() {
        "GET /v1/events" => Some(Answer::stream(&[": alive\n\n"])),
        "GET /v1/apps/once" => Some(Answer::with(200, &detail("once", "failed", 42))),
        _ => None,
    });
    sandbox.run(&["wait", "once"]).expect(42, &["it said no"]);
    let report = sandbox.run(&["wait", "once", "--json"]).expect(42, &[]).json();
    assert_eq!(
        (&report["code"], &report["state"], &report["cause"]),
        (&42.into(), &"failed".into(), &"exit".into())
    );
    sandbox.run(&["wait", "absent"]).expect(127, &["404"]);
}

#[test]
fn a_secret_goes_byte_for_byte_and_is_never_shown() {
    let sandbox = Sandbox::new();
    let heard = daemon(&sandbox, |asked| {
        asked.line.starts_with("PUT ").then(|| Answer::raw("HTTP/1.1 204 No Content\r\n\r\n"))
    });
    sandbox.write("key", b"hunter2\0\xff\n");
    let ran = sandbox.run(&["secret", "set", "A/B", "--from", "key"]).expect(0, &["set `A/B`"]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"));
    let asked = heard.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.line.as_str(), asked.body.as_slice()),
        ("PUT /v1/secrets/a%2fb", &b"hunter2\0\xff\n"[..])
    );
    sandbox.run(&["secret", "set", "KEY"]).expect(2, &["no terminal", "--from"]);
}
