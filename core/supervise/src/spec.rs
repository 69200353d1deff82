//! What the supervisor must know of an app: the part of its manifest that is about life and death.

use alloc::vec::Vec;

use qyv_spec::Name;
use qyv_spec::app::{App, AppHealth, INSTANCES_MAX, LIST_ITEMS_MAX};
use qyv_spec::manifest::{Kind, Mode, MountKind, OwnFiles, Restart, Schedule};
use qyv_spec::quantity::DURATION_MS_MAX;
use serde::{Deserialize, Serialize};

/// How an app lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifeSpec {
    /// Whether it ends by itself, and what makes it ready.
    pub kind: Kind,
    /// Apps that must be ready before each of its starts.
    pub depends_on: Vec<Name>,
    /// When an instance that ended is started again.
    pub restart: Restart,
    /// How it is seen that an instance works.
    pub health: Option<AppHealth>,
    /// When it is started by the clock, in UTC.
    pub schedule: Option<Schedule>,
    /// Milliseconds between being asked to stop and being killed.
    pub stop_grace_ms: u64,
    /// Slots, 0 to `instances_max`.
    pub replicas: u32,
    /// Most slots that [`Supervisor::scale`](crate::Supervisor::scale) may give it, 1 to 1024: `limits.instances`. The
    /// instance that a replacement runs beside the one it replaces is not counted.
    pub instances_max: u32,
    /// Whether two generations of one slot may run at once while one replaces the other.
    pub overlap: bool,
}

impl LifeSpec {
    /// What `app` says, with one replica. Generations overlap when nothing that they write would be shared: no private
    /// volume, no writable mount of the host's; and when they are neither commands, which are never ready, nor windows.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let writable =
            |mount: &qyv_spec::app::AppMount| mount.kind != MountKind::Memfs && mount.mode == Mode::ReadWrite;
        let shared = app.permissions.fs == OwnFiles::ReadWrite || app.fs.iter().any(writable);
        Self {
            kind: app.kind,
            depends_on: app.depends_on.clone(),
            restart: app.restart,
            health: app.health.clone(),
            schedule: app.schedule.clone(),
            stop_grace_ms: app.stop_grace_ms,
            replicas: 1,
            instances_max: app.limits.instances,
            overlap: !shared && !matches!(app.kind, Kind::Command | Kind::Gui),
        }
    }

    /// Whether it is ready by ending with 0 rather than by saying so.
    pub(crate) fn ends(&self) -> bool {
        self.kind == Kind::Command
    }

    /// Whether every number is within what a manifest could say, so that no sum of times overflows and no table grows
    /// beyond its limit.
    pub(crate) fn is_within_limits(&self) -> bool {
        let health = self.health.as_ref().is_none_or(|health| {
            let times = [health.interval_ms, health.timeout_ms];
            times.iter().all(|ms| (1..=DURATION_MS_MAX).contains(ms))
                && health.start_period_ms <= DURATION_MS_MAX
                && health.retries >= 1
        });
        health
            && self.stop_grace_ms <= DURATION_MS_MAX
            && self.depends_on.len() <= LIST_ITEMS_MAX
            && (1..=INSTANCES_MAX).contains(&self.instances_max)
            && self.replicas <= self.instances_max
            && (self.schedule.is_none() || self.ends())
    }
}

/// Milliseconds as nanoseconds.
pub(crate) const fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}
