//! One slot of an app: whom its lease belongs to, and when it is given anew.

use alloc::sync::Arc;
use alloc::vec::Vec;

use qyv_spec::Name;
use qyv_spec::manifest::Restart;

use crate::backoff::{Backoff, Random};
use crate::event::{Action, Cause, Instance, KILL_AGAIN_MAX_NS, Now};
use crate::health::{Verdict, Watch};
use crate::record::Deployed;
use crate::rollout::PROGRESS_NS;
use crate::spec::{LifeSpec, ns};
use crate::state::Outcome;

/// What an app may use of the supervisor while it is compared with what is wanted.
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) lease: &'a mut u64,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Vec<Action>,
    /// The first app that must be ready before this one starts, and is not.
    pub(crate) waiting: Option<Name>,
    /// Whether an app that depends on this one must end before it is stopped.
    pub(crate) held: bool,
}

/// One run of a slot, from being started to being gone.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) instance: Instance,
    pub(crate) spec: Arc<LifeSpec>,
    pub(crate) phase: Phase,
    /// When its code began, or when it was asked to.
    since: u64,
    watch: Option<Watch>,
    pub(crate) was_ready: bool,
    pub(crate) unhealthy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Running,
    Ready,
    Stopping {
        why: Why,
        /// When it is killed, or killed again.
        kill_at: u64,
        kills: u32,
    },
}

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is not wanted: what it leaves behind counts for nothing.
    Unwanted,
    /// It does not work: that is a failure.
    Unhealthy,
}

impl Run {
    pub(crate) fn start(name: &Name, slot: u32, deployed: &Deployed, context: &mut Context<'_>) -> Self {
        let lease = *context.lease;
        *context.lease = lease.saturating_add(1);
        let instance = Instance { app: name.clone(), slot, generation: deployed.generation, lease };
        context.out.push(Action::Start(instance.clone()));
        Self::new(instance, &deployed.spec, Phase::Starting, context.now.monotonic)
    }

    pub(crate) fn adopt(instance: Instance, spec: &Arc<LifeSpec>, ready: bool, now: u64) -> Self {
        let phase = if ready && !spec.ends() { Phase::Ready } else { Phase::Running };
        let mut run = Self::new(instance, spec, phase, now);
        run.was_ready = phase == Phase::Ready;
        run.begin_watch(now);
        if let Some(watch) = &mut run.watch {
            watch.hurry(now);
        }
        run
    }

    fn new(instance: Instance, spec: &Arc<LifeSpec>, phase: Phase, now: u64) -> Self {
        let spec = Arc::clone(spec);
        Self { instance, spec, phase, since: now, watch: None, was_ready: false, unhealthy: false }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.instance.generation
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Stopping { .. })
    }

    /// Whether killing it has not helped.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.phase, Phase::Stopping { kills: 2.., .. })
    }

    /// How long its code has run, in nanoseconds.
    pub(crate) fn ran(&self, now: u64) -> u64 {
        if self.phase == Phase::Starting { 0 } else { now.saturating_sub(self.since) }
    }

    /// When it counts as not ready in time, while it replaces another generation.
    pub(crate) fn ready_by(&self) -> u64 {
        let start_period = self.spec.health.as_ref().map_or(0, |health| ns(health.start_period_ms));
        self.since.saturating_add(PROGRESS_NS).saturating_add(start_period)
    }

    pub(crate) fn started(&mut self, now: u64) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Running;
            self.since = now;
            self.begin_watch(now);
        }
    }

    /// It listens.
    pub(crate) fn listens(&mut self, now: u64) {
        self.started(now);
        match &mut self.watch {
            Some(watch) => watch.hurry(now),
            None => self.become_ready(),
        }
    }

    pub(crate) fn probed(&mut self, id: u64, ok: bool, context: &mut Context<'_>) {
        let (Some(watch), Some(health)) = (&mut self.watch, &self.spec.health) else { return };
        let verdict = watch.answer(health, id, ok, context.now.monotonic);
        self.judge(verdict, context);
    }

    /// Does what time has made due: probes, kills.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) {
        let now = context.now.monotonic;
        if let Phase::Stopping { kill_at, kills, .. } = &mut self.phase {
            if *kill_at <= now {
                let pause = 1_000_000_000_u64.saturating_mul(1_u64.checked_shl(*kills).unwrap_or(u64::MAX));
                *kill_at = now.saturating_add(pause.min(KILL_AGAIN_MAX_NS));
                *kills = kills.saturating_add(1);
                context.out.push(Action::Kill(self.instance.clone()));
            }
            return;
        }
        let (Some(watch), Some(health)) = (&mut self.watch, &self.spec.health) else { return };
        let verdict = watch.expire(health, now);
        if let Some(id) = watch.due(health, now) {
            let timeout_ns = ns(health.timeout_ms);
            context.out.push(Action::Probe { instance: self.instance.clone(), id, timeout_ns });
        }
        self.judge(verdict, context);
    }

    /// Asks it to end. The time to do so is counted from the first time that it is asked.
    pub(crate) fn stop(&mut self, why: Why, context: &mut Context<'_>) {
        if let Phase::Stopping { why: before, .. } = &mut self.phase {
            if why == Why::Unwanted {
                *before = why;
            }
            return;
        }
        let kill_at = context.now.monotonic.saturating_add(ns(self.spec.stop_grace_ms));
        self.phase = Phase::Stopping { why, kill_at, kills: 0 };
        context.out.push(Action::Stop(self.instance.clone()));
        // Without grace the kill follows at once.
        self.advance(context);
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Stopping { kill_at, .. } => Some(kill_at),
            _ => self.watch.as_ref().map(Watch::deadline),
        }
    }

    fn begin_watch(&mut self, now: u64) {
        self.watch = self.spec.health.as_ref().map(|health| Watch::new(health, now));
    }

    fn become_ready(&mut self) {
        if self.phase == Phase::Running && !self.spec.ends() {
            self.phase = Phase::Ready;
            self.was_ready = true;
        }
    }

    fn judge(&mut self, verdict: Verdict, context: &mut Context<'_>) {
        match verdict {
            _ if self.is_leaving() => {}
            Verdict::Open => {}
            Verdict::Healthy => {
                self.unhealthy = false;
                self.become_ready();
            }
            Verdict::Unhealthy => {
                self.unhealthy = true;
                if self.spec.restart == Restart::Never {
                    self.phase = Phase::Running;
                } else {
                    self.stop(Why::Unhealthy, context);
                }
            }
        }
    }
}

/// When a slot that nobody holds is given anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once.
    Now,
    /// At this moment, after a failure.
    At(u64),
    /// Not before something is asked, or the clock says so.
    Rest,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Who has the lease.
    pub(crate) holder: Option<Run>,
    /// Beside the holder and of another generation: who gets the lease next, or who had it before and is leaving.
    pub(crate) other: Option<Run>,
    pub(crate) next: Next,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) backoff: Backoff,
    pub(crate) restarts: u64,
    /// What was announced last.
    pub(crate) announced: Option<(u64, &'static str)>,
}

/// What is wanted of a slot.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a Name,
    pub(crate) target: &'a Deployed,
    /// Whether it shall run at all.
    pub(crate) wanted: bool,
    /// Whether it is this slot's turn to give up a generation that works.
    pub(crate) turn: bool,
}

impl Slot {
    pub(crate) fn new(target: &LifeSpec) -> Self {
        let (next, backoff) = (fresh(target), Backoff::default());
        Self { holder: None, other: None, next, outcome: None, backoff, restarts: 0, announced: None }
    }

    /// Forgets what was before: a new generation, or a person who says start.
    pub(crate) fn renew(&mut self, target: &LifeSpec) {
        self.next = fresh(target);
        self.outcome = None;
        self.backoff = Backoff::default();
        self.restarts = 0;
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.holder.iter().chain(&self.other)
    }

    pub(crate) fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.holder.iter_mut().chain(&mut self.other)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holder.is_none() && self.other.is_none()
    }

    /// Takes out the run that `instance` names.
    pub(crate) fn take(&mut self, instance: &Instance) -> Option<Run> {
        let is = |run: &mut Run| run.instance == *instance;
        self.holder.take_if(is).or_else(|| self.other.take_if(is))
    }

    /// Notes that a run of the wanted generation ended by itself, and when the next begins.
    pub(crate) fn ended(&mut self, spec: &LifeSpec, cause: Cause, ran: u64, context: &mut Context<'_>) {
        let again = match spec.restart {
            Restart::Never => false,
            Restart::OnFailure => cause.is_failure(),
            Restart::Always => true,
        };
        self.next = if again {
            self.restarts = self.restarts.saturating_add(1);
            let pause = self.backoff.pause(ran, context.random);
            Next::At(context.now.monotonic.saturating_add(pause))
        } else {
            Next::Rest
        };
        self.outcome = Some(if cause.is_failure() { Outcome::Failed(cause) } else { Outcome::Done });
    }

    /// Does what time has made due, and gives a lease that nobody has to the one who waits for it.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) {
        self.runs_mut().for_each(|run| run.advance(context));
        if self.holder.is_none() {
            self.holder = self.other.take();
        }
    }

    /// Compares the slot with what is wanted of it, and makes the next step.
    pub(crate) fn steer(&mut self, slot: u32, plan: &Plan<'_>, context: &mut Context<'_>) {
        if !plan.wanted {
            if !context.held {
                self.runs_mut().for_each(|run| run.stop(Why::Unwanted, context));
            }
            return;
        }
        let generation = plan.target.generation;
        let due = match self.next {
            Next::Now => true,
            Next::At(at) => at <= context.now.monotonic,
            Next::Rest => false,
        };
        let Some(holder) = &mut self.holder else {
            if due && context.waiting.is_none() {
                self.holder = Some(Run::start(plan.name, slot, plan.target, context));
                self.next = fresh(&plan.target.spec);
            }
            return;
        };
        if let Some(other) = &mut self.other {
            if other.generation() != generation || holder.generation() == generation {
                other.stop(Why::Unwanted, context);
            } else if other.is_ready() {
                holder.stop(Why::Unwanted, context);
                core::mem::swap(holder, other);
            }
            return;
        }
        // A scheduled run may finish: the new generation is for the next one.
        let finishes = plan.target.spec.schedule.is_some() && holder.spec.schedule.is_some();
        if holder.generation() == generation || holder.is_leaving() || finishes {
            return;
        }
        if !holder.is_ready() {
            holder.stop(Why::Unwanted, context);
        } else if plan.turn && due && context.waiting.is_none() {
            if plan.target.spec.overlap && holder.spec.overlap {
                self.other = Some(Run::start(plan.name, slot, plan.target, context));
            } else {
                holder.stop(Why::Unwanted, context);
            }
        }
    }

    /// When time alone changes something.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let next = match self.next {
            Next::At(at) if self.other.is_none() => Some(at),
            _ => None,
        };
        self.runs().filter_map(Run::deadline).chain(next).min()
    }
}

/// When a slot that has no history starts.
pub(crate) fn fresh(target: &LifeSpec) -> Next {
    if target.schedule.is_some() { Next::Rest } else { Next::Now }
}
