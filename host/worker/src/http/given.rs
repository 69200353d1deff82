//! What every request's instance is given.

use std::sync::Arc;

use qyv_svc::AppId;
use qyv_vfs::Budget;
use qyv_wasi::{Limits, ProcessBuilder};
use qyvol_engine::shared::SharedStart;
use qyvol_launch::SharedTree;
use qyvol_logs::LogStream;
use qyvol_net::Outside;

use crate::executor::Meter;
use crate::guest::GuestHost;
use crate::services::Services;
use crate::stdio::{Stdio, Watchers};
use crate::system::Caller;

/// What every request's instance is given, made once.
pub(super) struct Given {
    /// The arguments, the app's name first.
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) fds: u32,
    pub(super) dials: bool,
    pub(super) files: SharedTree,
    pub(super) app: AppId,
    pub(super) services: Arc<Services>,
    pub(super) log: LogStream,
    pub(super) watchers: Arc<Watchers>,
    pub(super) meter: Arc<Meter>,
    pub(super) memory: Budget,
    /// For all requests together.
    pub(super) outside: Arc<Outside>,
    /// Who they are for the system's own service.
    pub(super) caller: Caller,
}

impl Given {
    /// For one instance.
    ///
    /// # Errors
    ///
    /// Why it cannot be given, for people.
    pub(super) fn start(&self) -> Result<SharedStart<GuestHost>, String> {
        let mut builder = ProcessBuilder::new()
            .limits(Limits::with_fds(self.fds))
            .memory_budget(self.memory.clone())
            .services(self.dials);
        for argument in &self.args {
            builder = builder.arg(argument);
        }
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        let (mut vfs, places) = self.files.mount().map_err(|error| error.to_string())?;
        for place in &places {
            let node = vfs.open_root(place).map_err(|error| error.to_string())?;
            builder = builder.preopen(place, node);
        }
        if !places.iter().any(|place| place == "/") {
            builder = builder.deny_root();
        }
        let process = builder
            .vfs(vfs)
            .build()
            .map_err(|error| format!("the arguments or the environment do not fit: {error}"))?;
        let host = GuestHost::new(
            self.app,
            Arc::clone(&self.services),
            Stdio::log(&self.log, &self.watchers),
            Arc::clone(&self.meter),
            Arc::clone(&self.outside),
            Vec::new(),
            self.caller.clone(),
        );
        Ok(SharedStart { process, host, memory: self.memory.clone() })
    }
}
