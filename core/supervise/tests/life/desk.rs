//! A desk to try a supervisor at: a clock that is moved by hand, and short ways to say what happens.

use qyv_spec::Name;
use qyv_spec::app::{AppHealth, Probe};
use qyv_spec::manifest::{Kind, Restart};
use qyv_supervise::{Action, Cause, Change, Config, Event, Instance, LifeSpec, Now, Refused, Supervisor};

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn spec(kind: Kind) -> LifeSpec {
    LifeSpec {
        kind,
        depends_on: Vec::new(),
        restart: if kind == Kind::Command { Restart::Never } else { Restart::OnFailure },
        health: None,
        schedule: None,
        stop_grace_ms: 10_000,
        replicas: 1,
        instances_max: 8,
        overlap: kind != Kind::Command,
    }
}

pub(crate) fn service() -> LifeSpec {
    spec(Kind::Service)
}

pub(crate) fn after(names: &[&str], spec: LifeSpec) -> LifeSpec {
    LifeSpec { depends_on: names.iter().map(|text| name(text)).collect(), ..spec }
}

pub(crate) fn watched(spec: LifeSpec) -> LifeSpec {
    let probe = Probe::Exec(vec!["--check".into()]);
    let health = AppHealth { probe, interval_ms: 10_000, timeout_ms: 2000, retries: 2, start_period_ms: 0 };
    LifeSpec { health: Some(health), ..spec }
}

pub(crate) struct Desk {
    pub(crate) supervisor: Supervisor,
    pub(crate) now: Now,
    /// What the last call made the host do.
    pub(crate) out: Vec<Action>,
    generation: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::over(Supervisor::new(Config { seed: 1, first_lease: 1 }))
    }

    pub(crate) fn over(supervisor: Supervisor) -> Self {
        let now = Now { monotonic: 1000 * SECOND, wall: 1_800_000_000 };
        Self { supervisor, now, out: Vec::new(), generation: 0 }
    }

    pub(crate) fn deploy(&mut self, set: &[(&str, LifeSpec)]) -> Result<(), Refused> {
        self.generation += 1;
        let set = set.iter().map(|(text, spec)| (name(text), self.generation, spec.clone())).collect();
        self.out.clear();
        self.supervisor.deploy(set, self.now, &mut self.out)
    }

    /// Deploys one app, starts all that it may start, and makes it ready.
    pub(crate) fn up(&mut self, text: &str, spec: LifeSpec) -> Vec<Instance> {
        self.deploy(&[(text, spec)]).unwrap();
        let started = self.started();
        for instance in &started {
            self.ready(instance);
        }
        started
    }

    pub(crate) fn ask(
        &mut self,
        act: impl FnOnce(&mut Supervisor, Now, &mut Vec<Action>) -> Result<(), Refused>,
    ) {
        self.out.clear();
        act(&mut self.supervisor, self.now, &mut self.out).unwrap();
    }

    pub(crate) fn stop(&mut self, names: &[&str]) {
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        self.ask(|supervisor, now, out| supervisor.stop(&names, now, out));
    }

    pub(crate) fn start(&mut self, text: &str) {
        self.ask(|supervisor, now, out| supervisor.start(&[name(text)], now, out));
    }

    pub(crate) fn say(&mut self, event: Event) {
        self.out.clear();
        self.supervisor.handle(event, self.now, &mut self.out);
    }

    pub(crate) fn ready(&mut self, instance: &Instance) {
        self.say(Event::Started(instance.clone()));
        let probes = std::mem::take(&mut self.out);
        self.say(Event::Ready(instance.clone()));
        self.out.splice(..0, probes);
    }

    pub(crate) fn exited(&mut self, instance: &Instance, code: i32) {
        self.say(Event::Exited(instance.clone(), Cause::Exited(code)));
    }

    /// Lets time pass, with a tick at each deadline.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.out.clear();
        let end = self.now.monotonic + ns;
        loop {
            let at = self.supervisor.next_deadline().filter(|at| *at <= end).unwrap_or(end);
            self.now.wall += at / SECOND - self.now.monotonic / SECOND;
            self.now.monotonic = at;
            self.supervisor.tick(self.now, &mut self.out);
            if at == end {
                break;
            }
        }
    }

    pub(crate) fn started(&self) -> Vec<Instance> {
        let start = |action: &Action| {
            if let Action::Start(instance) = action { Some(instance.clone()) } else { None }
        };
        self.out.iter().filter_map(start).collect()
    }

    #[track_caller]
    pub(crate) fn started_one(&self) -> Instance {
        let started = self.started();
        assert_eq!(started.len(), 1, "{:?}", self.out);
        started[0].clone()
    }

    pub(crate) fn stopped(&self) -> Vec<Instance> {
        let stop =
            |action: &Action| if let Action::Stop(instance) = action { Some(instance.clone()) } else { None };
        self.out.iter().filter_map(stop).collect()
    }

    pub(crate) fn killed(&self) -> usize {
        self.out.iter().filter(|action| matches!(action, Action::Kill(_))).count()
    }

    pub(crate) fn probe(&self) -> Option<(Instance, u64)> {
        self.out.iter().find_map(|action| match action {
            Action::Probe { instance, id, .. } => Some((instance.clone(), *id)),
            _ => None,
        })
    }

    /// Answers the probe that the last call asked for.
    #[track_caller]
    pub(crate) fn answer(&mut self, ok: bool) {
        let (instance, id) = self.probe().unwrap();
        self.say(Event::Probed(instance, id, ok));
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        let change = |action: &Action| {
            if let Action::Announce(_, change) = action { Some(change.clone()) } else { None }
        };
        self.out.iter().filter_map(change).collect()
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str, state: &str) {
        let status = self.supervisor.status(&name(text), self.now);
        let shown = status.map(|status| status.state.to_string());
        assert_eq!(shown.as_deref(), Some(state), "{text}; {:?}", self.out);
    }
}
