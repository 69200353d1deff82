//! Runs a component as a program.

use wasmtime::Store;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::state::ComponentView;

/// Calls `wasi:cli/run` and returns the program's exit code: 0 or 1 for its result, or what it passed to
/// `wasi:cli/exit`. Polls like any future; it must be polled inside a tokio runtime that has a clock
/// (`enable_time`), on which the guest's timers run.
///
/// The store's limiter, epochs and fuel are the caller's business; dropping the future stops the guest.
///
/// # Errors
///
/// What stopped the program before it could exit: a trap (a `wasmtime::Trap` within the error), a limit, or an import
/// that is missing although [`check`](super::check) knew its interface (a function newer than this host).
pub async fn run_command<T: ComponentView>(
    store: &mut Store<T>,
    linker: &Linker<T>,
    component: &Component,
) -> wasmtime::Result<i32> {
    let command = CommandPre::new(linker.instantiate_pre(component)?)?;
    let fuel = store.data_mut().component().limits().call_bytes;
    store.set_hostcall_fuel(fuel);
    // The start of an instance runs guest code too, and may exit.
    let result = match command.instantiate_async(&mut *store).await {
        Ok(command) => command.wasi_cli_run().call_run(&mut *store).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(&I32Exit(code)) => Ok(code),
            None => Err(error),
        },
    }
}
