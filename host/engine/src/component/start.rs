//! Runs a component from its start to its end, as [`Program::run`](crate::Program::run) does with a module.

use std::future::{Future, poll_fn};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use qyv_vfs::{Budget, Charge};
use qyv_wasi::{Parts, StreamKind};
use qyvol_net::Outside;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::cli::{StdinStream, StdoutStream};

use super::check::is_program;
use super::limits::ComponentLimits;
use super::link::add_to_linker;
use super::run::Prepared;
use super::services::{Lent, Services};
use super::state::{ComponentConfig, ComponentState, ComponentView};
use super::stdin::HostStdin;
use super::stdio::SinkStream;
use crate::host::ProcessHost;
use crate::interrupt::Interrupt;
use crate::limits::Limiter;
use crate::preview1::Stopped;
use crate::run::{coredump, ending_of, interrupt_at_epochs};
use crate::{Ending, Error, Finished, Limit, Output, Result, Start, Stdio, trap};

/// The data of a store that runs a component.
struct Guest {
    component: ComponentState,
    limiter: Limiter,
}

impl ComponentView for Guest {
    fn component(&mut self) -> &mut ComponentState {
        &mut self.component
    }
}

/// Runs a component with what its process was given. `instance_bytes` are what its instances cost besides what they
/// grow.
pub(crate) fn run(
    engine: &Engine,
    component: &Component,
    instance_bytes: u64,
    start: Start<'_>,
) -> Result<Finished> {
    if !is_program(component) {
        return Err(Error::NoProgram);
    }
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker)?;
    let prepared = Prepared::new(&linker, component)?;
    let Start { process, stdio, memory, outside, interrupt, watchdog } = start;
    let (config, _streams) = config(process.into_parts(), stdio, outside, &interrupt, &memory);
    // Held until the program has ended.
    let fixed_bytes = instance_bytes.saturating_add(config.limits.handle_bytes());
    let Some(_fixed) = memory.charge(fixed_bytes) else {
        return Ok(Finished::too_large(&memory));
    };
    let state = ComponentState::new(config).map_err(wasmtime::Error::new)?;
    let mut store = Store::new(engine, Guest { component: state, limiter: Limiter::new(memory.clone()) });
    store.limiter(|guest| &mut guest.limiter);
    interrupt_at_epochs(&mut store, &interrupt, watchdog);
    if let Some(reason) = interrupt.reason() {
        return Err(Error::Stopped(reason));
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(wasmtime::Error::new)?;
    let result = runtime.block_on(until_stopped(&interrupt, prepared.run(&mut store)));
    let (ending, trap, coredump) = match result {
        Ok(code) => (Ending::Exited(code.into()), None, None),
        Err(error) => {
            let refused = store.data().limiter.refused() || memory.refused() > 0;
            let ending = ending_of(&error, refused);
            let trapped = matches!(ending, Ending::Trapped | Ending::Limit(Limit::Memory));
            let coredump = coredump(&mut store, &error);
            (ending, trapped.then(|| trap::describe(&error)), coredump)
        }
    };
    let denials = store.data_mut().component.denials().to_vec();
    Ok(Finished { ending, trap, denials, memory_peak: memory.peak(), coredump })
}

fn config(
    parts: Parts,
    stdio: Stdio,
    outside: Option<Arc<Outside>>,
    interrupt: &Interrupt,
    memory: &Budget,
) -> (ComponentConfig, Charge) {
    // Whoever starts a component here grants it neither services nor listeners; what is left is the network outside.
    let Parts { args, env, vfs, preopens, descriptors, streams, services: _, listeners: _ } = parts;
    let services = outside.clone().map(|outside| {
        let host =
            ProcessHost::new(Stdio { stdin: false, ..stdio.clone() }, Some(outside), interrupt.clone());
        Services::new(Lent::new(host), Vec::new(), memory.clone())
    });
    let stdin: Box<dyn StdinStream + Sync> =
        if stdio.stdin { Box::new(HostStdin) } else { Box::new(tokio::io::empty()) };
    let config = ComponentConfig {
        args,
        env,
        vfs,
        preopens,
        services,
        outside,
        stdin,
        stdout: output(stdio.stdout, rustix::stdio::stdout(), interrupt),
        stderr: output(stdio.stderr, rustix::stdio::stderr(), interrupt),
        limits: ComponentLimits::of_process(descriptors.available(), memory.limit()),
        descriptors,
    };
    (config, streams)
}

/// A full sink is waited for as in modules: it ends in `descriptor`.
fn output(
    output: Output,
    descriptor: BorrowedFd<'static>,
    interrupt: &Interrupt,
) -> Box<dyn StdoutStream + Sync> {
    let stream = SinkStream::new(output.sink, output.kind == StreamKind::Terminal);
    Box::new(stream.waiting(descriptor, interrupt.clone()))
}

/// Polls a guest until it is over, or is asked to stop while it waits for something. (While it computes, it notices
/// at epochs.)
async fn until_stopped<R>(
    interrupt: &Interrupt,
    run: impl Future<Output = wasmtime::Result<R>>,
) -> wasmtime::Result<R> {
    let fd = interrupt.as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` names the same open descriptor from here until it is dropped, which `wake` does.
    let wake = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
    let mut run = pin!(run);
    poll_fn(|context| {
        if let Poll::Ready(result) = run.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        // What is readable once stays so; only a spurious readiness has no reason.
        match wake.poll_read_ready(context) {
            Poll::Ready(_) if let Some(reason) = interrupt.reason() => {
                Poll::Ready(Err(wasmtime::Error::new(Stopped(reason))))
            }
            _ => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use qyv_vfs::Budget;
    use qyv_wasi::ProcessBuilder;

    use super::*;
    use crate::interrupt::Reason;
    use crate::{Settings, config};

    /// A program whose `run` is this core function; it can call `$exit` with a code and `$sleep` with nanoseconds.
    fn program(run: &str) -> String {
        format!(
            r#"(component
            (import "wasi:io/poll@0.2.0" (instance $poll
                (export "pollable" (type $pollable (sub resource)))
                (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
                (alias outer 1 $pollable (type $outer))
                (export "pollable" (type $pollable (eq $outer)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
            (import "wasi:cli/exit@0.2.12" (instance $exit
                (export "exit-with-code" (func (param "status-code" u8)))))
            (core func $exit (canon lower (func $exit "exit-with-code")))
            (core func $block (canon lower (func $poll "[method]pollable.block")))
            (core func $subscribe (canon lower (func $clock "subscribe-duration")))
            (core module $m
                (import "host" "exit" (func $exit (param i32)))
                (import "host" "block" (func $block (param i32)))
                (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
                (memory 1)
                (func $sleep (param i64) (call $block (call $subscribe (local.get 0))))
                (func (export "run") (result i32) {run}))
            (core instance $i (instantiate $m (with "host" (instance
                (export "exit" (func $exit)) (export "block" (func $block)) (export "subscribe" (func $subscribe))))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $out (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $out)))"#
        )
    }

    /// Runs it with 1 MiB of memory, and asks it to stop after a moment when `stop` is set.
    fn run_program(code: &str, stop: bool) -> Finished {
        let engine = config::compiler(&Settings::default()).unwrap();
        let component = Component::new(&engine, wat::parse_str(program(code)).unwrap()).unwrap();
        let interrupt = Interrupt::new().unwrap();
        interrupt.attach(&engine);
        let stopper = interrupt.clone();
        let thread = std::thread::spawn(move || {
            if stop {
                std::thread::sleep(Duration::from_millis(30));
                stopper.raise(Reason::Timeout);
            }
        });
        let start = Start {
            process: ProcessBuilder::new().deny_root().build().unwrap(),
            stdio: Stdio { stdin: false, ..Stdio::default() },
            memory: Budget::new(1 << 20),
            outside: None,
            interrupt,
            watchdog: None,
        };
        let finished = run(&engine, &component, 100, start).unwrap();
        thread.join().unwrap();
        finished
    }

    #[test]
    fn endings_are_those_of_modules() {
        assert_eq!(run_program("i32.const 0", false).ending, Ending::Exited(0));
        assert_eq!(run_program("i32.const 1", false).ending, Ending::Exited(1));
        assert_eq!(
            run_program("(call $exit (i32.const 200)) unreachable", false).ending,
            Ending::Exited(200)
        );
        let trapped = run_program("unreachable", false);
        assert_eq!(trapped.ending, Ending::Trapped);
        assert!(trapped.trap.unwrap().reason.contains("unreachable"));
    }

    #[test]
    fn memory_is_limited() {
        let grown =
            "(if (i32.eq (memory.grow (i32.const 17)) (i32.const -1)) (then unreachable)) i32.const 0";
        let finished = run_program(grown, false);
        assert_eq!(finished.ending, Ending::Limit(Limit::Memory));
        assert!(finished.memory_peak <= 1 << 20);
    }

    /// 1 MiB pays for 256 handles of 256 bytes; they are charged whether they are made or not.
    #[test]
    fn handles_are_charged() {
        assert_eq!(run_program("i32.const 0", false).memory_peak, (64 << 10) + (64 << 10) + 100);
        let handles = "(local $n i32) (loop (drop (call $subscribe (i64.const 1)))
            (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const COUNT)))) i32.const 0";
        assert_eq!(run_program(&handles.replace("COUNT", "100"), false).ending, Ending::Exited(0));
        assert_ne!(run_program(&handles.replace("COUNT", "300"), false).ending, Ending::Exited(0));
    }

    #[test]
    fn a_loop_and_a_sleep_are_stopped() {
        for code in ["(loop (br 0)) unreachable", "(call $sleep (i64.const 0x7fff_ffff_ffff)) i32.const 0"] {
            let before = Instant::now();
            assert_eq!(run_program(code, true).ending, Ending::TimedOut, "{code}");
            assert!(before.elapsed() < Duration::from_secs(20), "{code}");
        }
    }

    #[test]
    fn a_sleep_ends_by_itself() {
        let before = Instant::now();
        assert_eq!(
            run_program("(call $sleep (i64.const 20_000_000)) i32.const 0", false).ending,
            Ending::Exited(0)
        );
        assert!(before.elapsed() >= Duration::from_millis(20));
    }
}
