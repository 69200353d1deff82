//! What all instances of this process share.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use qyv_sched::FairQueue;
use qyv_spec::App;
use qyv_spec::bundle::Bundle;
use qyv_spec::manifest::Kind;
use qyv_spec::service::Name;
use qyv_svc::outbound::Outbound;
use qyv_vfs::Budget;
use qyvol_engine::shared::{Shared, SharedHandler, SharedProgram};
use qyvol_engine::{Cache, Error, Settings};
use qyvol_logs::LogWriter;
use qyvol_net::{Net, Outside, Roots, SystemResolver};
use qyvol_protocol::InstanceId;
use qyvol_protocol::worker::{Running, Used, Wall};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::arguments::Arguments;
use crate::asks::Asks;
use crate::door::Doors;
use crate::executor::Executor;
use crate::guest::GuestHost;
use crate::instance::{Instance, Purpose, WORKER_CHILDREN_MAX, WORKER_EXECS_MAX};
use crate::kills::Kills;
use crate::reporter::Reporter;
use crate::services::Services;
use crate::starting::Starting;

/// A bundle that is open, with the app in it.
pub(crate) struct Opened {
    pub(crate) bundle: Arc<Bundle<File>>,
    pub(crate) app: App,
}

/// What an instance runs.
pub(crate) enum Code {
    /// A program, from its start to its end.
    Program(Arc<SharedProgram<GuestHost>>),
    /// A handler, for each request.
    Handler(Arc<SharedHandler<GuestHost>>),
}

/// Everything that instances share.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) walls: Vec<Wall>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) services: Arc<Services>,
    pub(crate) logs: LogWriter,
    pub(crate) starting: Starting,
    pub(crate) kills: Kills,
    pub(crate) doors: Doors,
    net: Arc<Net>,
    /// The ways out of instances that run, by their apps.
    outside: Mutex<Vec<(Name, Weak<Outside>)>>,
    execs: Arc<Semaphore>,
    children: Arc<Semaphore>,
    /// What is asked of the daemon for programs.
    pub(crate) asks: Asks,
    engine: Shared,
    cache: Cache,
    instances: Mutex<BTreeMap<InstanceId, Arc<Instance>>>,
    /// Kept while an instance of them runs.
    programs: Mutex<HashMap<[u8; 32], Weak<SharedProgram<GuestHost>>>>,
    handlers: Mutex<HashMap<[u8; 32], Weak<SharedHandler<GuestHost>>>>,
    bundles: Mutex<HashMap<PathBuf, Weak<Opened>>>,
    /// Dropped before the reactor, which tasks may still wake from.
    pub(crate) executor: Executor,
    pub(crate) reactor: Runtime,
}

impl Worker {
    /// Sets everything up in a process whose walls stand.
    pub(crate) fn new(
        arguments: &Arguments,
        cache: Cache,
        walls: Vec<Wall>,
        services: std::os::unix::net::UnixListener,
        roots: Roots,
    ) -> Result<Arc<Self>, String> {
        let text = |error: std::io::Error| error.to_string();
        let reactor = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("reactor")
            .enable_all()
            .build()
            .map_err(text)?;
        let settings = Settings { stack_bytes: arguments.stack, ..Settings::default() };
        let engine = Shared::new(settings).map_err(|error| error.to_string())?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let executor = {
            let (engine, handle) = (engine.clone(), reactor.handle().clone());
            let queue = Box::new(FairQueue::new(threads));
            Executor::start(queue, threads, move || engine.yield_all(), move || entered(&handle))
                .map_err(text)?
        };
        Ok(Arc::new(Self {
            name: arguments.name.clone(),
            walls,
            reporter: Reporter::start().map_err(text)?,
            services: Services::start(services, reactor.handle().clone()).map_err(text)?,
            logs: LogWriter::start().map_err(text)?,
            starting: Starting::default(),
            kills: Kills::default(),
            doors: Doors::new(reactor.handle().clone()),
            net: Net::new(reactor.handle().clone(), SystemResolver, roots),
            outside: Mutex::default(),
            execs: Arc::new(Semaphore::new(WORKER_EXECS_MAX)),
            children: Arc::new(Semaphore::new(WORKER_CHILDREN_MAX)),
            asks: Asks::default(),
            engine,
            cache,
            instances: Mutex::default(),
            programs: Mutex::default(),
            handlers: Mutex::default(),
            bundles: Mutex::default(),
            executor,
            reactor,
        }))
    }

    /// What an app of this kind runs of these portable bytes; `None` when it is not compiled.
    pub(crate) fn code(&self, kind: Kind, hash: [u8; 32]) -> Result<Option<Code>, String> {
        if kind == Kind::Http {
            match self.handler(hash) {
                Ok(handler) => return Ok(handler.map(Code::Handler)),
                // It serves its sockets itself.
                Err(Error::NoHandler) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(self.program(hash)?.map(Code::Program))
    }

    fn handler(&self, hash: [u8; 32]) -> qyvol_engine::Result<Option<Arc<SharedHandler<GuestHost>>>> {
        if let Some(known) = lock(&self.handlers).get(&hash).and_then(Weak::upgrade) {
            return Ok(Some(known));
        }
        Ok(self.engine.load_handler(&hash, &self.cache)?.map(|handler| {
            let handler = Arc::new(handler);
            let mut handlers = lock(&self.handlers);
            handlers.retain(|_, known| known.strong_count() > 0);
            handlers.insert(hash, Arc::downgrade(&handler));
            handler
        }))
    }

    /// The program of these portable bytes; `None` when it is not compiled.
    pub(crate) fn program(&self, hash: [u8; 32]) -> Result<Option<Arc<SharedProgram<GuestHost>>>, String> {
        if let Some(known) = lock(&self.programs).get(&hash).and_then(Weak::upgrade) {
            return Ok(Some(known));
        }
        let loaded = self.engine.load(&hash, &self.cache).map_err(|error| error.to_string())?;
        Ok(loaded.map(|program| {
            let program = Arc::new(program);
            let mut programs = lock(&self.programs);
            programs.retain(|_, known| known.strong_count() > 0);
            programs.insert(hash, Arc::downgrade(&program));
            program
        }))
    }

    /// Makes room for a program beside an instance, until what is returned is dropped. Checks need none: there are no more
    /// of them than instances.
    pub(crate) fn hold_exec(&self, purpose: Purpose) -> Result<Option<OwnedSemaphorePermit>, String> {
        let (places, most) = match purpose {
            Purpose::Probe => return Ok(None),
            Purpose::Exec => (&self.execs, WORKER_EXECS_MAX),
            Purpose::Child => (&self.children, WORKER_CHILDREN_MAX),
        };
        let held = Arc::clone(places).try_acquire_owned();
        held.map(Some).map_err(|_| format!("{most} programs run beside the apps of its worker already"))
    }

    /// A bundle of the daemon's store.
    pub(crate) fn bundle(&self, path: &Path) -> Result<Arc<Opened>, String> {
        if let Some(known) = lock(&self.bundles).get(path).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let file = File::open(path).map_err(|error| format!("cannot open `{}`: {error}", path.display()))?;
        let open = || {
            let bundle = Bundle::open(file)?;
            let app = bundle.app()?;
            Ok(Opened { bundle: Arc::new(bundle), app })
        };
        let opened = open().map_err(|error: qyv_spec::bundle::Error| error.to_string())?;
        let opened = Arc::new(opened);
        let mut bundles = lock(&self.bundles);
        bundles.retain(|_, known| known.strong_count() > 0);
        bundles.insert(path.to_owned(), Arc::downgrade(&opened));
        Ok(opened)
    }

    /// The way out of an instance of this app.
    pub(crate) fn outside(
        &self,
        app: &Name,
        granted: Outbound,
        connections: u32,
        memory: &Budget,
    ) -> Arc<Outside> {
        let outside = Outside::new(&self.net, granted, connections, memory);
        let mut all = lock(&self.outside);
        all.retain(|(_, known)| known.strong_count() > 0);
        all.push((app.clone(), Arc::downgrade(&outside)));
        outside
    }

    /// The way out of a program that another one starts.
    pub(crate) fn outside_of_child(
        &self,
        granted: Outbound,
        connections: u32,
        memory: &Budget,
    ) -> Arc<Outside> {
        Outside::new(&self.net, granted, connections, memory)
    }

    /// From now on this is what instances of an app reach outside.
    pub(crate) fn grant_outside(&self, app: &Name, granted: &Outbound) {
        let all: Vec<_> = lock(&self.outside).iter().filter(|(name, _)| name == app).cloned().collect();
        for outside in all.iter().filter_map(|(_, outside)| outside.upgrade()) {
            outside.grant(granted.clone());
        }
    }

    /// An instance that runs.
    pub(crate) fn instance(&self, id: &InstanceId) -> Option<Arc<Instance>> {
        lock(&self.instances).get(id).cloned()
    }

    /// Everything that runs.
    pub(crate) fn instances(&self) -> Vec<Arc<Instance>> {
        lock(&self.instances).values().cloned().collect()
    }

    /// Whether nothing runs or is being started.
    pub(crate) fn is_idle(&self) -> bool {
        // In this order: what is through with its start runs.
        self.starting.is_empty() && self.instances().is_empty()
    }

    /// Remembers an instance, unless there is one of that name.
    pub(crate) fn add(&self, instance: Arc<Instance>) -> bool {
        let mut instances = lock(&self.instances);
        if instances.contains_key(&instance.id) {
            return false;
        }
        instances.insert(instance.id.clone(), instance);
        true
    }

    /// Forgets an instance that is over.
    pub(crate) fn remove(&self, id: &InstanceId) {
        lock(&self.instances).remove(id);
    }

    /// What runs, for the welcome.
    pub(crate) fn running(&self) -> Vec<Running> {
        self.instances().iter().map(|instance| instance.running()).collect()
    }

    /// What the instances have used.
    pub(crate) fn used(&self) -> Vec<Used> {
        self.instances().iter().map(|instance| instance.used()).collect()
    }
}

/// Makes the thread one of the reactor's, for timers. The handle must outlive what it gives, and a runtime's does.
fn entered(handle: &tokio::runtime::Handle) -> tokio::runtime::EnterGuard<'static> {
    let handle: &'static tokio::runtime::Handle = Box::leak(Box::new(handle.clone()));
    handle.enter()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
