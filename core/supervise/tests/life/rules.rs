//! Order of start, restarts, health, schedules, what is refused and what is kept.

use qyv_spec::manifest::{Kind, Restart};
use qyv_supervise::{
    Action, Cause, Change, Config, Desired, Event, LifeSpec, Now, Record, Refused, Supervisor,
};

use crate::desk::{Desk, SECOND, after, name, service, spec, watched};

#[test]
fn a_dependant_starts_when_its_dependency_is_ready_and_not_before() {
    let mut desk = Desk::new();
    desk.deploy(&[("api", after(&["db"], service())), ("db", service())]).unwrap();
    let db = desk.started_one();
    assert_eq!(db.app, name("db"));
    desk.say(Event::Started(db.clone()));
    assert_eq!(desk.started(), []);
    desk.shows("api", "waiting for `db`");
    desk.shows("db", "running");
    desk.say(Event::Ready(db));
    assert_eq!(desk.started_one().app, name("api"));
    desk.shows("db", "ready");
}

#[test]
fn a_command_is_ready_when_it_is_done() {
    let mut desk = Desk::new();
    desk.deploy(&[("api", after(&["init"], service())), ("init", spec(Kind::Command))]).unwrap();
    let init = desk.started_one();
    desk.ready(&init);
    desk.shows("api", "waiting for `init`");
    desk.exited(&init, 3);
    desk.shows("init", "failed (3)");
    desk.shows("api", "waiting for `init`");
    desk.start("init");
    let init = desk.started_one();
    desk.exited(&init, 0);
    desk.shows("init", "done (0)");
    assert_eq!(desk.started_one().app, name("api"));
    desk.pass(1000 * SECOND);
    assert_eq!(desk.started(), []);
}

#[test]
fn what_is_missing_is_waited_for() {
    let mut desk = Desk::new();
    desk.deploy(&[("api", after(&["db"], service()))]).unwrap();
    desk.shows("api", "waiting for `db`");
    desk.deploy(&[("db", service())]).unwrap();
    let db = desk.started_one();
    desk.ready(&db);
    assert_eq!(desk.started_one().app, name("api"));
}

#[test]
fn circles_are_refused_by_name_and_nothing_of_the_set_is_deployed() {
    let mut desk = Desk::new();
    desk.deploy(&[("a", after(&["b"], service()))]).unwrap();
    let set = [("c", after(&["a"], service())), ("b", after(&["c"], service()))];
    let refused = desk.deploy(&set).unwrap_err();
    assert_eq!(refused, Refused::Circle(["b", "c", "a"].map(name).to_vec()));
    let text = "these apps wait for each other: `b` → `c` → `a` → `b`; take one out of a `depends_on`";
    assert_eq!(refused.to_string(), text);
    assert_eq!(desk.supervisor.names().count(), 1);
    assert_eq!(desk.out, []);
}

#[test]
fn restarts_follow_the_policy() {
    for (restart, code, again) in [
        (Restart::Never, 1, false),
        (Restart::OnFailure, 1, true),
        (Restart::OnFailure, 0, false),
        (Restart::Always, 0, true),
    ] {
        let mut desk = Desk::new();
        let instance = desk.up("a", LifeSpec { restart, ..service() }).remove(0);
        desk.exited(&instance, code);
        assert_eq!(desk.started(), [], "never at once");
        desk.pass(SECOND);
        assert_eq!(desk.started().len(), usize::from(again), "{restart:?} after {code}");
    }
}

#[test]
fn an_app_that_fails_again_and_again_is_shown_and_slowed() {
    let mut desk = Desk::new();
    desk.deploy(&[("a", service())]).unwrap();
    let mut instance = desk.started_one();
    for round in 0..12 {
        desk.say(Event::StartFailed(instance, "no such file".into()));
        let shown = desk.supervisor.status(&name("a"), desk.now).unwrap();
        assert_eq!(shown.state.word(), if round < 4 { "backing-off" } else { "crash-looping" });
        assert_eq!(shown.slots[0].last.as_ref().unwrap().to_string(), "failed (no such file)");
        let at = desk.supervisor.next_deadline().unwrap();
        desk.pass(at - desk.now.monotonic - 1);
        assert_eq!(desk.started(), []);
        desk.pass(1);
        instance = desk.started_one();
    }
    assert!(desk.now.monotonic > 1300 * SECOND);
    // A person who says start need not wait.
    desk.say(Event::Lost(instance));
    desk.start("a");
    assert_eq!(desk.started().len(), 1);
}

#[test]
fn what_is_unhealthy_is_restarted_or_shown() {
    let mut desk = Desk::new();
    let instance = desk.up("a", watched(service())).remove(0);
    desk.shows("a", "running");
    desk.answer(true);
    desk.shows("a", "ready");
    desk.pass(10 * SECOND);
    desk.answer(false);
    desk.shows("a", "ready");
    desk.pass(10 * SECOND);
    desk.answer(false);
    assert_eq!(desk.stopped(), std::slice::from_ref(&instance));
    desk.exited(&instance, 0);
    let last = desk.supervisor.status(&name("a"), desk.now).unwrap().slots[0].last.clone();
    assert_eq!(last.unwrap().to_string(), "failed (unhealthy)");
    desk.pass(SECOND);
    assert_eq!(desk.started().len(), 1);

    let mut desk = Desk::new();
    desk.up("a", LifeSpec { restart: Restart::Never, ..watched(service()) });
    for _ in 0..3 {
        // No answer at all.
        desk.pass(12 * SECOND);
    }
    desk.shows("a", "unhealthy");
    desk.answer(true);
    desk.shows("a", "ready");
}

fn at(minutes: u64) -> Now {
    Now { monotonic: minutes * 60 * SECOND, wall: 1_800_000_000 + minutes * 60 }
}

#[test]
fn the_clock_starts_a_command_and_never_two_at_once() {
    let mut desk = Desk::new();
    desk.now = at(0);
    let hourly = LifeSpec { schedule: Some("0 * * * *".parse().unwrap()), ..spec(Kind::Command) };
    desk.deploy(&[("job", hourly.clone())]).unwrap();
    assert_eq!(desk.started(), []);
    desk.shows("job", "scheduled (2027-01-15 09:00 UTC)");
    desk.pass(3600 * SECOND);
    let job = desk.started_one();
    desk.ready(&job);
    desk.pass(2 * 3600 * SECOND);
    assert_eq!(desk.started(), []);
    assert_eq!(desk.changes(), [Change::Skipped(1), Change::Skipped(2)]);
    desk.exited(&job, 1);
    desk.shows("job", "scheduled (2027-01-15 12:00 UTC)");
    // The clock is set five hours forward: once.
    desk.now.wall += 5 * 3600;
    desk.pass(60 * SECOND);
    let job = desk.started_one();
    // A newer generation lets the run finish.
    desk.deploy(&[("job", hourly)]).unwrap();
    assert_eq!((desk.stopped(), desk.started()), (vec![], vec![]));
    desk.exited(&job, 0);
    desk.pass(3600 * SECOND);
    assert_eq!(desk.started_one().generation, 2);
}

#[test]
fn what_is_stale_changes_nothing() {
    let mut desk = Desk::new();
    let old = desk.up("a", service()).remove(0);
    desk.exited(&old, 1);
    desk.pass(SECOND);
    let new = desk.started_one();
    desk.ready(&new);
    for event in [
        Event::Exited(old.clone(), Cause::Trap),
        Event::StartFailed(old.clone(), String::new()),
        Event::Lost(old.clone()),
        Event::Started(new.clone()),
        Event::Ready(new.clone()),
        Event::Probed(new.clone(), 7, false),
        Event::Exited(qyv_supervise::Instance { app: name("b"), ..new.clone() }, Cause::Trap),
        Event::Exited(qyv_supervise::Instance { slot: 9, ..new.clone() }, Cause::Trap),
        Event::Exited(qyv_supervise::Instance { generation: 9, ..new }, Cause::Trap),
    ] {
        desk.say(event);
        assert_eq!(desk.out, []);
        desk.shows("a", "ready");
    }
}

#[test]
fn limits_hold() {
    let mut desk = Desk::new();
    desk.up("a", service());
    let refused = |result: Result<(), Refused>| result.unwrap_err();
    let mut deploy = |name: &str, generation, spec| {
        let set = vec![(self::name(name), generation, spec)];
        refused(desk.supervisor.deploy(set, desk.now, &mut desk.out))
    };
    assert_eq!(deploy("a", 1, service()), Refused::OldGeneration(name("a")));
    let endless = LifeSpec { stop_grace_ms: u64::MAX, ..service() };
    assert_eq!(deploy("b", 1, endless), Refused::OutOfRange(name("b")));
    let many = LifeSpec { replicas: 9, ..service() };
    assert_eq!(deploy("b", 1, many), Refused::OutOfRange(name("b")));
    let scale = desk.supervisor.scale(&name("a"), 9, desk.now, &mut desk.out);
    assert_eq!(refused(scale), Refused::TooManyReplicas { name: name("a"), most: 8 });
    let full = LifeSpec { replicas: 1024, instances_max: 1024, ..service() };
    let set = (0..256).map(|index| (name(&format!("f{index}")), 1, full.clone())).collect();
    assert_eq!(refused(desk.supervisor.deploy(set, desk.now, &mut desk.out)), Refused::TooManySlots);
    let stop = desk.supervisor.stop(&[name("a"), name("b")], desk.now, &mut desk.out);
    assert_eq!(refused(stop), Refused::Unknown(name("b")));
    desk.shows("a", "ready");
}

/// Stores all apps and starts over, as a daemon does.
fn reborn(desk: &Desk) -> Desk {
    let names: Vec<_> = desk.supervisor.names().cloned().collect();
    let records = names.iter().map(|name| {
        let text = serde_json::to_string(&desk.supervisor.record(name)).unwrap();
        serde_json::from_str::<Option<Record>>(&text).unwrap().unwrap()
    });
    let config = Config { seed: 2, first_lease: 1000 };
    Desk::over(Supervisor::restore(config, records).unwrap())
}

#[test]
fn a_daemon_that_returns_adopts_what_runs_and_starts_the_rest() {
    let mut desk = Desk::new();
    let kept = desk.up("kept", service()).remove(0);
    desk.up("gone", service());
    let ended = desk.up("ended", spec(Kind::Command)).remove(0);
    desk.exited(&ended, 0);
    let unwanted = desk.up("unwanted", service()).remove(0);
    desk.stop(&["unwanted"]);
    assert!(desk.out.contains(&Action::Save(name("unwanted"))));

    let mut desk = reborn(&desk);
    assert!(desk.supervisor.adopt(kept.clone(), true, desk.now));
    assert!(desk.supervisor.adopt(unwanted.clone(), true, desk.now));
    assert!(!desk.supervisor.adopt(kept.clone(), true, desk.now), "twice");
    let stranger = qyv_supervise::Instance { app: name("stranger"), ..kept.clone() };
    assert!(!desk.supervisor.adopt(stranger, true, desk.now));
    assert_eq!(desk.out, []);
    desk.pass(0);
    let started = desk.started_one();
    assert_eq!((&started.app, started.lease), (&name("gone"), 1000));
    assert_eq!(desk.stopped(), [unwanted]);
    desk.shows("kept", "ready");
    desk.shows("ended", "done (0)");
    let record = desk.supervisor.record(&name("unwanted")).unwrap();
    assert_eq!(record.desired, Desired::Stopped);
    // Too late: its place is taken.
    let late = qyv_supervise::Instance { lease: 2, ..started };
    assert!(!desk.supervisor.adopt(late, true, desk.now));
    desk.exited(&kept, 1);
    desk.shows("kept", "backing off 0.2s");
}

#[test]
fn an_adopted_generation_that_nobody_knows_overlaps_with_none() {
    let mut desk = Desk::new();
    let alone = desk.up("a", LifeSpec { overlap: false, ..service() }).remove(0);
    desk.stop(&["a"]);
    desk.deploy(&[("a", service())]).unwrap();
    let mut desk = reborn(&desk);
    assert!(desk.supervisor.adopt(alone.clone(), true, desk.now));
    desk.pass(0);
    assert_eq!((desk.stopped(), desk.started()), (vec![alone.clone()], vec![]));
    desk.exited(&alone, 0);
    assert_eq!(desk.started_one().generation, 2);
}

#[test]
fn records_that_no_supervisor_wrote_are_refused() {
    let mut desk = Desk::new();
    desk.up("a", service());
    let record = desk.supervisor.record(&name("a")).unwrap();
    let config = Config { seed: 0, first_lease: 0 };
    let restore = |records: Vec<Record>| Supervisor::restore(config, records).map(|_| ()).unwrap_err();
    assert_eq!(restore(vec![record.clone(), record.clone()]), Refused::Twice(name("a")));
    let mut many = record;
    many.replicas = 9;
    assert_eq!(restore(vec![many]), Refused::OutOfRange(name("a")));
}
