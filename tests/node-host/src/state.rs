//! The one guest of this module.

use std::cell::RefCell;

use qyv_wasi::{Process, Wait};

use crate::setup::Setup;

/// Everything that lives from call to call.
#[derive(Default)]
pub(crate) struct State {
    /// What JavaScript passes, and is given back.
    pub(crate) buffer: Vec<u8>,
    pub(crate) setup: Setup,
    pub(crate) process: Option<Process>,
    pub(crate) wait: Wait,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Lends the state. No import calls back into this module, so it is never lent twice.
pub(crate) fn with<R>(use_it: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(use_it)
}

/// Makes the buffer `length` bytes long and returns its address.
#[unsafe(no_mangle)]
extern "C" fn reserve(length: usize) -> *mut u8 {
    with(|state| {
        state.buffer.clear();
        state.buffer.resize(length, 0);
        state.buffer.as_mut_ptr()
    })
}

/// Where the buffer is now.
#[unsafe(no_mangle)]
extern "C" fn buffer() -> *const u8 {
    with(|state| state.buffer.as_ptr())
}
