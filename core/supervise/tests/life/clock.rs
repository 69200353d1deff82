//! The clock that people set jumps, and nothing but schedules notices.

use qyv_spec::manifest::Kind;
use qyv_supervise::{Action, Cause, Event, Instance, LifeSpec, Now};

use crate::desk::{Desk, SECOND, name, service, spec, watched};

/// Numbers in a fixed order.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A time that a clock may be set to, from 1970 to the year 36,812.
    fn wall(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => 1 << 40,
            2 => self.below(1 << 33),
            near => 1_800_000_000 + near * 60 + self.below(7200),
        }
    }
}

/// Whoever was started and did not end, by what the host was told.
fn follow(alive: &mut Vec<Instance>, out: &[Action]) {
    for action in out {
        if let Action::Start(instance) = action {
            alive.push(instance.clone());
        }
    }
}

#[test]
fn deadlines_follow_the_clock_that_nobody_sets() {
    for seed in 0..200 {
        let (mut random, mut jumps) = (Random(seed), Random(seed + 1000));
        let (mut steady, mut jumping) = (Desk::new(), Desk::new());
        let slow = LifeSpec { stop_grace_ms: 3000, replicas: 2, ..watched(service()) };
        let set = [("a", slow), ("b", service()), ("c", spec(Kind::Command))];
        for desk in [&mut steady, &mut jumping] {
            desk.deploy(&set).unwrap();
        }
        let mut alive = Vec::new();
        let mut begun = 0;
        for _ in 0..200 {
            assert_eq!(steady.out, jumping.out, "seed {seed}");
            follow(&mut alive, &steady.out);
            assert_eq!(steady.supervisor.next_deadline(), jumping.supervisor.next_deadline(), "seed {seed}");
            jumping.now.wall = jumps.wall();
            let which = usize::try_from(random.below(alive.len().max(1) as u64)).unwrap();
            let instance = alive.get(which).cloned();
            let event = match (random.below(6), instance) {
                (0, Some(instance)) => Event::Ready(instance),
                (1, Some(instance)) => Event::Started(instance),
                (2, Some(instance)) => {
                    alive.retain(|other| *other != instance);
                    Event::Exited(instance, Cause::Exited(1))
                }
                (3, _) => {
                    begun += 1;
                    let replaced = LifeSpec { stop_grace_ms: 1000 + begun, ..service() };
                    for desk in [&mut steady, &mut jumping] {
                        desk.deploy(&[("b", replaced.clone())]).unwrap();
                    }
                    continue;
                }
                _ => {
                    // To the next deadline, or past it.
                    let past = random.below(20) * SECOND;
                    for desk in [&mut steady, &mut jumping] {
                        desk.out.clear();
                        let due = desk.supervisor.next_deadline().unwrap_or(desk.now.monotonic);
                        desk.now.monotonic = due.max(desk.now.monotonic) + past;
                        let Now { monotonic, wall } = desk.now;
                        desk.supervisor.tick(Now { monotonic, wall }, &mut desk.out);
                    }
                    continue;
                }
            };
            steady.say(event.clone());
            jumping.say(event);
        }
    }
}

#[test]
fn a_schedule_bears_any_time_and_runs_once_a_minute_at_most() {
    let every = LifeSpec { schedule: Some("*/2 * * * *".parse().unwrap()), ..spec(Kind::Command) };
    let leap = LifeSpec { schedule: Some("0 0 29 2 *".parse().unwrap()), ..spec(Kind::Command) };
    let mut random = Random(7);
    let mut desk = Desk::new();
    desk.deploy(&[("every", every), ("leap", leap)]).unwrap();
    let mut last = None;
    for _ in 0..5000 {
        desk.now = Now { monotonic: desk.now.monotonic + SECOND, wall: random.wall() };
        desk.out.clear();
        desk.supervisor.tick(desk.now, &mut desk.out);
        for instance in desk.started() {
            if instance.app == name("every") {
                assert_ne!(last.replace(desk.now.wall / 60), Some(desk.now.wall / 60));
            }
            desk.exited(&instance, 0);
        }
        // A clock that is set is noticed within a minute.
        let next = desk.supervisor.next_deadline().unwrap_or(u64::MAX);
        assert!(next <= desk.now.monotonic + 60 * SECOND, "{:?}", desk.now);
    }
    // There is nothing after the end of time, and no harm in it.
    let mut late = Desk::new();
    late.now.wall = u64::MAX;
    let never = LifeSpec { schedule: Some("*/2 * * * *".parse().unwrap()), ..spec(Kind::Command) };
    late.deploy(&[("never", never)]).unwrap();
    assert_eq!(late.started(), []);
    // At a time that makes sense, and later than those near it, it goes on.
    desk.now.wall = 1_900_000_000;
    let mut started = 0;
    for _ in 0..5 {
        desk.pass(60 * SECOND);
        started += desk.started().iter().filter(|instance| instance.app == name("every")).count();
    }
    assert!(started > 0);
}
