//! Links `wasi_snapshot_preview1` to the core.
//!
//! The list of functions is the core's own ([`qyv_wasi::preview1!`]). A function that never waits is a plain host
//! function; one that may is called again after the wait. The wait of a guest that has a thread to itself blocks that
//! thread; the wait of one that shares threads suspends the guest, which costs each such call one box.

use std::future::poll_fn;

use qyv_wasi::{Errno, Outcome, Process};
use wasmtime::{Caller, Engine, Extern, InstancePre, Linker, Module};

use crate::host::ProcessHost;
use crate::interrupt::Reason;
use crate::limits::Limiter;
use crate::shared::SharedHost;
use crate::{Error, Result};

const MODULE: &str = "wasi_snapshot_preview1";

/// The data of a store that runs a module.
pub(crate) struct Guest<H> {
    pub(crate) process: Process,
    pub(crate) host: H,
    pub(crate) limiter: Limiter,
    /// The guest's exported memory, looked up once.
    pub(crate) memory: Option<wasmtime::Memory>,
}

/// The guest called `proc_exit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit(pub(crate) u32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit with code {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// The guest was asked to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped(pub(crate) Reason);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stopped: {:?}", self.0)
    }
}

impl std::error::Error for Stopped {}

/// The guest's memory, lent to the core for one call.
struct Lent<'a>(&'a mut [u8]);

impl qyv_wasi::Memory for Lent<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, at: u32, into: &mut [u8]) -> qyv_wasi::Result<()> {
        let end = (at as usize).checked_add(into.len()).ok_or(qyv_wasi::Error::FAULT)?;
        into.copy_from_slice(self.0.get(at as usize..end).ok_or(qyv_wasi::Error::FAULT)?);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> qyv_wasi::Result<()> {
        let end = (at as usize).checked_add(from.len()).ok_or(qyv_wasi::Error::FAULT)?;
        self.0.get_mut(at as usize..end).ok_or(qyv_wasi::Error::FAULT)?.copy_from_slice(from);
        Ok(())
    }

    fn bytes(&mut self) -> Option<&mut [u8]> {
        Some(self.0)
    }
}

/// Lends the guest's memory, the export `memory` of the module that calls, and the store's data. A module without one
/// has a memory of no bytes: every address is `FAULT`.
fn lend<'a, H: 'static>(caller: &'a mut Caller<'_, Guest<H>>) -> (Lent<'a>, &'a mut Guest<H>) {
    if caller.data().memory.is_none()
        && let Some(Extern::Memory(memory)) = caller.get_export("memory")
    {
        caller.data_mut().memory = Some(memory);
    }
    match caller.data().memory {
        Some(memory) => {
            let (bytes, guest) = memory.data_and_store_mut(caller);
            (Lent(bytes), guest)
        }
        None => (Lent(&mut []), caller.data_mut()),
    }
}

macro_rules! link {
    ($($how:ident $name:ident($($arg:ident: $type:ident),*);)*) => {
        /// Offers every function of preview 1 to guests that have a thread to themselves.
        fn add_blocking(linker: &mut Linker<Guest<ProcessHost>>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    |mut caller: Caller<'_, Guest<ProcessHost>>, $($arg: $type),*| -> wasmtime::Result<i32> {
                        let (mut memory, guest) = lend(&mut caller);
                        link!(@$how guest, memory, $name($($arg),*))
                    },
                )?;
            )*
            add_exit(linker)
        }

        /// Offers every function of preview 1 to guests that share threads.
        fn add_suspending<H: SharedHost>(linker: &mut Linker<Guest<H>>) -> wasmtime::Result<()> {
            $(link!(@suspending $how linker, $name($($arg: $type),*));)*
            // For those who wait in a loop for what another guest does on the same thread.
            linker.allow_shadowing(true);
            linker.func_wrap_async(MODULE, "sched_yield", |_: Caller<'_, Guest<H>>, (): ()| Box::new(async {
                let mut yielded = false;
                poll_fn(|context| {
                    if std::mem::replace(&mut yielded, true) {
                        return std::task::Poll::Ready(());
                    }
                    context.waker().wake_by_ref();
                    std::task::Poll::Pending
                })
                .await;
                Errno::SUCCESS.raw()
            }))?;
            linker.allow_shadowing(false);
            add_exit(linker)
        }
    };
    (@now $guest:ident, $memory:ident, $name:ident($($arg:ident),*)) => {{
        let errno: Errno = $guest.process.$name(&mut $memory, &mut $guest.host, $($arg),*);
        Ok(errno.raw())
    }};
    (@wait $guest:ident, $memory:ident, $name:ident($($arg:ident),*)) => {{
        loop {
            match $guest.process.$name(&mut $memory, &mut $guest.host, $($arg),*) {
                Outcome::Done(errno) => return Ok(errno.raw()),
                Outcome::Wait(token) => $guest
                    .host
                    .wait($guest.process.wait(token))
                    .map_err(|reason| wasmtime::Error::new(Stopped(reason)))?,
            }
        }
    }};
    (@suspending now $linker:ident, $name:ident($($arg:ident: $type:ident),*)) => {
        $linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, Guest<H>>, $($arg: $type),*| -> wasmtime::Result<i32> {
                let (mut memory, guest) = lend(&mut caller);
                link!(@now guest, memory, $name($($arg),*))
            },
        )?
    };
    (@suspending wait $linker:ident, $name:ident($($arg:ident: $type:ident),*)) => {
        $linker.func_wrap_async(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, Guest<H>>, ($($arg,)*): ($($type,)*)| Box::new(async move {
                loop {
                    let (mut memory, guest) = lend(&mut caller);
                    let token = match guest.process.$name(&mut memory, &mut guest.host, $($arg),*) {
                        Outcome::Done(errno) => return errno.raw(),
                        Outcome::Wait(token) => token,
                    };
                    poll_fn(|context| {
                        let guest = caller.data_mut();
                        guest.host.poll_wait(guest.process.wait(token), context)
                    })
                    .await;
                }
            }),
        )?
    };
}

fn add_exit<H: 'static>(linker: &mut Linker<Guest<H>>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(code.cast_unsigned())))
    })?;
    Ok(())
}

macro_rules! names {
    ($($how:ident $name:ident($($arg:ident: $type:ident),*);)*) => { [$(stringify!($name)),*] };
}

qyv_wasi::preview1!(link);

/// Links a module whose guest has a thread to itself, or names everything that it imports and nobody offers.
pub(crate) fn link(engine: &Engine, module: &Module) -> Result<InstancePre<Guest<ProcessHost>>> {
    let mut linker = Linker::new(engine);
    add_blocking(&mut linker)?;
    instantiate_pre(&linker, module)
}

/// Links a module whose guests share threads, as [`link()`].
pub(crate) fn link_shared<H: SharedHost>(engine: &Engine, module: &Module) -> Result<InstancePre<Guest<H>>> {
    let mut linker = Linker::new(engine);
    add_suspending(&mut linker)?;
    instantiate_pre(&linker, module)
}

fn instantiate_pre<H: 'static>(linker: &Linker<Guest<H>>, module: &Module) -> Result<InstancePre<Guest<H>>> {
    if module.get_export("_start").is_none() {
        return Err(Error::NoEntry);
    }
    linker.instantiate_pre(module).map_err(|error| {
        let offered = |name: &str| name == "proc_exit" || qyv_wasi::preview1!(names).contains(&name);
        let missing: Vec<String> = module
            .imports()
            .filter(|import| import.module() != MODULE || !offered(import.name()))
            .map(|import| format!("`{}::{}`", import.module().escape_debug(), import.name().escape_debug()))
            .collect();
        // A function that is offered, with another type.
        if missing.is_empty() { Error::Invalid(format!("{error:#}")) } else { Error::MissingImports(missing) }
    })
}
