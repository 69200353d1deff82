//! Running a program from its start to its end.

use std::sync::Arc;
use std::time::Instant;

use qyv_vfs::Budget;
use qyv_wasi::{Denial, Process};
use qyvol_net::Outside;
use wasmtime::{InstancePre, Store, UpdateDeadline};

use crate::host::{ProcessHost, Stdio};
use crate::interrupt::Interrupt;
use crate::limits::Limiter;
use crate::preview1::{Exit, Guest, Stopped};
use crate::program::{Linked, Program};
use crate::trap::{self, Trap};
use crate::watchdog::Watchdog;
use crate::{Ending, Error, Limit, Result};

/// What a run needs besides its program.
pub struct Start<'a> {
    /// The guest's files, arguments and environment.
    pub process: Process,
    /// Its standard streams.
    pub stdio: Stdio,
    /// The counter of its memory; the same that its memory file systems are charged to.
    pub memory: Budget,
    /// The network outside, as far as it may reach it.
    pub outside: Option<Arc<Outside>>,
    /// How it is asked to stop.
    pub interrupt: Interrupt,
    /// Who watches its time, when it has limits of time.
    pub watchdog: Option<&'a Watchdog>,
}

/// How a run went.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What the guest did wrong, when it trapped.
    pub trap: Option<Trap>,
    /// What the guest was refused.
    pub denials: Vec<Denial>,
    /// The most memory it ever held, in bytes.
    pub memory_peak: u64,
    /// The core dump of a guest that trapped, under [`Settings::coredump`](crate::Settings::coredump). It is handed out
    /// and not written here: the guest's thread may be walled off from the host's files.
    pub coredump: Option<Vec<u8>>,
}

impl Finished {
    /// What a program costs before its first instruction is more than `memory` has left.
    pub(crate) fn too_large(memory: &Budget) -> Self {
        Self {
            ending: Ending::Limit(Limit::Memory),
            trap: None,
            denials: Vec::new(),
            memory_peak: memory.peak(),
            coredump: None,
        }
    }
}

impl Program {
    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started. A guest that was started always has an [`Ending`].
    pub fn run(&self, start: Start<'_>) -> Result<Finished> {
        match &self.code {
            Linked::Module(linked) => self.run_module(linked, start),
            Linked::Component(component) => {
                crate::component::run(&self.engine, component, self.instance_bytes, start)
            }
        }
    }

    fn run_module(&self, linked: &InstancePre<Guest<ProcessHost>>, start: Start<'_>) -> Result<Finished> {
        let memory = start.memory.clone();
        let mut store = Store::new(
            &self.engine,
            Guest {
                process: start.process,
                host: ProcessHost::new(start.stdio, start.outside, start.interrupt.clone()),
                limiter: Limiter::new(start.memory),
                memory: None,
            },
        );
        store.limiter(|guest| &mut guest.limiter);
        interrupt_at_epochs(&mut store, &start.interrupt, start.watchdog);
        if let Some(reason) = start.interrupt.reason() {
            return Err(Error::Stopped(reason));
        }
        if !store.data_mut().limiter.charge(self.instance_bytes) {
            return Ok(Finished::too_large(&memory));
        }
        let (ending, trap, coredump) = match enter(&mut store, linked) {
            Ok(()) => (Ending::Exited(0), None, None),
            Err(Failed::NotStarted(error)) => return Err(error),
            Err(Failed::Ended(error)) => {
                let refused = store.data().limiter.refused() || memory.refused() > 0;
                let ending = ending_of(&error, refused);
                let trapped = matches!(ending, Ending::Trapped | Ending::Limit(Limit::Memory));
                let coredump = coredump(&mut store, &error);
                (ending, trapped.then(|| trap::describe(&error)), coredump)
            }
        };
        let denials = store.data().process.denials().to_vec();
        Ok(Finished { ending, trap, denials, memory_peak: memory.peak(), coredump })
    }
}

enum Failed {
    NotStarted(Error),
    Ended(wasmtime::Error),
}

fn enter(
    store: &mut Store<Guest<ProcessHost>>,
    linked: &InstancePre<Guest<ProcessHost>>,
) -> std::result::Result<(), Failed> {
    let instance = linked.instantiate(&mut *store).map_err(|error| {
        let guests_doing = error.is::<wasmtime::Trap>()
            || error.is::<wasmtime::ThrownException>()
            || error.is::<Exit>()
            || error.is::<Stopped>();
        if guests_doing || store.data().limiter.refused() {
            Failed::Ended(error)
        } else {
            Failed::NotStarted(Error::Invalid(format!("{error:#}")))
        }
    })?;
    let main = instance.get_typed_func::<(), ()>(&mut *store, "_start").map_err(|error| {
        Failed::NotStarted(Error::Invalid(format!("its `_start` is no command: {error:#}")))
    })?;
    main.call(&mut *store, ()).map_err(Failed::Ended)
}

/// Makes a running guest look, whenever the epoch moves, whether it must stop or pause.
pub(crate) fn interrupt_at_epochs<T>(
    store: &mut Store<T>,
    interrupt: &Interrupt,
    watchdog: Option<&Watchdog>,
) {
    let interrupt = interrupt.clone();
    let share = watchdog.and_then(Watchdog::share);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let pause_until = share.as_ref().and_then(|share| share.pause_until());
        // Without a pause, this only looks.
        let until = pause_until.unwrap_or_else(Instant::now);
        match interrupt.wait(&[], Some(until)) {
            Ok(()) => Ok(UpdateDeadline::Continue(1)),
            Err(reason) => Err(wasmtime::Error::new(Stopped(reason))),
        }
    });
}

/// How a run ended that returned an error. `refused` says that the guest was refused memory before.
pub(crate) fn ending_of(error: &wasmtime::Error, refused: bool) -> Ending {
    if let Some(Exit(code)) = error.downcast_ref() {
        return Ending::Exited(*code);
    }
    if let Some(Stopped(reason)) = error.downcast_ref() {
        return reason.ending();
    }
    // Allocators of guests answer a refused growth with `unreachable`: the trap is the limit's doing.
    if refused {
        return Ending::Limit(Limit::Memory);
    }
    Ending::Trapped
}

/// The core dump of a guest that ended with `error`, if the engine kept what it needs.
pub(crate) fn coredump<T>(store: &mut Store<T>, error: &wasmtime::Error) -> Option<Vec<u8>> {
    Some(error.downcast_ref::<wasmtime::WasmCoreDump>()?.serialize(store, "guest"))
}
