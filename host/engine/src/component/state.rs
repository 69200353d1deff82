//! What a component is given, and what the host keeps for it while it runs.

use std::any::Any;
use std::sync::Arc;

use qyv_vfs::{Budget, Node, Vfs};
use qyv_wasi::{Denial, Denials};
use qyvol_net::Outside;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::types::{HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtx, WasiHttpCtxView};

use super::filesystem::{Files, FilesView};
use super::limits::{ComponentLimits, FIELDS_BYTES_MAX};
use super::network::NetworkView;
use super::open::Tree;
use super::outgoing::Outgoing;
use super::services::Services;

/// What a component is given. It gets nothing else: no host environment, no host path, no network but that.
pub struct ComponentConfig {
    /// The arguments, the program's name first.
    pub args: Vec<String>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The file tree.
    pub vfs: Vfs,
    /// Directories to start from, by the path that the guest knows them by. Closed with the state. `None` is a closed
    /// directory: every path in it is `access` and a denial.
    pub preopens: Vec<(String, Option<Node>)>,
    /// The services that it may dial and those that it offers, and the hosts outside that it may connect to; without them
    /// all sockets are refused.
    pub services: Option<Services>,
    /// How its requests of HTTP leave; without it they are refused.
    pub outside: Option<Arc<Outside>>,
    /// Where it reads; `tokio::io::empty()` for nothing.
    pub stdin: Box<dyn StdinStream + Sync>,
    /// Where it writes; [`SinkStream`](super::SinkStream) for a plain writer.
    pub stdout: Box<dyn StdoutStream + Sync>,
    /// Where it complains.
    pub stderr: Box<dyn StdoutStream + Sync>,
    /// Counts its open files, directories and connections, preopens included; its limit is the most. Past it, opening is
    /// `quota` and a connection `new-socket-limit`.
    pub descriptors: Budget,
    /// What else it may use.
    pub limits: ComponentLimits,
}

/// What the host keeps for one running component, inside the store's data.
pub struct ComponentState {
    wasi: WasiCtx,
    table: ResourceTable,
    files: Files,
    services: Option<Services>,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    limits: ComponentLimits,
}

impl ComponentState {
    /// The state of a component that has not started.
    ///
    /// # Errors
    ///
    /// `MFILE` when the limit of descriptors does not allow for the preopens.
    pub fn new(config: ComponentConfig) -> qyv_vfs::Result<Self> {
        let ComponentConfig {
            args,
            env,
            vfs,
            preopens,
            services,
            outside,
            stdin,
            stdout,
            stderr,
            descriptors,
            limits,
        } = config;
        let tree = Tree::new(vfs, descriptors);
        let services = services.map(|services| services.counted_in(tree.descriptors()));
        let preopens = preopens
            .into_iter()
            .map(|(path, node)| {
                let open = node.map(|node| tree.open(|_| Ok((node, ())))).transpose()?;
                Ok((path, open.map(|(open, ())| open)))
            })
            .collect::<qyv_vfs::Result<Vec<_>>>()?;
        let denials = Denials::new(preopens.iter().map(|(path, _)| path.as_str()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let wasi = WasiCtx::builder()
            .args(&args)
            .envs(&env)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .max_random_size(limits.random_bytes)
            .build();
        let http = WasiHttpCtx::new();
        let (files, outgoing) = (Files { tree, preopens }, Outgoing::new(denials, outside));
        Ok(Self { wasi, table, files, services, http, outgoing, limits })
    }

    /// What the guest was refused for want of a grant so far.
    #[must_use]
    pub fn denials(&mut self) -> &[Denial] {
        self.outgoing.gather();
        self.outgoing.denials.list()
    }

    pub(super) fn limits(&self) -> ComponentLimits {
        self.limits
    }

    pub(super) fn files(&mut self) -> FilesView<'_> {
        FilesView { files: &self.files, table: &mut self.table, denials: &mut self.outgoing.denials }
    }

    pub(super) fn network(&mut self) -> NetworkView<'_> {
        let services = self.services.as_mut();
        NetworkView { table: &mut self.table, denials: &mut self.outgoing.denials, services }
    }

    /// The state of `wasi:http`, for one call.
    pub(crate) fn http(&mut self) -> WasiHttpCtxView<'_> {
        // A set that this call makes can be filled as far as this says, and never further.
        let held = self.table.iter_mut().filter(|entry| has_fields(&**entry)).count();
        let left = if held < self.limits.field_sets { FIELDS_BYTES_MAX } else { 0 };
        self.http.set_field_size_limit(left);
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }

    /// Closes all that the guest holds. It must not run again.
    pub(crate) fn close_all(&mut self) {
        self.table = ResourceTable::new();
        self.services = None;
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// Whether a set of header fields is kept with this.
fn has_fields(entry: &(dyn Any + Send)) -> bool {
    entry.is::<FieldMap>() || entry.is::<HostOutgoingRequest>() || entry.is::<HostOutgoingResponse>()
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A store's data that carries the state of a component.
pub trait ComponentView: Send + 'static {
    /// The state within.
    fn component(&mut self) -> &mut ComponentState;
}

impl ComponentView for ComponentState {
    fn component(&mut self) -> &mut ComponentState {
        self
    }
}
