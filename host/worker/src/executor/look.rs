//! What a thread without work looks at before it sleeps.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// Something that may make a task ready at any moment.
pub(crate) trait Look: Send + Sync {
    /// Looks once, without waiting. Returns whether a task was made ready.
    fn look(&self) -> bool;
}

thread_local! {
    static NEAR: RefCell<Option<Weak<dyn Look>>> = const { RefCell::new(None) };
}

/// Has this thread look there when it has nothing to do the next time, if it is one of an executor.
pub(crate) fn look_for(there: &Arc<dyn Look>) {
    NEAR.with(|near| near.replace(Some(Arc::downgrade(there))));
}

/// What this thread is to look at, once.
pub(super) fn take() -> Option<Arc<dyn Look>> {
    NEAR.with(RefCell::take)?.upgrade()
}
