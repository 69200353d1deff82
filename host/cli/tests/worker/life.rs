//! Starting, ending, surviving the daemon.

use qyv_spec::manifest::Kind;
use qyvol_protocol::worker::{FromWorker, Hello, ToWorker};

use crate::bench::{Bench, TOKEN, manifest, prints};
use crate::sandbox::wait_until;

const FOREVER: &str = "(loop (br 0))";
const SLEEPS: &str = "(call $sleep (i64.const 0x7fff_ffff_ffff_ffff))";

#[test]
fn a_command_runs_to_its_end_and_its_log_is_kept() {
    let bench = Bench::new();
    let good = bench.app(&manifest("good", Kind::Command, ""), &prints("hello", ""));
    let bad = bench.app(&manifest("bad", Kind::Command, ""), &prints("oh", "(call $exit (i32.const 3))"));
    let ugly = bench.app(&manifest("ugly", Kind::Command, ""), &prints("no", "unreachable"));
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    for app in [&good, &bad, &ugly] {
        daemon.start(app, &[]);
        daemon.started(app);
    }
    let ends = [&good, &bad, &ugly].map(|app| daemon.end_of(app));
    assert_eq!(
        ends.each_ref().map(|end| (end.cause.as_str(), end.code)),
        [("exit", 0), ("exit", 3), ("trap", 134)]
    );
    assert!(ends[2].message.contains("unreachable"), "{}", ends[2].message);
    wait_until("the log is written", || {
        bench.log(&good).contains(" 1 o hello\n") || bench.log(&good).contains(" 1 O hello\n")
    });
}

#[test]
fn what_is_not_compiled_is_said_and_nothing_is_compiled_here() {
    let bench = Bench::new();
    let app = bench.uncompiled(&manifest("new", Kind::Command, ""), &prints("hello", ""));
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[]);
    let module = daemon.hear(|message| match message {
        FromWorker::NotCompiled { module, .. } => Some(*module),
        _ => None,
    });
    assert_eq!(module, app.module);
    assert!(bench.sandbox.cached(".native").is_empty());
    bench.app(&manifest("new", Kind::Command, ""), &prints("hello", ""));
    daemon.start(&app, &[]);
    assert_eq!(daemon.end_of(&app).code, 0);
}

#[test]
fn limits_hold_and_a_hog_holds_up_nobody() {
    let bench = Bench::new();
    let hog = bench.app(&manifest("hog", Kind::Service, ""), &prints("", FOREVER));
    let cpu =
        bench.app(&manifest("cpu", Kind::Service, "limits: { cpu_time: 50ms }\n"), &prints("", FOREVER));
    let wall = bench.app(&manifest("wall", Kind::Service, "limits: { wall: 50ms }\n"), &prints("", SLEEPS));
    let grow = "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))";
    let greedy =
        bench.app(&manifest("greedy", Kind::Command, "limits: { memory: 1MiB }\n"), &prints("", grow));
    let quick = bench.app(&manifest("quick", Kind::Command, ""), &prints("quick", ""));
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    let mut hogs = Vec::new();
    for slot in 0..4 {
        let mut more = hog.clone();
        more.instance.slot = slot;
        more.instance.generation = 100 + u64::from(slot);
        daemon.start(&more, &[]);
        daemon.started(&more);
        hogs.push(more);
    }
    for app in [&cpu, &wall, &greedy, &quick] {
        daemon.start(app, &[]);
    }
    let ends = [&cpu, &wall, &greedy, &quick].map(|app| daemon.end_of(app));
    let ends = ends.each_ref().map(|end| (end.cause.as_str(), end.code));
    assert_eq!(ends, [("cpu_time", 137), ("timeout", 124), ("memory", 137), ("exit", 0)]);
    for hog in &hogs {
        daemon.say(&ToWorker::Kill { instance: hog.instance.clone() });
        let end = daemon.end_of(hog);
        assert_eq!(end.cause, "killed");
        assert!(end.used.cpu_ns > 0);
    }
}

#[test]
fn instances_survive_their_daemon_and_ends_are_told_to_the_next() {
    let bench = Bench::new();
    let stays = bench.app(&manifest("stays", Kind::Service, ""), &prints("", SLEEPS));
    let ends =
        bench.app(&manifest("ends", Kind::Command, ""), &prints("", "(call $sleep (i64.const 300_000_000))"));
    let worker = bench.worker("w");
    let mut first = worker.connect(5).unwrap();
    for app in [&stays, &ends] {
        first.start(app, &[]);
        first.started(app);
    }
    drop(first);
    wait_until("the end is written", || {
        // The older daemon may not come back.
        let old = worker.connect(4);
        let second = worker.connect(6);
        assert!(old.is_err());
        let second = second.unwrap();
        assert!(second.welcome.running.iter().any(|running| running.instance == stays.instance));
        second.welcome.ended.iter().any(|end| end.instance == ends.instance && end.code == 0)
    });
    let mut last = worker.connect(7).unwrap();
    assert_eq!(last.welcome.running.len(), 1);
    last.say(&ToWorker::Stop { instance: stays.instance.clone() });
    assert_eq!(last.end_of(&stays).cause, "stopped");
}

#[test]
fn a_drained_worker_ends_with_its_last_instance() {
    let bench = Bench::new();
    let app = bench.app(&manifest("last", Kind::Service, ""), &prints("", SLEEPS));
    let mut worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[]);
    daemon.started(&app);
    daemon.say(&ToWorker::Drain);
    daemon.hear(|message| {
        matches!(message, FromWorker::Serving { .. } | FromWorker::Ready { .. }).then_some(())
    });
    daemon.hears_nothing();
    daemon.say(&ToWorker::Kill { instance: app.instance.clone() });
    daemon.end_of(&app);
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn who_does_not_know_the_word_is_no_daemon() {
    let bench = Bench::new();
    let worker = bench.worker("w");
    let wrong = worker.connect_with(9, "another word");
    assert!(wrong.is_err_and(|message| message.contains("not its daemon")));
    assert!(worker.connect(1).is_ok(), "a lease that was not acknowledged counts for nothing");
}

#[test]
fn a_worker_ends_politely_when_a_daemon_of_another_release_takes_over() {
    let bench = Bench::new();
    let services = "services: [{ name: echo }]\n";
    let serves = prints(
        "",
        "(drop (call $accept (i32.const 4) (i32.const 0) (i32.const 8)))(call $exit (i32.const 0))",
    );
    let accept =
        r#"(import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))"#;
    let serves = serves.replacen("(module", &format!("(module {accept}"), 1);
    let app = bench.app(&manifest("served", Kind::Service, services), &serves);
    let mut worker = bench.worker("w");
    let mut daemon = worker.connect(5).unwrap();
    daemon.start(&app, &[]);
    daemon.started(&app);
    let of = |lease| Hello { version: 99, lease, token: TOKEN.to_owned() };
    // An older one may be of any release.
    assert!(worker.greet(of(4)).unwrap_err().contains("older"));
    daemon.say(&ToWorker::Usage { request: 1 });
    daemon.hear(|message| matches!(message, FromWorker::Usage { request: 1, .. }).then_some(()));
    assert!(worker.greet(of(6)).unwrap_err().contains("not 99"));
    // Its listener was closed, and it returned: it was not killed.
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn messages_that_make_no_sense_are_harmless() {
    let bench = Bench::new();
    let app = bench.app(&manifest("app", Kind::Service, ""), &prints("", SLEEPS));
    let worker = bench.worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.say(&ToWorker::Kill { instance: app.instance.clone() });
    daemon.say(&ToWorker::Stop { instance: app.instance.clone() });
    daemon.start(&app, &[]);
    daemon.started(&app);
    daemon.start(&app, &[]);
    let message = daemon.hear(|message| match message {
        FromWorker::Failed { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(message.contains("runs already"), "{message}");
    let mut missing = app.clone();
    missing.instance.generation = 2;
    missing.bundle = "/nonexistent".into();
    daemon.start(&missing, &[]);
    let message = daemon.hear(|message| match message {
        FromWorker::Failed { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(message.contains("/nonexistent"), "{message}");
    // Outside of its walls there is nothing, whatever it is told.
    let mut outside = app.clone();
    outside.instance.generation = 3;
    outside.bundle = std::env::current_exe().unwrap();
    daemon.start(&outside, &[]);
    let message = daemon.hear(|message| match message {
        FromWorker::Failed { message, .. } => Some(message.clone()),
        _ => None,
    });
    let walled = daemon.welcome.walls.iter().any(|wall| wall.name == "landlock" && wall.on);
    assert_eq!(message.contains("denied"), walled, "{message}");
}
