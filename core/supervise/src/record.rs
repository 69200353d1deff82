//! What must outlive the supervisor.

use alloc::sync::Arc;
use alloc::vec::Vec;

use qyv_spec::Name;
use serde::{Deserialize, Serialize};

use crate::cron::Timer;
use crate::spec::LifeSpec;
use crate::state::Outcome;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// That it runs, or rests when it is done.
    Running,
    /// That nothing of it runs.
    Stopped,
    /// That it is forgotten as soon as nothing of it runs.
    Removed,
}

/// One deploy of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    /// Its number, higher than any before it. The host knows which app it stands for.
    pub generation: u64,
    /// How the app lives.
    pub spec: Arc<LifeSpec>,
}

/// What is stored of one app: what is wanted, not what runs. Restarts and pauses start over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The app.
    pub name: Name,
    /// What was asked for.
    pub desired: Desired,
    /// The generation that all slots shall have.
    pub deployed: Deployed,
    /// The one that is kept should it not become ready.
    pub fallback: Option<Deployed>,
    /// The highest generation that there was.
    pub generation_max: u64,
    /// Slots.
    pub replicas: u32,
    /// Slots whose last run is over and that are not started again, and how it ended.
    pub ended: Vec<(u32, Outcome)>,
    pub(crate) timer: Option<Timer>,
    /// Starts that the clock asked for while the last run had not ended.
    pub skipped: u64,
}
