//! Answers that go on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::fake::{Answer, daemon, detail, event, lines, summary};
use crate::sandbox::{Ran, Sandbox};

fn log(stream: &str, text: &str) -> String {
    let instance = json!({ "app": "web", "slot": 0, "generation": 1 });
    json!({ "time": 1500, "instance": instance, "stream": stream, "text": text }).to_string() + "\n"
}

/// A daemon whose logs of `web` are these pieces.
fn logging(sandbox: &Sandbox, pieces: Vec<String>, broken: bool) {
    daemon(sandbox, move |asked| {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        match asked.line.as_str() {
            "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", "ready", 0))),
            line if line.starts_with("GET /v1/apps/web/logs") && broken => {
                Some(Answer::broken_stream(&pieces))
            }
            line if line.starts_with("GET /v1/apps/web/logs") => Some(Answer::stream(&pieces)),
            _ => None,
        }
    });
}

#[test]
fn a_log_that_breaks_off_shows_what_came_whole_and_says_so() {
    let sandbox = Sandbox::new();
    let half = log("stdout", "three");
    let pieces = vec![log("stdout", "one") + &log("stderr", "two")[..9], log("stderr", "two")[9..].into()];
    logging(&sandbox, [pieces, vec![half[..half.len() / 2].into()]].concat(), true);
    let ran = sandbox.run(&["logs", "web"]).expect(125, &["two\n", "the daemon hung up", "daemon status"]);
    assert_eq!(ran.stdout, "one\n");
    let ran = sandbox.run(&["logs", "web", "--json"]).expect(125, &[]);
    let texts: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn a_log_that_ends_is_the_end() {
    let sandbox = Sandbox::new();
    logging(&sandbox, vec![log("stdout", "one"), log("qyvol", "2 lines were dropped"), String::new()], false);
    let ran = sandbox.run(&["logs", "web", "--timestamps"]).expect(0, &["qyvol: 2 lines were dropped"]);
    assert_eq!(ran.stdout, "1970-01-01T00:00:01.500Z one\n");
}

#[test]
fn ctrl_c_ends_what_follows_between_two_lines() {
    let sandbox = Sandbox::new();
    let half = log("stdout", "half a line");
    logging(&sandbox, vec![log("stdout", "one"), half[..half.len() - 5].into()], false);
    for arguments in [["logs", "web", "--follow"], ["logs", "web", "--json"]] {
        let mut command = sandbox.command();
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut shown = String::new();
        output.read_line(&mut shown).unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        output.read_to_string(&mut shown).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).expect(130, &[]);
        assert_eq!((shown.lines().count(), ran.stderr.as_str()), (1, ""), "{shown}");
        assert!(shown.ends_with('\n'));
    }
}

#[test]
fn events_come_however_they_are_cut() {
    let sandbox = Sandbox::new();
    let text = format!(": alive\n\n{}{}", event(4, "web", "starting"), event(5, "web", "ready"));
    daemon(&sandbox, move |asked| {
        let pieces: Vec<&str> =
            text.as_bytes().chunks(7).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        // The empty piece is the end.
        (asked.line == "GET /v1/events?since=3&app=web")
            .then(|| Answer::stream(&[&pieces[..], &[""]].concat()))
    });
    let ran = sandbox.run(&["events", "--since", "3", "--app", "web"]).expect(0, &[]);
    assert_eq!(
        ran.stdout,
        "4 1970-01-01T00:00:00.000Z state web starting\n5 1970-01-01T00:00:00.000Z state web ready\n"
    );
}

#[test]
fn stopping_waits_until_nothing_runs() {
    let sandbox = Sandbox::new();
    let looks = std::sync::atomic::AtomicU32::new(0);
    daemon(&sandbox, move |asked| {
        let nth = || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match asked.line.as_str() {
            "GET /v1/events" => {
                Some(Answer::stream(&[&event(1, "web", "stopping"), &event(2, "other", "ready")]))
            }
            "POST /v1/apps/web/stop" => Some(Answer::with(200, &detail("web", "stopping", 0))),
            "GET /v1/apps/web" if nth() == 0 => Some(Answer::with(200, &detail("web", "stopping", 0))),
            "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", "stopped", 0))),
            _ => None,
        }
    });
    let report =
        sandbox.run(&["stop", "web", "absent", "--json"]).expect(127, &["web: stopped now", "404"]).json();
    assert_eq!(report["apps"], json!(["web"]));
}

#[test]
fn waiting_goes_on_with_the_next_daemon_after_the_last_event() {
    let sandbox = Sandbox::new();
    let back = std::sync::atomic::AtomicBool::new(false);
    let heard = daemon(&sandbox, move |asked| {
        let order = std::sync::atomic::Ordering::Relaxed;
        match asked.line.as_str() {
            "GET /v1/events" => Some(Answer::broken_stream(&[": events\nid: 3\n\n"])),
            "GET /v1/events?since=3" => {
                back.store(true, order);
                Some(Answer::stream(&[&event(4, "web", "stopped")]))
            }
            "GET /v1/apps/web" => {
                let state = if back.load(order) { "stopped" } else { "stopping" };
                Some(Answer::with(200, &detail("web", state, 7)))
            }
            _ => None,
        }
    });
    sandbox.run(&["wait", "web"]).expect(7, &[]);
    assert!(lines(&heard).contains(&"GET /v1/events?since=3".to_owned()));
}

#[test]
fn a_daemon_that_ends_while_it_is_waited_for_is_told() {
    let sandbox = Sandbox::new();
    daemon(&sandbox, |asked| match asked.line.as_str() {
        "GET /v1/events" => Some(Answer::stream(&[""])),
        "POST /v1/apps/web/start" => Some(Answer::with(200, &detail("web", "starting", 0))),
        "GET /v1/apps/web" => Some(Answer::with(200, &detail("web", "starting", 0))),
        _ => None,
    });
    sandbox.run(&["start", "web"]).expect(125, &["the daemon ended", "daemon start"]);
}

#[test]
fn what_a_terminal_would_obey_is_dropped_from_a_log_line_by_line() {
    let sandbox = Sandbox::new();
    // A sequence that never ends must not swallow the next line.
    let pieces = vec![
        log("stdout", "a\x1b]0;title\x07b"),
        log("stdout", "c\x1b]0;"),
        log("stdout", "d"),
        String::new(),
    ];
    logging(&sandbox, pieces, false);
    let on_terminal = |arguments: &str| {
        let plain = sandbox.command();
        let line = format!("stty raw -echo; exec '{}' {arguments}", plain.get_program().to_str().unwrap());
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).current_dir(sandbox.path("")).stdin(Stdio::null());
        script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    assert_eq!(on_terminal("logs web"), "ab\nc\nd\n");
    assert_eq!(on_terminal("logs web --raw"), "a\x1b]0;title\x07b\nc\x1b]0;\nd\n");
    // No terminal, nothing to protect.
    assert_eq!(sandbox.run(&["logs", "web"]).stdout, "a\x1b]0;title\x07b\nc\x1b]0;\nd\n");
}

#[test]
fn usage_is_of_the_time_between_two_looks() {
    let sandbox = Sandbox::new();
    let looks = std::sync::atomic::AtomicU64::new(0);
    daemon(&sandbox, move |asked| {
        let row = |app: &str, cpu_ns: u64| {
            json!({
                "instance": { "app": app, "slot": 0, "generation": 1 }, "cpu_ns": cpu_ns, "memory": 1 << 20,
                "memory_limit": 256 << 20, "fds": 3, "connections": 0, "log_bytes": 0, "log_dropped": 0, "requests": 0,
            })
        };
        match asked.line.as_str() {
            "GET /v1/usage" => {
                let nth = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Some(Answer::with(200, &json!([row("web", nth * 1_000_000_000), row("db", 0)])))
            }
            "GET /v1/apps" => Some(Answer::with(200, &json!([summary("web", "ready")]))),
            _ => None,
        }
    });
    let ran = sandbox.run(&["stats", "--no-stream"]).expect(0, &[]);
    let rows: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{}", ran.stdout);
    assert!(rows[1].starts_with("db.0@1      0.0  1.00 MiB"), "{}", rows[1]);
    let report = sandbox.run(&["stats", "web", "--no-stream", "--json"]).expect(0, &[]).json();
    let instances = report["instances"].as_array().unwrap();
    assert_eq!((instances.len(), &instances[0]["memory"]), (1, &(1 << 20).into()));
    assert!(instances[0]["cpu_percent"].as_f64().unwrap() > 0.0);
    sandbox.run(&["top"]).expect(2, &["needs a terminal", "qyvol stats"]);
}
