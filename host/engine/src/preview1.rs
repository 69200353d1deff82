//! Links `wasi_snapshot_preview1` to the core.
//!
//! The list of functions is the core's own ([`qyv_wasi::preview1!`]). A function that never waits is a plain host
//! function; one that may is called again after the wait. Guests here have a thread to themselves, so a wait blocks.

use qyv_wasi::{Errno, Outcome, Process};
use wasmtime::{Caller, Engine, Extern, InstancePre, Linker, Module};

use crate::host::ProcessHost;
use crate::interrupt::Reason;
use crate::limits::Limiter;
use crate::{Error, Result};

const MODULE: &str = "wasi_snapshot_preview1";

/// The data of a store that runs a module.
pub(crate) struct Guest {
    pub(crate) process: Process,
    pub(crate) host: ProcessHost,
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
fn lend<'a>(caller: &'a mut Caller<'_, Guest>) -> (Lent<'a>, &'a mut Guest) {
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
        /// Offers every function of preview 1.
        fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    |mut caller: Caller<'_, Guest>, $($arg: $type),*| -> wasmtime::Result<i32> {
                        let (mut memory, guest) = lend(&mut caller);
                        link!(@$how guest, memory, $name($($arg),*))
                    },
                )?;
            )*
            linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
                Err(wasmtime::Error::new(Exit(code.cast_unsigned())))
            })?;
            Ok(())
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
}

macro_rules! names {
    ($($how:ident $name:ident($($arg:ident: $type:ident),*);)*) => { [$(stringify!($name)),*] };
}

qyv_wasi::preview1!(link);

/// Links a module to preview 1, or names everything that it imports and nobody offers.
pub(crate) fn link(engine: &Engine, module: &Module) -> Result<InstancePre<Guest>> {
    if module.get_export("_start").is_none() {
        return Err(Error::NoEntry);
    }
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker)?;
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
