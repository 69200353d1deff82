//! Millions of random requests, events and waits against a host that checks each action.
//!
//! `QYV_SUPERVISE_EVENTS` says how many events (300,000 by default), `QYV_SUPERVISE_SEED` which (1). A failure names the
//! seed of its round.

use std::collections::BTreeMap;

use qyv_spec::Name;
use qyv_spec::manifest::{Kind, Restart};
use qyv_supervise::{
    Action, Cause, Config, Desired, Event, Instance, LifeSpec, Now, Record, SlotStatus, State, Supervisor,
};

use crate::desk::{SECOND, name, spec, watched};

const APPS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const EVENTS_A_ROUND: u64 = 300;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(items.len()).unwrap();
        if end == 0 { None } else { items.get(usize::try_from(self.below(end)).unwrap()) }
    }
}

/// One instance, as the host sees it.
#[derive(Default)]
struct Held {
    started: bool,
    ready: bool,
    stop_asked: bool,
    overlap: bool,
    probe: Option<u64>,
}

struct Host {
    random: Random,
    seed: u64,
    supervisor: Supervisor,
    now: Now,
    held: BTreeMap<Instance, Held>,
    gone: Vec<Instance>,
    stored: BTreeMap<Name, Record>,
    specs: BTreeMap<(Name, u64), LifeSpec>,
    generation: u64,
    lease_max: u64,
}

#[test]
fn whatever_happens_the_rules_hold() {
    let number = |key: &str, default| std::env::var(key).map_or(default, |text| text.parse().unwrap());
    let events: u64 = number("QYV_SUPERVISE_EVENTS", 300_000);
    let first: u64 = number("QYV_SUPERVISE_SEED", 1);
    for seed in first..first + events / EVENTS_A_ROUND {
        let mut host = Host::new(seed);
        for _ in 0..EVENTS_A_ROUND {
            host.step();
            host.check();
        }
        host.stop_everything();
    }
}

impl Host {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            seed,
            supervisor: Supervisor::new(Config { seed, first_lease: 1 }),
            now: Now { monotonic: SECOND, wall: 1_800_000_000 },
            held: BTreeMap::new(),
            gone: Vec::new(),
            stored: BTreeMap::new(),
            specs: BTreeMap::new(),
            generation: 0,
            lease_max: 0,
        }
    }

    fn app(&mut self) -> Name {
        name(self.random.pick(&APPS).unwrap())
    }

    fn some(&mut self) -> Vec<Name> {
        let known: Vec<Name> = self.supervisor.names().cloned().collect();
        known.into_iter().filter(|_| self.random.chance(3)).collect()
    }

    fn instance(&mut self) -> Option<Instance> {
        let held: Vec<Instance> = self.held.keys().cloned().collect();
        self.random.pick(&held).cloned()
    }

    fn spec(&mut self) -> LifeSpec {
        let kind = *self.random.pick(&[Kind::Command, Kind::Service, Kind::Http]).unwrap();
        let mut made = spec(kind);
        made.restart = *self.random.pick(&[Restart::Never, Restart::OnFailure, Restart::Always]).unwrap();
        made.depends_on = APPS.iter().filter(|_| self.random.chance(5)).map(|text| name(text)).collect();
        made.replicas = u32::try_from(self.random.below(4)).unwrap();
        made.stop_grace_ms = self.random.below(3) * 5000;
        made.overlap = kind != Kind::Command && self.random.chance(2);
        if self.random.chance(3) {
            made = watched(made);
        }
        if kind == Kind::Command && self.random.chance(3) {
            made.schedule = Some("*/3 * * * *".parse().unwrap());
        }
        made
    }

    fn step(&mut self) {
        let mut out = Vec::new();
        let (now, app, names) = (self.now, self.app(), self.some());
        // Requests that are refused must do nothing; that they are refused is the matter of other tests.
        match self.random.below(20) {
            0 | 1 => {
                self.generation += 1;
                let mut set = vec![(app, self.generation, self.spec())];
                let second = self.app();
                if second != set[0].0 && self.random.chance(3) {
                    set.push((second, self.generation, self.spec()));
                }
                let deployed = self.supervisor.deploy(set.clone(), now, &mut out);
                if deployed.is_err() {
                    assert_eq!(out, [], "seed {}: refused and done", self.seed);
                }
                self.specs.extend(set.into_iter().map(|(name, generation, spec)| ((name, generation), spec)));
            }
            2 => drop(self.supervisor.stop(&names, now, &mut out)),
            3 => drop(self.supervisor.start(&names, now, &mut out)),
            4 => drop(self.supervisor.restart(&names, now, &mut out)),
            5 => drop(self.supervisor.remove(&names, now, &mut out)),
            6 => {
                let replicas = u32::try_from(self.random.below(4)).unwrap();
                drop(self.supervisor.scale(&app, replicas, now, &mut out));
            }
            7 if self.random.chance(4) => return self.reborn(),
            8 => {
                if let Some(event) = self.stale() {
                    self.supervisor.handle(event, now, &mut out);
                    assert_eq!(out, [], "seed {}", self.seed);
                }
            }
            9 => {
                let wall = self.now.wall.saturating_add(self.random.below(40_000));
                self.now.wall = wall.saturating_sub(20_000);
            }
            10..=12 => {
                let wait = match self.random.below(3) {
                    0 => 0,
                    1 => self.random.below(SECOND),
                    _ => self.random.below(100 * SECOND),
                };
                let soon = self.supervisor.next_deadline().filter(|_| self.random.chance(2));
                let at = soon.unwrap_or(now.monotonic + wait).max(now.monotonic);
                self.now.wall += (at - now.monotonic) / SECOND;
                self.now.monotonic = at;
                self.supervisor.tick(self.now, &mut out);
            }
            _ => {
                if let Some(event) = self.event() {
                    self.supervisor.handle(event, now, &mut out);
                }
            }
        }
        self.obey(out);
    }

    /// Something that may happen to an instance that is held.
    fn event(&mut self) -> Option<Event> {
        let instance = self.instance()?;
        let choice = self.random.below(8);
        let held = self.held.get_mut(&instance)?;
        if !held.started && choice < 5 {
            held.started = true;
            return Some(Event::Started(instance));
        }
        if let Some(id) = held.probe.take_if(|_| choice < 5) {
            return Some(Event::Probed(instance, id, choice != 0));
        }
        if held.started && !held.ready && choice < 5 {
            held.ready = true;
            return Some(Event::Ready(instance));
        }
        if choice < 5 && !held.stop_asked {
            return None;
        }
        let held = self.held.remove(&instance)?;
        self.gone.push(instance.clone());
        Some(match choice {
            _ if !held.started => Event::StartFailed(instance, "no".into()),
            6 => Event::Lost(instance),
            7 => Event::Exited(instance, Cause::Trap),
            _ => Event::Exited(instance, Cause::Exited(i32::from(choice == 5))),
        })
    }

    /// Something about an instance that is gone, or never was.
    fn stale(&mut self) -> Option<Event> {
        let gone = std::mem::take(&mut self.gone);
        let mut instance = self.random.pick(&gone).cloned();
        self.gone = gone;
        if self.random.chance(3) {
            instance = self.instance();
            let instance = instance.as_mut()?;
            match self.random.below(4) {
                0 => instance.lease += 1_000_000,
                1 => instance.generation += 1_000_000,
                2 => instance.slot += 7,
                _ => instance.app = name("nobody"),
            }
        }
        let instance = instance?;
        Some(match self.random.below(6) {
            0 => Event::Started(instance),
            1 => Event::StartFailed(instance, String::new()),
            2 => Event::Ready(instance),
            3 => Event::Exited(instance, Cause::Killed),
            4 => Event::Lost(instance),
            _ => Event::Probed(instance, 1, false),
        })
    }

    /// The daemon ends and returns; some instances have ended meanwhile, and nobody saw it.
    fn reborn(&mut self) {
        let config = Config { seed: self.seed, first_lease: self.lease_max + 1 };
        self.supervisor = Supervisor::restore(config, self.stored.values().cloned()).unwrap();
        for (instance, mut held) in std::mem::take(&mut self.held) {
            // Nobody waits for an answer of before.
            held.probe = None;
            let lives = held.started && !self.random.chance(3);
            if lives && self.supervisor.adopt(instance.clone(), held.ready, self.now) {
                self.held.insert(instance, Held { stop_asked: false, ..held });
            } else {
                self.gone.push(instance);
            }
        }
        let mut out = Vec::new();
        self.supervisor.tick(self.now, &mut out);
        self.obey(out);
    }

    /// Does what it is told, and looks whether it may be.
    fn obey(&mut self, actions: Vec<Action>) {
        let seed = self.seed;
        for action in actions {
            match action {
                Action::Save(app) => {
                    match self.supervisor.record(&app) {
                        Some(record) => self.stored.insert(app, record),
                        None => self.stored.remove(&app),
                    };
                }
                Action::Start(instance) => {
                    assert!(instance.lease > self.lease_max, "seed {seed}: lease given twice: {instance:?}");
                    self.lease_max = instance.lease;
                    let overlap = self.specs[&(instance.app.clone(), instance.generation)].overlap;
                    let same: Vec<_> = self
                        .held
                        .iter()
                        .filter(|(other, _)| (&other.app, other.slot) == (&instance.app, instance.slot))
                        .collect();
                    let beside = same.iter().all(|(other, held)| {
                        overlap && held.overlap && other.generation != instance.generation
                    });
                    assert!(same.len() < 2 && beside, "seed {seed}: two leases of one slot: {instance:?}");
                    let new = self.held.insert(instance, Held { overlap, ..Held::default() });
                    assert!(new.is_none());
                }
                Action::Stop(instance) => {
                    let held = self.held.get_mut(&instance);
                    let held = held.unwrap_or_else(|| panic!("seed {seed}: stops nobody: {instance:?}"));
                    assert!(!held.stop_asked, "seed {seed}: asked twice: {instance:?}");
                    held.stop_asked = true;
                }
                Action::Kill(instance) => {
                    let asked = self.held.get(&instance).is_some_and(|held| held.stop_asked);
                    assert!(asked, "seed {seed}: kills without asking: {instance:?}");
                }
                Action::Probe { instance, id, .. } => {
                    let held = self.held.get_mut(&instance);
                    let held = held.unwrap_or_else(|| panic!("seed {seed}: probes nobody: {instance:?}"));
                    assert!(held.started && !held.stop_asked, "seed {seed}: probes {instance:?}");
                    held.probe = Some(id);
                }
                Action::Announce(..) => {}
            }
        }
    }

    /// Nobody is forgotten, and nothing grows.
    fn check(&self) {
        let seed = self.seed;
        let deadline = self.supervisor.next_deadline();
        assert!(deadline.is_none_or(|at| at > self.now.monotonic), "seed {seed}: a deadline that is past");
        for name in self.supervisor.names() {
            let status = self.supervisor.status(name, self.now).unwrap();
            for slot in &status.slots {
                self.check_slot(name, slot, deadline);
            }
            let saved = self.stored.get(name).map(|record| (record.desired, record.deployed.generation));
            assert_eq!(saved, Some((status.desired, status.generation)), "seed {seed}: `{name}` not saved");
        }
        for instance in self.held.keys() {
            assert!(instance.slot < 4, "seed {seed}");
            let status = self.supervisor.status(&instance.app, self.now);
            let slots = status.map(|status| status.slots).unwrap_or_default();
            assert!(slots.iter().any(|slot| slot.slot == instance.slot), "seed {seed}: forgot {instance:?}");
        }
    }

    fn check_slot(&self, name: &Name, slot: &SlotStatus, deadline: Option<u64>) {
        let of = |(instance, _): &(&Instance, &Held)| (&instance.app, instance.slot) == (name, slot.slot);
        let mut held = self.held.iter().filter(of);
        let alive = match &slot.state {
            // An answer is to come.
            State::Starting => held.any(|(_, held)| !held.started),
            State::Stopping | State::Stuck { .. } => {
                deadline.is_some() && held.any(|(_, held)| held.stop_asked)
            }
            State::Running | State::Ready | State::Unhealthy => held.any(|(_, held)| held.started),
            // Time is to come.
            State::BackingOff { .. } | State::CrashLooping { .. } | State::Scheduled { .. } => {
                deadline.is_some() && held.next().is_none()
            }
            // Somebody else is to come.
            State::Waiting(other) => {
                held.next().is_none()
                    && self.supervisor.status(other, self.now).is_none_or(|status| !status.ready)
            }
            State::Stopped | State::Ended(_) => held.next().is_none(),
        };
        assert!(alive, "seed {}: `{name}` is forgotten: {slot:?}", self.seed);
    }

    /// A host that answers no stop, only a kill: all comes to rest in bounded time.
    fn stop_everything(&mut self) {
        let names: Vec<Name> = self.supervisor.names().cloned().collect();
        let remove = self.random.chance(2);
        let mut out = Vec::new();
        let asked = if remove {
            self.supervisor.remove(&names, self.now, &mut out)
        } else {
            self.supervisor.stop(&names, self.now, &mut out)
        };
        assert_eq!(asked, Ok(()));
        for _ in 0..200 {
            let kills: Vec<Instance> = out
                .iter()
                .filter_map(
                    |action| if let Action::Kill(instance) = action { Some(instance.clone()) } else { None },
                )
                .collect();
            self.obey(std::mem::take(&mut out));
            for instance in kills {
                if self.held.remove(&instance).is_some() {
                    self.supervisor.handle(Event::Exited(instance, Cause::Killed), self.now, &mut out);
                }
            }
            if !out.is_empty() {
                continue;
            }
            let Some(at) = self.supervisor.next_deadline() else { break };
            self.now.monotonic = at;
            self.supervisor.tick(self.now, &mut out);
        }
        assert!(self.held.is_empty() && out.is_empty(), "seed {}: a stop does not end", self.seed);
        assert_eq!(self.supervisor.next_deadline(), None, "seed {}", self.seed);
        for name in &names {
            let status = self.supervisor.status(name, self.now);
            assert_eq!(status.is_none(), remove || status.is_none(), "seed {}", self.seed);
            assert!(
                status.is_none_or(|status| status.state == State::Stopped && status.desired == Desired::Stopped),
                "seed {}: `{name}` does not rest",
                self.seed
            );
        }
    }
}
