//! Finding what is known.

use std::path::PathBuf;
use std::sync::Arc;

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyv_supervise::Instance;
use qyvold_store::blob_path;

use super::Overseer;
use super::run::{AppEntry, Revision};
use crate::fault::{Fault, Kind};

impl Overseer {
    /// What an instance runs, or why that cannot be told.
    pub(super) fn revision(&self, instance: &Instance) -> Result<Arc<Revision>, String> {
        let app = self.apps.get(&instance.app);
        let revision = app.and_then(|app| app.revisions.get(&instance.generation));
        revision.cloned().unwrap_or_else(|| Err("its revision is not stored any more".to_owned()))
    }

    pub(super) fn app(&self, name: &Name) -> Result<&AppEntry, Fault> {
        self.apps.get(name).ok_or_else(|| {
            Fault::new(Kind::NotFound, format!("there is no app `{name}`")).hint("`qyvol ps` lists them")
        })
    }

    pub(super) fn bundle_path(&self, hash: &Hash) -> PathBuf {
        self.options.state.join(blob_path(hash))
    }
}

impl Overseer {
    /// Whether anything of an app is still known.
    pub(crate) fn has_app(&self, name: &Name) -> bool {
        self.apps.contains_key(name)
    }
}
