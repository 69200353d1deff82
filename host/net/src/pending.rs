//! A result that comes later.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A result that a task of the reactor works out. Dropping it ends the task.
pub(crate) struct Pending<T> {
    cell: Arc<Cell<T>>,
    task: AbortHandle,
}

/// Where the result comes to lie.
pub(crate) struct Cell<T> {
    result: OnceLock<T>,
    guest: Mutex<Option<Waker>>,
}

impl<T> Cell<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.result.get()
    }

    /// Lets who waits look again.
    pub(crate) fn wake(&self) {
        let guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner).take();
        guest.into_iter().for_each(Waker::wake);
    }
}

impl<T: Send + Sync + 'static> Pending<T> {
    /// Starts to work it out.
    pub(crate) fn start(reactor: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        let cell = Arc::new(Cell { result: OnceLock::new(), guest: Mutex::default() });
        let place = Arc::clone(&cell);
        let task = reactor.spawn(async move {
            let result = work.await;
            // Only this task sets it.
            let _ = place.result.set(result);
            place.wake();
        });
        Self { cell, task: task.abort_handle() }
    }

    /// The result, when it has come.
    pub(crate) fn get(&self) -> Option<&T> {
        self.cell.get()
    }

    /// The result, or `waker` is woken when it has come. One is kept.
    pub(crate) fn get_or_wake(&self, waker: Option<&Waker>) -> Option<&T> {
        // Under the lock, so that the task sees the waker or this sees the result.
        let mut guest = self.cell.guest.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.cell.get();
        if result.is_none()
            && let Some(waker) = waker
        {
            *guest = Some(waker.clone());
        }
        result
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<T>> {
        &self.cell
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
