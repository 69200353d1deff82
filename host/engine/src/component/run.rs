//! Runs a component as a program.

use wasmtime::Store;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::state::ComponentView;

/// A component whose imports are linked, ready to be run any number of times.
pub struct Prepared<T: 'static>(CommandPre<T>);

impl<T: ComponentView> Prepared<T> {
    /// Links a component to `linker`, which [`add_to_linker`](super::add_to_linker) filled.
    ///
    /// # Errors
    ///
    /// When an import is missing (of one that [`check`](super::check()) let pass: a function that is newer than this
    /// host), or `wasi:cli/run` is not exported.
    pub fn new(linker: &Linker<T>, component: &Component) -> wasmtime::Result<Self> {
        Ok(Self(CommandPre::new(linker.instantiate_pre(component)?)?))
    }

    /// Calls `wasi:cli/run` in a new instance and returns the program's exit code: 0 or 1 for its result, or what it
    /// passed to `wasi:cli/exit`. Must be polled inside a tokio runtime with a clock and I/O, on which the guest's
    /// timers run. The store's limiter and epochs are the caller's business; dropping the future stops the guest.
    ///
    /// # Errors
    ///
    /// What ended the program before it could exit: a trap (a `wasmtime::Trap` within the error), a limit, or what an
    /// epoch callback returned.
    pub async fn run(&self, store: &mut Store<T>) -> wasmtime::Result<u8> {
        let fuel = store.data_mut().component().limits().call_bytes;
        store.set_hostcall_fuel(fuel);
        // The start of an instance runs guest code too, and may exit.
        let result = match self.0.instantiate_async(&mut *store).await {
            Ok(command) => command.wasi_cli_run().call_run(&mut *store).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Ok(())) => Ok(0),
            Ok(Err(())) => Ok(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                // The interface has a `u8`.
                Some(&I32Exit(code)) => Ok(u8::try_from(code).unwrap_or(1)),
                None => Err(error),
            },
        }
    }
}
