//! Many guests in one process, none of which has a thread to itself: a run is a future, and whoever polls it decides
//! which guest goes on and for how long.
//!
//! A guest gives up its thread when it waits for something, and at the next loop or call after [`Shared::yield_all`]. It
//! is ended by dropping its future. Nothing here is tied to a runtime, but the timers of components want to be polled
//! inside one of tokio's.

mod handler;

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use qyv_vfs::{Budget, Charge};
use qyv_wasi::{Denial, Process, Stream, Wait};
use qyvol_net::Outside;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, InstancePre, Store};

use crate::cache::{Cache, Kind, key_of};
use crate::component::{
    self, ComponentConfig, ComponentLimits, ComponentState, ComponentView, Lent, Prepared, Services, Standard,
};
use crate::config::{self, Settings};
use crate::limits::Limiter;
use crate::preview1::{self, Exit, Guest};
use crate::program::{Code, load_native};
use crate::run::ending_of;
use crate::trap::{self, Trap};
use crate::{Ending, Error, Limit, Result};

pub use handler::{AnswerBody, BodyError, Failed, Guest as Answering, Handling, SharedHandler};

/// What a guest that shares threads gets from its process, and how its waits are polled.
pub trait SharedHost: qyv_wasi::Host + Send + Sync + 'static {
    /// Ready when the wait's deadline has come or one of its sources is ready; otherwise the context is woken when it may
    /// be. A spurious `Ready` costs the guest nothing but another look.
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()>;

    /// The network outside, as far as the guest may reach it: its requests of HTTP leave there.
    fn outside(&self) -> Option<Arc<Outside>> {
        None
    }

    /// The guest is gone, and the host is not called again: what it was refused. When it exited, all that it held was
    /// closed before; what is still open died with it.
    fn ended(&mut self, denials: &[Denial]);
}

/// The engine of a process with many guests.
#[derive(Clone)]
pub struct Shared {
    engine: Engine,
    settings: Settings,
    /// Where handlers of requests run: their instances come from a pool.
    handlers: Arc<OnceLock<Engine>>,
}

/// A program in native code that can be started any number of times.
pub struct SharedProgram<H: SharedHost> {
    engine: Engine,
    code: SharedCode<H>,
    /// What one run costs besides memories and tables.
    instance_bytes: u64,
}

enum SharedCode<H: SharedHost> {
    Module(InstancePre<Guest<H>>),
    Component(Prepared<ComponentGuest<H>>),
}

/// What a run needs besides its program.
pub struct SharedStart<H> {
    /// The guest's files, arguments and environment.
    pub process: Process,
    /// Its clocks, streams and connections.
    pub host: H,
    /// The counter of its memory; the same that its memory file systems are charged to.
    pub memory: Budget,
}

/// How a run ended by itself.
#[derive(Debug)]
pub struct SharedEnd {
    /// How.
    pub ending: Ending,
    /// What the guest did wrong, when it trapped.
    pub trap: Option<Trap>,
}

impl Shared {
    /// An engine with these settings. Interruption is always on: without it, a loop would keep its thread for ever.
    ///
    /// # Errors
    ///
    /// When the system cannot give what the pool needs.
    pub fn new(settings: Settings) -> Result<Self> {
        let settings = Settings { interruption: true, ..settings };
        Ok(Self { engine: config::runner(&settings)?, settings, handlers: Arc::default() })
    }

    /// Loads a program from the cache by the BLAKE3 of its portable bytes; `None` when it is not there. Nothing is ever
    /// compiled in a process with guests.
    ///
    /// # Errors
    ///
    /// When it is no program that runs here.
    pub fn load<H: SharedHost>(&self, hash: &[u8; 32], cache: &Cache) -> Result<Option<SharedProgram<H>>> {
        let Some((file, record)) = cache.find(&key_of(hash, &self.settings))? else { return Ok(None) };
        let code = match load_native(&self.engine, file, record.kind)? {
            Code::Module(module) => SharedCode::Module(preview1::link_shared(&self.engine, &module)?),
            Code::Component(component) => SharedCode::Component(prepare(&self.engine, &component)?),
        };
        Ok(Some(SharedProgram { engine: self.engine.clone(), code, instance_bytes: record.instance_bytes }))
    }

    /// Makes every guest that runs now give up its thread at its next loop or call. Callable from any thread.
    pub fn yield_all(&self) {
        self.engine.increment_epoch();
        if let Some(handlers) = self.handlers.get() {
            handlers.increment_epoch();
        }
    }
}

fn prepare<H: SharedHost>(engine: &Engine, component: &Component) -> Result<Prepared<ComponentGuest<H>>> {
    if !component::is_program(component) {
        return Err(Error::NoProgram);
    }
    let mut linker = Linker::new(engine);
    component::add_to_linker(&mut linker)?;
    Ok(Prepared::new(&linker, component)?)
}

impl<H: SharedHost> SharedProgram<H> {
    /// Whether it is a module (WASI preview 1) or a component (preview 2).
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.code {
            SharedCode::Module(_) => Kind::Module,
            SharedCode::Component(_) => Kind::Component,
        }
    }

    /// Runs the program to its end. Dropping the future ends the guest.
    ///
    /// # Errors
    ///
    /// When it cannot be started. A guest that was started always has an [`Ending`].
    pub async fn run(&self, start: SharedStart<H>) -> Result<SharedEnd> {
        match &self.code {
            SharedCode::Module(linked) => run_module(self, linked, start).await,
            SharedCode::Component(prepared) => run_component(self, prepared, start).await,
        }
    }
}

/// The data of a store that runs a component.
struct ComponentGuest<H> {
    component: ComponentState,
    limiter: Limiter,
    host: Arc<Lent<H>>,
}

impl<H: SharedHost> ComponentView for ComponentGuest<H> {
    fn component(&mut self) -> &mut ComponentState {
        &mut self.component
    }
}

/// A store's data that tells its host when the guest is gone.
trait Leaving: 'static {
    fn leave(&mut self);
}

impl<H: SharedHost> Leaving for Guest<H> {
    fn leave(&mut self) {
        self.host.ended(self.process.denials());
    }
}

impl<H: SharedHost> Leaving for ComponentGuest<H> {
    fn leave(&mut self) {
        self.host.leave(self.component.denials());
    }
}

/// Owns a store so that the host hears of the end in a future that is dropped, too.
struct Owned<T: Leaving>(Store<T>);

impl<T: Leaving> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.data_mut().leave();
    }
}

/// Makes a running guest give up its thread whenever the epoch moves.
fn yield_at_epochs<T>(store: &mut Store<T>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
}

/// What a program costs before its first instruction is more than its memory.
const TOO_LARGE: SharedEnd = SharedEnd { ending: Ending::Limit(Limit::Memory), trap: None };

async fn run_module<H: SharedHost>(
    program: &SharedProgram<H>,
    linked: &InstancePre<Guest<H>>,
    start: SharedStart<H>,
) -> Result<SharedEnd> {
    let SharedStart { process, host, memory } = start;
    let limiter = Limiter::new(memory.clone());
    let mut owned = Owned(Store::new(&program.engine, Guest { process, host, limiter, memory: None }));
    let store = &mut owned.0;
    store.limiter(|guest| &mut guest.limiter);
    yield_at_epochs(store);
    if !store.data_mut().limiter.charge(program.instance_bytes) {
        return Ok(TOO_LARGE);
    }
    let instance = match linked.instantiate_async(&mut *store).await {
        Ok(instance) => instance,
        Err(error) => {
            // The start of an instance runs guest code too.
            let guests_doing =
                error.is::<wasmtime::Trap>() || error.is::<wasmtime::ThrownException>() || error.is::<Exit>();
            let refused = store.data().limiter.refused();
            return if guests_doing || refused {
                Ok(end(&error, refused || memory.refused() > 0))
            } else {
                Err(Error::Invalid(format!("{error:#}")))
            };
        }
    };
    let main = instance
        .get_typed_func::<(), ()>(&mut *store, "_start")
        .map_err(|error| Error::Invalid(format!("its `_start` is no command: {error:#}")))?;
    let end = match main.call_async(&mut *store, ()).await {
        Ok(()) => SharedEnd { ending: Ending::Exited(0), trap: None },
        Err(error) => end(&error, store.data().limiter.refused() || memory.refused() > 0),
    };
    if matches!(end.ending, Ending::Exited(_)) {
        let Guest { process, host, .. } = store.data_mut();
        process.close_all(host);
    }
    Ok(end)
}

async fn run_component<H: SharedHost>(
    program: &SharedProgram<H>,
    prepared: &Prepared<ComponentGuest<H>>,
    start: SharedStart<H>,
) -> Result<SharedEnd> {
    let SharedStart { process, host, memory } = start;
    let host = Lent::new(host);
    let (config, _streams) = config_of(process, &host, &memory)?;
    // Held until the program has ended.
    let handles = memory.charge(config.limits.handle_bytes());
    let component = ComponentState::new(config).map_err(wasmtime::Error::new)?;
    let limiter = Limiter::new(memory.clone());
    let mut owned = Owned(Store::new(&program.engine, ComponentGuest { component, limiter, host }));
    let store = &mut owned.0;
    store.limiter(|guest| &mut guest.limiter);
    yield_at_epochs(store);
    if handles.is_none() || !store.data_mut().limiter.charge(program.instance_bytes) {
        return Ok(TOO_LARGE);
    }
    Ok(match prepared.run(store).await {
        Ok(code) => {
            store.data_mut().component.close_all();
            SharedEnd { ending: Ending::Exited(code.into()), trap: None }
        }
        Err(error) => end(&error, store.data().limiter.refused() || memory.refused() > 0),
    })
}

fn config_of<H: SharedHost>(
    process: Process,
    host: &Arc<Lent<H>>,
    memory: &Budget,
) -> Result<(ComponentConfig, Charge)> {
    let mut parts = process.into_parts();
    let services = Services::new(host.clone(), parts.listeners, memory.clone());
    if parts.services {
        parts.preopens.push(services.describe(&mut parts.vfs).map_err(wasmtime::Error::new)?);
    }
    let standard = |stream| Box::new(Standard::new(host.clone(), stream));
    let config = ComponentConfig {
        args: parts.args,
        env: parts.env,
        vfs: parts.vfs,
        preopens: parts.preopens,
        services: Some(services),
        outside: host.with(|host| host.outside()),
        stdin: standard(Stream::Stdin),
        stdout: standard(Stream::Stdout),
        stderr: standard(Stream::Stderr),
        limits: ComponentLimits::of_process(parts.descriptors.available(), memory.limit()),
        descriptors: parts.descriptors,
    };
    Ok((config, parts.streams))
}

fn end(error: &wasmtime::Error, refused: bool) -> SharedEnd {
    let ending = ending_of(error, refused);
    let trapped = matches!(ending, Ending::Trapped | Ending::Limit(Limit::Memory));
    SharedEnd { ending, trap: trapped.then(|| trap::describe(error)) }
}

#[cfg(test)]
mod tests;
