//! One generation replaces another: a slot at a time, and back when it does not become ready.

use crate::app::App;
use crate::event::{Action, Cause, Change};
use crate::slot::{Context, Next, Run, Slot};

/// Longest time from the start of an instance that replaces another to its being ready, its start period not counted:
/// that of a Deployment of Kubernetes (`progressDeadlineSeconds`).
pub const PROGRESS_NS: u64 = 600_000_000_000;

impl App {
    /// The slot that may give up an older generation that works: the first such, when all others are done or work.
    pub(crate) fn turn(&self) -> Option<u32> {
        let mut turn = None;
        for index in 0..self.replicas {
            let slot = self.slots.get(&index)?;
            let old = slot.holder.as_ref().is_some_and(|run| run.generation() != self.target.generation);
            if !self.is_settled(slot) {
                return None;
            }
            if old && turn.is_none() {
                turn = Some(index);
            }
        }
        turn
    }

    fn is_settled(&self, slot: &Slot) -> bool {
        let works = |run: &Run| run.is_ready() || (run.spec.ends() && !run.is_leaving());
        match &slot.holder {
            Some(run) => works(run) && slot.other.is_none(),
            None => slot.next == Next::Rest,
        }
    }

    /// Ends a replacement that is over, or that fails.
    pub(crate) fn review_rollout(&mut self, context: &mut Context<'_>) {
        if self.rollout.is_none() {
            return;
        }
        let generation = self.target.generation;
        let now = context.now.monotonic;
        let candidates = self.slots.values().flat_map(Slot::runs);
        let failed = candidates.filter(|run| run.generation() == generation && !run.was_ready).find_map(
            |run| match run {
                run if run.unhealthy => Some(Cause::Unhealthy),
                run if !run.is_leaving() && run.ready_by() <= now => Some(Cause::NotReady),
                _ => None,
            },
        );
        if let Some(cause) = failed {
            self.fall_back(cause, context);
            return;
        }
        let done =
            |slot: &Slot| self.is_settled(slot) && slot.runs().all(|run| run.generation() == generation);
        if (0..self.replicas).all(|index| self.slots.get(&index).is_some_and(done)) {
            self.rollout = None;
            self.changed = true;
            context.out.push(Action::Announce(self.name.clone(), Change::Replaced(generation)));
        }
    }

    /// Returns to the generation that worked.
    pub(crate) fn fall_back(&mut self, cause: Cause, context: &mut Context<'_>) {
        let Some(kept) = self.rollout.take() else { return };
        let change = Change::Kept { failed: self.target.generation, kept: kept.generation, cause };
        context.out.push(Action::Announce(self.name.clone(), change));
        self.target = kept;
        self.changed = true;
        for slot in self.slots.values_mut() {
            slot.renew(&self.target.spec);
        }
    }

    /// When a replacement is out of time.
    pub(crate) fn rollout_deadline(&self) -> Option<u64> {
        self.rollout.as_ref()?;
        let candidate =
            |run: &&Run| run.generation() == self.target.generation && !run.was_ready && !run.is_leaving();
        self.slots.values().flat_map(Slot::runs).filter(candidate).map(Run::ready_by).min()
    }
}
