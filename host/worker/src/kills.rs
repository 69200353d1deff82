//! Instances that do not end although they were killed: a call of theirs hangs within the kernel.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use qyvol_protocol::InstanceId;

use crate::worker::Worker;

/// How often the daemon kills an instance before it counts as stuck. It does so after a second, after two more, and so on.
const STUCK_AFTER: u32 = 3;

/// How often each instance that is still there was killed.
#[derive(Default)]
pub(crate) struct Kills(Mutex<BTreeMap<InstanceId, u32>>);

impl Kills {
    /// Counts a kill. Returns whether nothing is left in this process but instances that are stuck: then its end is the only
    /// way to end them, and harms nobody.
    pub(crate) fn count(&self, worker: &Worker, instance: &InstanceId) -> bool {
        let left = worker.instances();
        let mut kills = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kills.retain(|known, _| known == instance || left.iter().any(|left| left.id == *known));
        let times = kills.entry(instance.clone()).or_default();
        *times = times.saturating_add(1);
        let stuck = |id: &InstanceId| kills.get(id).is_some_and(|times| *times >= STUCK_AFTER);
        stuck(instance) && left.iter().all(|left| stuck(&left.id)) && worker.starting.is_unwanted()
    }
}
