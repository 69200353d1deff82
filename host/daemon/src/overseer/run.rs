//! What the overseer knows of apps and instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use qyv_spec::App;
use qyv_spec::app::Hash;
use qyv_spec::bundle::Verdict;
use qyv_spec::service::Name;
use qyv_supervise::Instance;
use qyvol_protocol::InstanceId;
use qyvol_protocol::api::DeployApp;
use qyvol_protocol::worker::Used;

/// One app.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppEntry {
    /// The revision that is to run.
    pub(crate) current: u64,
    /// It, and others that may still run; or why one cannot.
    pub(crate) revisions: BTreeMap<u64, Result<Arc<Revision>, String>>,
    /// When the current revision was deployed, its version and bundle: known even when the bundle cannot be read.
    pub(crate) deployed: u64,
    pub(crate) version: String,
    pub(crate) image: Option<Hash>,
}

impl AppEntry {
    /// The revision that is to run, when its bundle can be read.
    pub(crate) fn current(&self) -> Option<&Arc<Revision>> {
        self.revisions.get(&self.current)?.as_ref().ok()
    }
}

/// One revision of an app, read from its bundle.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) app: App,
    pub(crate) module: Hash,
    pub(crate) verdict: Verdict,
    pub(crate) request: DeployApp,
}

/// An instance that was started and has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) instance: Instance,
    pub(crate) worker: String,
    /// When it was started, in milliseconds since 1970.
    pub(crate) started: u64,
    pub(crate) ready: bool,
    /// Whether its program was compiled for it: a worker that still does not find it will not find it later.
    pub(crate) prepared: bool,
    /// Which of its services take connections.
    pub(crate) serving: BTreeMap<(Name, Option<u16>), bool>,
    pub(crate) used: Option<Used>,
    /// Why its last check failed.
    pub(crate) ill: Option<String>,
}

impl Run {
    pub(crate) fn id(&self) -> InstanceId {
        id_of(&self.instance)
    }
}

/// What an instance is called in the conversation with workers and clients: by its start, not by its revision.
pub(crate) fn id_of(instance: &Instance) -> InstanceId {
    InstanceId { app: instance.app.clone(), slot: instance.slot, generation: instance.lease }
}
