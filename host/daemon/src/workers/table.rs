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
        /// Whether its apps may connect to hosts: those that may not run in processes that cannot.
        #[serde(default)]
        outside: bool,
    },
    /// One revision of one app: its walls are those of its folders.
    Own {
        /// The app.
        app: Name,
        /// Its revision.
        revision: u64,
        /// Bytes.
        stack: u64,
        /// Whether it may connect to hosts.
        #[serde(default)]
        outside: bool,
    },
}

impl Purpose {
    /// Bytes of stack of each instance.
    pub(crate) const fn stack(&self) -> u64 {
        match self {
            Self::Shared { stack, .. } | Self::Own { stack, .. } => *stack,
        }
    }

    /// Whether it makes connections to hosts.
    pub(crate) const fn outside(&self) -> bool {
        match self {
            Self::Shared { outside, .. } | Self::Own { outside, .. } => *outside,
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
    /// Whether it has greeted this daemon, or one before.
    pub(crate) up: bool,
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
    /// The worker that takes one more instance for `purpose`, one that has `siblings` if there is one; `None` when a new one
    /// must be started.
    pub(crate) fn choose(&self, purpose: &Purpose, siblings: &BTreeSet<&str>) -> Option<&str> {
        let fits = |worker: &Worker| {
            !worker.draining && worker.about.purpose == *purpose && worker.instances.len() < INSTANCES_MAX
        };
        let fitting = self.0.iter().filter(|(_, worker)| fits(worker));
        // Replicas take turns at an address where they are in one process. Then the fullest first, so that the others become
        // idle and end.
        let order =
            |(name, worker): &(&String, &Worker)| (siblings.contains(name.as_str()), worker.instances.len());
        fitting.max_by_key(order).map(|(name, _)| name.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::process::{Process, ProcessId};
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    /// A worker that says nothing; its process ends with the pair of its socket.
    fn worker(purpose: Purpose, instances: std::ops::Range<u64>) -> (Worker, UnixStream) {
        let child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (inbox, _) = std::sync::mpsc::sync_channel(1);
        let link = Link::begin("w", ours, Process::of_child(child).unwrap(), inbox).unwrap();
        let about = About { process: ProcessId { pid: 1, started: 1 }, purpose, token: String::new() };
        let (folder, walls) = (PathBuf::new(), Vec::new());
        let instances = instances.collect();
        (Worker { folder, about, link, instances, up: true, walls, idle: None, draining: false }, theirs)
    }

    #[test]
    fn an_instance_goes_to_the_fullest_worker_of_its_purpose_that_has_room() {
        let shared = |stack| Purpose::Shared { stack, outside: false };
        let own = Purpose::Own { app: "a".parse().unwrap(), revision: 1, stack: 1, outside: false };
        let mut table = Table::default();
        let mut others = Vec::new();
        let full = INSTANCES_MAX as u64;
        for (name, purpose, instances) in [
            ("full", shared(1), 0..full),
            ("little", shared(1), 2000..2001),
            ("more", shared(1), 3000..3010),
            ("stack", shared(2), 4000..4500),
            ("own", own.clone(), 5000..5001),
        ] {
            let (worker, other) = worker(purpose, instances);
            others.push(other);
            table.0.insert(name.to_owned(), worker);
        }
        let alone = BTreeSet::new();
        assert_eq!(table.choose(&shared(1), &alone), Some("more"));
        assert_eq!(table.choose(&own, &alone), Some("own"));
        assert_eq!(table.choose(&shared(3), &alone), None);
        assert_eq!(table.choose(&Purpose::Shared { stack: 1, outside: true }, &alone), None);
        // Where its siblings are, unless there is no room.
        assert_eq!(table.choose(&shared(1), &BTreeSet::from(["full", "little", "own"])), Some("little"));
        assert_eq!(table.choose(&shared(1), &BTreeSet::from(["full", "own"])), Some("more"));
        let next = Purpose::Own { app: "a".parse().unwrap(), revision: 2, stack: 1, outside: false };
        assert_eq!(table.choose(&next, &alone), None);
        table.0.get_mut("more").unwrap().draining = true;
        assert_eq!(table.choose(&shared(1), &alone), Some("little"));

        let now = Instant::now();
        table.forget(2000, now);
        assert!(table.to_drain(now).is_empty());
        assert_eq!(table.to_drain(now + IDLE), ["little"]);
    }
}
