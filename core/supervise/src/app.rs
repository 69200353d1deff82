//! One app: what is wanted of it, its slots, and what they amount to.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use qyv_spec::Name;
use qyv_spec::manifest::Restart;

use crate::cron::Timer;
use crate::event::{Action, Cause, Change, Event, Instance, WHY_BYTES_MAX};
use crate::record::{Deployed, Desired, Record};
use crate::slot::{Context, Next, Phase, Plan, Run, Slot, Why, fresh};
use crate::spec::LifeSpec;
use crate::state::{Outcome, SlotStatus, State, Status};

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: Name,
    pub(crate) desired: Desired,
    /// The generation that all slots shall have.
    pub(crate) target: Deployed,
    /// While one generation replaces another that works: the latter.
    pub(crate) rollout: Option<Deployed>,
    pub(crate) generation_max: u64,
    pub(crate) replicas: u32,
    /// Those below `replicas`, and those above that have not ended yet.
    pub(crate) slots: BTreeMap<u32, Slot>,
    timer: Option<Timer>,
    skipped: u64,
    /// Apps that are stopped with this one and before it, as they depend on it.
    pub(crate) stop_after: Vec<Name>,
    /// Whether those that wait for it may start.
    pub(crate) ready: bool,
    /// What [`App::is_lingering`] said when it was last compared with what is wanted.
    pub(crate) lingers: bool,
    pub(crate) deadline: Option<u64>,
    /// Whether its record is another than the one last saved.
    pub(crate) changed: bool,
}

impl App {
    pub(crate) fn new(name: Name, target: Deployed, wall: u64) -> Self {
        let timer = target.spec.schedule.as_ref().map(|schedule| Timer::new(schedule, wall));
        Self {
            name,
            desired: Desired::Running,
            rollout: None,
            generation_max: target.generation,
            replicas: target.spec.replicas,
            target,
            slots: BTreeMap::new(),
            timer,
            skipped: 0,
            stop_after: Vec::new(),
            ready: false,
            lingers: false,
            deadline: None,
            changed: true,
        }
    }

    pub(crate) fn restored(record: Record) -> Self {
        let app = Self::new(record.name, record.deployed, 0);
        let ended = record.ended.into_iter().filter(|(slot, _)| *slot < record.replicas);
        let slot = |(index, outcome)| {
            let slot = Slot { next: Next::Rest, outcome: Some(outcome), ..Slot::new(&app.target.spec) };
            (index, slot)
        };
        Self {
            desired: record.desired,
            rollout: record.fallback,
            generation_max: record.generation_max.max(app.generation_max),
            replicas: record.replicas,
            slots: ended.map(slot).collect(),
            timer: record.timer.or(app.timer),
            skipped: record.skipped,
            changed: false,
            ..app
        }
    }

    pub(crate) fn record(&self) -> Record {
        let ended = |(index, slot): (&u32, &Slot)| {
            let rests = slot.is_empty() && slot.next == Next::Rest;
            Some((*index, slot.outcome.clone().filter(|_| rests)?))
        };
        Record {
            name: self.name.clone(),
            desired: self.desired,
            deployed: self.target.clone(),
            fallback: self.rollout.clone(),
            generation_max: self.generation_max,
            replicas: self.replicas,
            ended: self.slots.iter().filter_map(ended).collect(),
            timer: self.timer,
            skipped: self.skipped,
        }
    }

    /// Takes a new generation. The one before is kept until the new one is ready, if it works.
    pub(crate) fn deploy(&mut self, target: Deployed, wall: u64) {
        let works =
            self.desired == Desired::Running && self.slots.values().flat_map(Slot::runs).any(Run::is_ready);
        let before = self.rollout.take().or_else(|| works.then(|| self.target.clone()));
        self.rollout = before.filter(|_| !target.spec.ends());
        self.generation_max = target.generation;
        self.replicas = target.spec.replicas;
        let timer = target.spec.schedule.as_ref().map(|schedule| Timer::new(schedule, wall));
        self.timer = timer.map(|timer| timer.after(self.timer));
        self.desired = Desired::Running;
        self.stop_after.clear();
        self.slots.values_mut().for_each(|slot| slot.renew(&target.spec));
        self.target = target;
        self.changed = true;
    }

    /// Ends a stop, and starts at once what rests or waits for its next try.
    pub(crate) fn start(&mut self) {
        self.desired = Desired::Running;
        self.stop_after.clear();
        for slot in self.slots.values_mut().filter(|slot| slot.is_empty()) {
            slot.renew(&self.target.spec);
        }
        self.changed = true;
    }

    /// Stops what runs, so that it starts again.
    pub(crate) fn restart(&mut self, context: &mut Context<'_>) {
        self.start();
        for slot in self.slots.values_mut() {
            slot.renew(&self.target.spec);
            slot.next = Next::Now;
            slot.runs_mut().for_each(|run| run.stop(Why::Unwanted, context));
        }
    }

    /// Stops it after those of `stop_after`. The newest generation is the one that a start will start.
    pub(crate) fn stop(&mut self, desired: Desired, stop_after: Vec<Name>) {
        if self.desired != Desired::Removed {
            self.desired = desired;
        }
        self.stop_after = stop_after;
        self.rollout = None;
        self.changed = true;
    }

    /// Takes over a run that the host found; `false` when there is no room for it.
    pub(crate) fn adopt(&mut self, instance: Instance, ready: bool, now: u64) -> bool {
        let mut known = core::iter::once(&self.target).chain(&self.rollout);
        let known = known.find(|known| known.generation == instance.generation);
        // Of a generation that is no longer known, nothing says that it may overlap with another.
        let spec = known.map_or_else(
            || Arc::new(LifeSpec { overlap: false, ..self.spec().clone() }),
            |known| Arc::clone(&known.spec),
        );
        let slot = self.slots.entry(instance.slot).or_insert_with(|| Slot::new(&self.target.spec));
        let beside = |run: &Run| run.generation() != instance.generation && run.spec.overlap && spec.overlap;
        let place = match (&slot.holder, &slot.other) {
            (None, None) => &mut slot.holder,
            (Some(holder), None) if beside(holder) => &mut slot.other,
            _ => return false,
        };
        self.generation_max = self.generation_max.max(instance.generation);
        *place = Some(Run::adopt(instance, &spec, ready, now));
        slot.next = fresh(&self.target.spec);
        true
    }

    pub(crate) fn knows(&self, instance: &Instance) -> bool {
        let slot = self.slots.get(&instance.slot);
        slot.is_some_and(|slot| slot.runs().any(|run| run.instance == *instance))
    }

    /// Takes what happened to one of its instances.
    pub(crate) fn handle(&mut self, event: Event, context: &mut Context<'_>) {
        let now = context.now.monotonic;
        match event {
            Event::Exited(instance, cause) => self.gone(&instance, cause, context),
            Event::Lost(instance) => self.gone(&instance, Cause::Lost, context),
            Event::StartFailed(instance, why) => {
                self.gone(&instance, Cause::NotStarted(why), context);
            }
            Event::Started(instance) => self.with(&instance, |run| run.started(now)),
            Event::Ready(instance) => self.with(&instance, |run| run.listens(now)),
            Event::Probed(instance, id, ok) => self.with(&instance, |run| run.probed(id, ok, context)),
        }
    }

    fn with(&mut self, instance: &Instance, act: impl FnOnce(&mut Run)) {
        let slot = self.slots.get_mut(&instance.slot);
        slot.and_then(|slot| slot.runs_mut().find(|run| run.instance == *instance)).map(act);
    }

    fn gone(&mut self, instance: &Instance, cause: Cause, context: &mut Context<'_>) {
        let Some(slot) = self.slots.get_mut(&instance.slot) else { return };
        let Some(run) = slot.take(instance) else { return };
        let cause = match run.phase {
            Phase::Stopping { why: Why::Unwanted, .. } => return,
            Phase::Stopping { why: Why::Unhealthy, .. } => Cause::Unhealthy,
            _ => shortened(cause),
        };
        // What an older generation did last says nothing of the one to come.
        if run.generation() != self.target.generation {
            return;
        }
        // The loss of its process is not its fault, until it happens again and again.
        let mishap =
            cause == Cause::Lost && run.spec.restart != Restart::Never && !slot.backoff.is_crash_loop();
        if self.rollout.is_some() && !run.was_ready && !mishap {
            self.fall_back(cause, context);
            return;
        }
        slot.ended(&run.spec, cause, run.ran(context.now.monotonic), context);
        self.changed |= slot.next == Next::Rest;
    }

    /// Compares the app with what is wanted of it, and makes the next steps.
    pub(crate) fn reconcile(&mut self, context: &mut Context<'_>) {
        let running = self.desired == Desired::Running;
        self.slots.values_mut().for_each(|slot| slot.advance(context));
        if running {
            for index in 0..self.replicas {
                self.slots.entry(index).or_insert_with(|| Slot::new(&self.target.spec));
            }
            self.look_at_the_clock(context);
            self.review_rollout(context);
        }
        let turn = self.turn();
        for (index, slot) in &mut self.slots {
            let wanted = running && *index < self.replicas;
            let (name, target) = (&self.name, &self.target);
            slot.steer(*index, &Plan { name, target, wanted, turn: turn == Some(*index) }, context);
        }
        self.slots.retain(|index, slot| *index < self.replicas || !slot.is_empty());
        self.ready = self.amounts_to_ready();
        self.lingers = self.is_lingering();
        self.deadline = self.next_deadline(context);
        self.announce(context);
    }

    /// Whether those that it depends on must wait for its end, when they are stopped with it. Not for ever: what does not
    /// end when it is killed holds up nobody.
    pub(crate) fn is_lingering(&self) -> bool {
        let mut runs = self.slots.values().flat_map(Slot::runs);
        self.desired != Desired::Running && runs.any(|run| !run.is_stuck())
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.desired == Desired::Removed && self.slots.values().all(Slot::is_empty)
    }

    fn look_at_the_clock(&mut self, context: &mut Context<'_>) {
        let (Some(timer), Some(schedule)) = (&mut self.timer, &self.target.spec.schedule) else { return };
        if !timer.due(schedule, context.now.wall) {
            return;
        }
        self.changed = true;
        let busy = self.slots.values().any(|slot| !slot.is_empty() || slot.next != Next::Rest);
        if busy {
            self.skipped = self.skipped.saturating_add(1);
            context.out.push(Action::Announce(self.name.clone(), Change::Skipped(self.skipped)));
        } else {
            self.slots.values_mut().for_each(|slot| slot.next = Next::Now);
        }
    }

    /// A command is ready when all its slots are done, others when one slot is ready.
    fn amounts_to_ready(&self) -> bool {
        if self.target.spec.ends() {
            let done = |index| self.slots.get(&index).is_some_and(|slot| slot.outcome == Some(Outcome::Done));
            self.replicas > 0 && (0..self.replicas).all(done)
        } else {
            self.slots.values().flat_map(Slot::runs).any(Run::is_ready)
        }
    }

    fn next_deadline(&self, context: &Context<'_>) -> Option<u64> {
        let now = context.now.monotonic;
        let running = self.desired == Desired::Running;
        let clock =
            self.timer.as_ref().filter(|_| running).and_then(|timer| timer.pause_ns(context.now.wall));
        let clock = clock.map(|pause| now.saturating_add(pause));
        let slots = self.slots.values().filter_map(Slot::deadline);
        // What is past has been done, or waits for something else than time.
        slots.chain(clock).chain(self.rollout_deadline()).filter(|at| *at > now).min()
    }

    fn announce(&mut self, context: &mut Context<'_>) {
        let now = context.now.monotonic;
        let news: Vec<_> = self
            .slots
            .iter()
            .map(|(index, slot)| {
                (*index, self.generation_of(slot), self.state(slot, context.waiting.as_ref(), now))
            })
            .collect();
        for ((index, generation, state), slot) in news.into_iter().zip(self.slots.values_mut()) {
            let announced = Some((generation, state.word()));
            if slot.announced != announced {
                slot.announced = announced;
                let change = Change::State(index, generation, state);
                context.out.push(Action::Announce(self.name.clone(), change));
            }
        }
    }

    fn generation_of(&self, slot: &Slot) -> u64 {
        slot.holder.as_ref().map_or(self.target.generation, Run::generation)
    }

    fn state(&self, slot: &Slot, waiting: Option<&Name>, now: u64) -> State {
        if let Some(run) = &slot.holder {
            return match run.phase {
                Phase::Starting => State::Starting,
                Phase::Running if run.unhealthy => State::Unhealthy,
                Phase::Running => State::Running,
                Phase::Ready => State::Ready,
                Phase::Stopping { kills: kills @ 2.., .. } => State::Stuck { kills },
                Phase::Stopping { .. } => State::Stopping,
            };
        }
        if self.desired != Desired::Running {
            return State::Stopped;
        }
        match (slot.next, waiting) {
            (Next::At(at), _) if at > now => {
                let wait_ms = (at - now).div_ceil(1_000_000);
                if slot.backoff.is_crash_loop() {
                    State::CrashLooping { restarts: slot.restarts, wait_ms }
                } else {
                    State::BackingOff { wait_ms }
                }
            }
            (Next::Rest, _) => match (&self.timer, &slot.outcome) {
                (Some(timer), _) => State::Scheduled { minute: timer.next() },
                (None, Some(outcome)) => State::Ended(outcome.clone()),
                (None, None) => State::Stopped,
            },
            (_, Some(name)) => State::Waiting(name.clone()),
            (_, None) => State::Starting,
        }
    }

    pub(crate) fn status(&self, waiting: Option<&Name>, now: u64) -> Status {
        let slot = |(index, slot): (&u32, &Slot)| SlotStatus {
            slot: *index,
            generation: self.generation_of(slot),
            state: self.state(slot, waiting, now),
            restarts: slot.restarts,
            last: slot.outcome.clone(),
        };
        let slots: Vec<SlotStatus> = self.slots.iter().map(slot).collect();
        let worst = slots.iter().map(|slot| &slot.state).min_by_key(|state| state.rank());
        Status {
            state: worst.cloned().unwrap_or(State::Stopped),
            desired: self.desired,
            generation: self.target.generation,
            replaces: self.rollout.as_ref().map(|kept| kept.generation),
            ready: self.ready,
            skipped: self.skipped,
            slots,
        }
    }

    pub(crate) fn spec(&self) -> &LifeSpec {
        &self.target.spec
    }
}

/// A cause with at most [`WHY_BYTES_MAX`] bytes of text.
fn shortened(mut cause: Cause) -> Cause {
    if let Cause::NotStarted(why) = &mut cause {
        why.truncate(why.floor_char_boundary(WHY_BYTES_MAX));
    }
    cause
}
