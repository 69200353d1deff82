//! Stops, kills, removals, and what is asked in the middle of something else.

use qyv_supervise::{Action, Change, Event, LifeSpec};

use crate::desk::{Desk, SECOND, after, name, service};

#[test]
fn a_stop_asks_first_and_then_kills_until_it_is_over() {
    let mut desk = Desk::new();
    let instance = desk.up("a", service()).remove(0);
    desk.stop(&["a"]);
    assert_eq!((desk.stopped(), desk.killed()), (vec![instance.clone()], 0));
    desk.shows("a", "stopping");
    desk.pass(10 * SECOND - 1);
    assert_eq!(desk.killed(), 0);
    desk.pass(1);
    assert_eq!(desk.killed(), 1);
    desk.pass(SECOND);
    desk.shows("a", "stopping (killed 2 times, still there)");
    desk.pass(3600 * SECOND);
    assert!((60..80).contains(&desk.killed()), "{}", desk.killed());
    desk.exited(&instance, 137);
    desk.shows("a", "stopped");
    desk.pass(3600 * SECOND);
    assert_eq!(desk.out, []);
}

#[test]
fn without_grace_the_kill_follows_at_once() {
    let mut desk = Desk::new();
    desk.up("a", LifeSpec { stop_grace_ms: 0, ..service() });
    desk.stop(&["a"]);
    assert_eq!((desk.stopped().len(), desk.killed()), (1, 1));
}

#[test]
fn a_set_stops_in_the_reverse_order_of_its_start() {
    let mut desk = Desk::new();
    let db = desk.up("db", service()).remove(0);
    let api = desk.up("api", after(&["db"], service())).remove(0);
    desk.up("other", after(&["db"], service()));
    desk.stop(&["db", "api"]);
    assert_eq!(desk.stopped(), std::slice::from_ref(&api));
    desk.shows("db", "ready");
    desk.exited(&api, 0);
    assert_eq!(desk.stopped(), [db]);
}

#[test]
fn what_cannot_be_killed_does_not_hold_up_the_others() {
    let mut desk = Desk::new();
    desk.up("db", service());
    desk.up("api", after(&["db"], service()));
    desk.stop(&["db", "api"]);
    desk.pass(12 * SECOND);
    assert_eq!(desk.stopped().len(), 1);
    desk.shows("db", "stopping");
}

#[test]
fn a_dependency_that_waits_to_stop_and_fails_is_not_started_again() {
    let mut desk = Desk::new();
    let db = desk.up("db", service()).remove(0);
    desk.up("api", after(&["db"], service()));
    desk.stop(&["db", "api"]);
    desk.exited(&db, 1);
    desk.pass(5 * SECOND);
    assert_eq!(desk.started(), []);
    desk.shows("db", "stopped");
}

#[test]
fn a_stop_during_a_start_and_a_start_during_a_stop() {
    let mut desk = Desk::new();
    desk.deploy(&[("a", service())]).unwrap();
    let first = desk.started_one();
    desk.stop(&["a"]);
    assert_eq!(desk.stopped(), std::slice::from_ref(&first));
    desk.ready(&first);
    desk.shows("a", "stopping");
    desk.start("a");
    assert_eq!(desk.out, [Action::Save(name("a"))]);
    desk.say(Event::StartFailed(first, "stopped".into()));
    let second = desk.started_one();
    assert_ne!(second.lease, 1);
}

#[test]
fn a_deploy_during_a_stop_starts_the_new_generation_when_the_old_one_is_gone() {
    let mut desk = Desk::new();
    let old = desk.up("a", service()).remove(0);
    desk.stop(&["a"]);
    desk.deploy(&[("a", service())]).unwrap();
    assert_eq!(desk.started(), []);
    desk.exited(&old, 0);
    assert_eq!(desk.started_one().generation, 2);
}

#[test]
fn a_scale_down_during_a_replacement_stops_both() {
    let mut desk = Desk::new();
    let old = desk.up("a", service()).remove(0);
    desk.deploy(&[("a", service())]).unwrap();
    let new = desk.started_one();
    desk.ask(|supervisor, now, out| supervisor.scale(&name("a"), 0, now, out));
    assert_eq!(desk.stopped(), [old.clone(), new.clone()]);
    desk.exited(&old, 0);
    desk.exited(&new, 0);
    desk.shows("a", "stopped");
    desk.ask(|supervisor, now, out| supervisor.scale(&name("a"), 2, now, out));
    assert!(desk.started().iter().all(|instance| instance.generation == 2));
    assert_eq!(desk.started().len(), 2);
}

#[test]
fn a_restart_stops_and_starts_without_a_pause() {
    let mut desk = Desk::new();
    let first = desk.up("a", service()).remove(0);
    desk.ask(|supervisor, now, out| supervisor.restart(&[name("a")], now, out));
    assert_eq!((desk.stopped(), desk.started()), (vec![first.clone()], vec![]));
    desk.exited(&first, 143);
    desk.started_one();
    assert_eq!(desk.supervisor.status(&name("a"), desk.now).unwrap().slots[0].restarts, 0);
}

#[test]
fn a_removed_app_is_forgotten_when_nothing_of_it_runs_and_can_come_back_before() {
    let mut desk = Desk::new();
    let first = desk.up("a", service()).remove(0);
    desk.ask(|supervisor, now, out| supervisor.remove(&[name("a")], now, out));
    let refused = desk.supervisor.start(&[name("a")], desk.now, &mut Vec::new());
    assert_eq!(refused.unwrap_err().to_string(), "`a` is being removed: deploy it again");
    desk.stop(&["a"]);
    desk.exited(&first, 0);
    assert_eq!(desk.changes().last(), Some(&Change::Removed));
    assert!(desk.out.contains(&Action::Save(name("a"))));
    assert_eq!(desk.supervisor.record(&name("a")), None);
    assert_eq!(desk.supervisor.next_deadline(), None);

    let first = desk.up("a", service()).remove(0);
    desk.ask(|supervisor, now, out| supervisor.remove(&[name("a")], now, out));
    desk.deploy(&[("a", service())]).unwrap();
    desk.exited(&first, 0);
    assert_eq!(desk.started().len(), 1);
}
