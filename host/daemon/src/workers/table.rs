//! Which workers there are, what each is for, and which one an instance goes to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use qyv_spec::service::Name;
use qyvol_protocol::worker::Wall;
use serde::{Deserialize, Serialize};

use super::link::Link;
use super::spawn::About;

/// The most instances in one shared worker.
pub(crate) const INSTANCES_MAX: usize = 1000;

/// How long a worker without instances is kept.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// What a worker is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Purpose {
    /// Any app of this much stack, which is a setting of the engine.
    Shared {
        /// Bytes.
        stack: u64,
    },
    /// One revision of one app: its walls are those of its folders.
    Own {
        /// The app.
        app: Name,
        /// Its revision.
        revision: u64,
        /// Bytes.
        stack: u64,
    },
}

impl Purpose {
    /// Bytes of stack of each instance.
    pub(crate) const fn stack(&self) -> u64 {
        match self {
            Self::Shared { stack } | Self::Own { stack, .. } => *stack,
        }
    }
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) folder: PathBuf,
    pub(crate) about: About,
    pub(crate) link: Link,
    /// The leases of what it runs.
    pub(crate) instances: BTreeSet<u64>,
    pub(crate) walls: Vec<Wall>,
    /// Since when it runs nothing.
    pub(crate) idle: Option<Instant>,
    /// Whether it was told to end: nothing more is started there.
    pub(crate) draining: bool,
}

/// All workers, by name.
#[derive(Debug, Default)]
pub(crate) struct Table(pub(crate) BTreeMap<String, Worker>);

impl Table {
    /// The worker that takes one more instance for `purpose`; `None` when a new one must be started.
    pub(crate) fn choose(&self, purpose: &Purpose) -> Option<&str> {
        let fits = |worker: &Worker| {
            !worker.draining && worker.about.purpose == *purpose && worker.instances.len() < INSTANCES_MAX
        };
        // The fullest first, so that the others become idle and end.
        let fitting = self.0.iter().filter(|(_, worker)| fits(worker));
        fitting.max_by_key(|(_, worker)| worker.instances.len()).map(|(name, _)| name.as_str())
    }

    /// Takes an instance out of its worker.
    pub(crate) fn forget(&mut self, lease: u64, now: Instant) {
        for worker in self.0.values_mut() {
            if worker.instances.remove(&lease) && worker.instances.is_empty() {
                worker.idle = Some(now);
            }
        }
    }

    /// Workers that have been idle for long enough to end.
    pub(crate) fn to_drain(&self, now: Instant) -> Vec<String> {
        let long = |worker: &Worker| {
            !worker.draining
                && worker.instances.is_empty()
                && worker.idle.is_some_and(|since| now.duration_since(since) >= IDLE)
        };
        self.0.iter().filter(|(_, worker)| long(worker)).map(|(name, _)| name.clone()).collect()
    }
}
