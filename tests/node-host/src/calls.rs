//! One export for each function of preview 1, made from the core's list.

use qyv_wasi::{Errno, Outcome};

use crate::host::{GuestMemory, NodeHost};
use crate::state;

/// The result of a call that must wait: see [`wait_clock`] and [`wait_deadline`], then call again.
const WAIT: i32 = -1;

trait IntoResult {
    /// The error number, or [`WAIT`] with what to wait for put aside.
    fn into_result(self, process: &qyv_wasi::Process, wait: &mut qyv_wasi::Wait) -> i32;
}

impl IntoResult for Errno {
    fn into_result(self, _: &qyv_wasi::Process, _: &mut qyv_wasi::Wait) -> i32 {
        self.raw()
    }
}

impl IntoResult for Outcome {
    fn into_result(self, process: &qyv_wasi::Process, wait: &mut qyv_wasi::Wait) -> i32 {
        match self {
            Self::Done(errno) => errno.raw(),
            Self::Wait(token) => {
                *wait = process.wait(token).clone();
                WAIT
            }
        }
    }
}

macro_rules! exports {
    ($($how:ident $name:ident($($arg:ident: $kind:ty),* $(,)?);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: $kind),*) -> i32 {
            state::with(|state| {
                let Some(process) = &mut state.process else { return qyv_wasi::Error::NOSYS as i32 };
                let answer = process.$name(&mut GuestMemory, &mut NodeHost $(, $arg)*);
                answer.into_result(process, &mut state.wait)
            })
        }
    )*};
}

qyv_wasi::preview1!(exports);

/// The clock of the deadline that the last call waits for; negative when it has none.
#[unsafe(no_mangle)]
extern "C" fn wait_clock() -> i32 {
    state::with(|state| state.wait.deadline().map_or(-1, |(clock, _)| clock as i32))
}

/// The deadline that the last call waits for, in nanoseconds of [`wait_clock`].
#[unsafe(no_mangle)]
extern "C" fn wait_deadline() -> u64 {
    state::with(|state| state.wait.deadline().map_or(0, |(_, deadline)| deadline))
}
