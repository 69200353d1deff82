//! One generation replaces another.

use std::slice::from_ref;

use qyv_supervise::{Cause, Change, Event, LifeSpec, PROGRESS_NS};

use crate::desk::{Desk, SECOND, name, service, watched};

fn two() -> LifeSpec {
    LifeSpec { replicas: 2, ..service() }
}

#[test]
fn with_overlap_the_new_one_is_ready_before_the_old_one_stops_a_slot_at_a_time() {
    let mut desk = Desk::new();
    let old = desk.up("a", two());
    desk.deploy(&[("a", two())]).unwrap();
    for old in &old {
        let new = desk.started_one();
        assert_eq!((new.slot, new.generation), (old.slot, 2));
        assert_eq!(desk.stopped(), []);
        desk.ready(&new);
        assert_eq!(desk.stopped(), from_ref(old));
        assert_eq!(desk.started(), []);
        desk.exited(old, 0);
    }
    assert!(desk.changes().contains(&Change::Replaced(2)));
    desk.shows("a", "ready");
}

#[test]
fn without_overlap_the_old_one_ends_first() {
    let mut desk = Desk::new();
    let alone = LifeSpec { overlap: false, ..two() };
    let old = desk.up("a", alone.clone());
    desk.deploy(&[("a", alone)]).unwrap();
    for old in &old {
        assert_eq!((desk.stopped(), desk.started()), (vec![old.clone()], vec![]));
        desk.exited(old, 0);
        let new = desk.started_one();
        assert_eq!((new.slot, new.generation), (old.slot, 2));
        desk.ready(&new);
    }
    assert!(desk.changes().contains(&Change::Replaced(2)));
}

#[test]
fn a_generation_that_does_not_become_ready_is_given_up_and_the_old_one_stays() {
    let mut desk = Desk::new();
    desk.up("a", two());
    desk.deploy(&[("a", two())]).unwrap();
    let new = desk.started_one();
    desk.exited(&new, 1);
    let kept = Change::Kept { failed: 2, kept: 1, cause: Cause::Exited(1) };
    assert_eq!(desk.changes(), from_ref(&kept));
    assert_eq!(kept.to_string(), "generation 2 did not become ready (1): kept generation 1");
    assert_eq!((desk.stopped(), desk.started()), (vec![], vec![]));
    desk.pass(1000 * SECOND);
    assert_eq!((desk.stopped(), desk.started()), (vec![], vec![]));
    let status = desk.supervisor.status(&name("a"), desk.now).unwrap();
    assert_eq!((status.generation, status.replaces, status.state.word()), (1, None, "ready"));
    // The number of the one that failed is not given again.
    desk.deploy(&[("a", two())]).unwrap();
    assert_eq!(desk.started_one().generation, 3);
}

#[test]
fn one_that_is_never_ready_or_unhealthy_before_is_given_up_too() {
    let mut desk = Desk::new();
    desk.up("a", service());
    desk.deploy(&[("a", service())]).unwrap();
    let new = desk.started_one();
    desk.say(Event::Started(new.clone()));
    desk.pass(PROGRESS_NS - 1);
    assert_eq!(desk.out, []);
    desk.pass(1);
    assert!(desk.changes().contains(&Change::Kept { failed: 2, kept: 1, cause: Cause::NotReady }));
    assert_eq!(desk.stopped(), from_ref(&new));
    desk.exited(&new, 0);
    desk.shows("a", "ready");

    desk.deploy(&[("a", watched(service()))]).unwrap();
    let new = desk.started_one();
    desk.ready(&new);
    desk.answer(false);
    desk.pass(10 * SECOND);
    desk.answer(false);
    assert!(desk.changes().contains(&Change::Kept { failed: 3, kept: 1, cause: Cause::Unhealthy }));
    assert_eq!(desk.stopped(), [new]);
}

#[test]
fn slots_that_were_replaced_already_go_back() {
    let mut desk = Desk::new();
    let old = desk.up("a", two());
    desk.deploy(&[("a", two())]).unwrap();
    let first = desk.started_one();
    desk.ready(&first);
    desk.exited(&old[0], 0);
    let second = desk.started_one();
    desk.say(Event::StartFailed(second, "out of memory".into()));
    let back = desk.started_one();
    assert_eq!((back.slot, back.generation), (0, 1));
    desk.ready(&back);
    assert_eq!(desk.stopped(), [first]);
}

#[test]
fn who_is_lost_with_its_process_is_tried_again_and_given_up_after_a_while() {
    for overlap in [true, false] {
        let mut desk = Desk::new();
        let spec = LifeSpec { overlap, ..service() };
        let old = desk.up("a", spec.clone()).remove(0);
        desk.deploy(&[("a", spec)]).unwrap();
        if !overlap {
            desk.exited(&old, 0);
        }
        let first = desk.started_one();
        desk.say(Event::Lost(first.clone()));
        assert_eq!(desk.started(), [], "not at once");
        desk.pass(SECOND);
        let second = desk.started_one();
        assert_eq!((second.generation, second.slot), (first.generation, first.slot));
        if overlap {
            // The old one goes on meanwhile, and may be lost too.
            assert_eq!(desk.stopped(), []);
            desk.say(Event::Lost(old));
            assert_eq!(desk.started(), []);
        }
        desk.ready(&second);
        desk.shows("a", "ready");
        assert_eq!(desk.supervisor.status(&name("a"), desk.now).unwrap().replaces, None);

        desk.deploy(&[("a", LifeSpec { overlap, ..service() })]).unwrap();
        if !overlap {
            desk.exited(&second, 0);
        }
        let mut lost = 0;
        while !desk.changes().iter().any(|change| matches!(change, Change::Kept { kept: 2, .. })) {
            let next = desk.started().pop();
            let Some(next) = next else { panic!("{lost} were lost: {:?}", desk.out) };
            lost += 1;
            desk.say(Event::Lost(next));
            if desk.started().is_empty()
                && desk.changes().iter().all(|change| !matches!(change, Change::Kept { .. }))
            {
                desk.pass(60 * SECOND);
            }
        }
        assert!((3..10).contains(&lost), "{lost}");
    }
}

#[test]
fn without_overlap_a_failure_starts_the_old_one_again() {
    let mut desk = Desk::new();
    let alone = LifeSpec { overlap: false, ..service() };
    let old = desk.up("a", alone.clone()).remove(0);
    desk.deploy(&[("a", alone)]).unwrap();
    desk.exited(&old, 0);
    let new = desk.started_one();
    desk.say(Event::Exited(new, Cause::Trap));
    assert_eq!(desk.started_one().generation, 1);
}

#[test]
fn what_did_not_work_is_replaced_at_once_and_without_a_way_back() {
    let mut desk = Desk::new();
    desk.deploy(&[("a", service())]).unwrap();
    let old = desk.started_one();
    desk.deploy(&[("a", service())]).unwrap();
    assert_eq!((desk.stopped(), desk.started()), (vec![old.clone()], vec![]));
    desk.exited(&old, 1);
    let new = desk.started_one();
    desk.exited(&new, 1);
    desk.pass(SECOND);
    assert_eq!(desk.started_one().generation, 2);
}

#[test]
fn a_deploy_during_a_deploy_keeps_the_last_one_that_worked() {
    let mut desk = Desk::new();
    let old = desk.up("a", service()).remove(0);
    desk.deploy(&[("a", service())]).unwrap();
    let second = desk.started_one();
    desk.deploy(&[("a", service())]).unwrap();
    assert_eq!((desk.stopped(), desk.started()), (vec![second.clone()], vec![]));
    desk.exited(&second, 0);
    let third = desk.started_one();
    assert_eq!(third.generation, 3);
    desk.exited(&third, 1);
    assert!(desk.changes().contains(&Change::Kept { failed: 3, kept: 1, cause: Cause::Exited(1) }));
    assert_eq!(desk.stopped(), []);
    desk.exited(&old, 1);
    desk.pass(SECOND);
    assert_eq!(desk.started_one().generation, 1);
}

#[test]
fn when_the_old_one_ends_meanwhile_the_new_one_takes_its_place() {
    let mut desk = Desk::new();
    let old = desk.up("a", service()).remove(0);
    desk.deploy(&[("a", service())]).unwrap();
    let new = desk.started_one();
    desk.exited(&old, 1);
    assert_eq!(desk.started(), []);
    desk.ready(&new);
    assert!(desk.changes().contains(&Change::Replaced(2)));
    assert_eq!((desk.stopped(), desk.started()), (vec![], vec![]));
}
