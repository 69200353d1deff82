//! How many requests are in the hands of instances at once, and how many wait for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The gate before an app's instances.
pub(super) struct Gate {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    patience: Duration,
}

impl Gate {
    /// Lets `slots` requests in, and `waiting_max` wait, each for `patience`.
    pub(super) fn new(slots: usize, waiting_max: usize, patience: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(slots));
        Self { slots, waiting: AtomicUsize::new(0), waiting_max, patience }
    }

    /// Waits for a slot; first come, first served. `None` when too many wait, or for too long.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        let _waits = Waits::begin(self)?;
        tokio::time::timeout(self.patience, Arc::clone(&self.slots).acquire_owned()).await.ok()?.ok()
    }
}

/// A place in the queue.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(gate: &'a Gate) -> Option<Self> {
        let waits = Self(&gate.waiting);
        (gate.waiting.fetch_add(1, Ordering::AcqRel) < gate.waiting_max).then_some(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn so_many_are_let_in_so_many_wait_and_the_others_are_turned_away() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let gate = Gate::new(1, 1, Duration::from_secs(3600));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(first)) = pin!(gate.enter()).poll(&mut context) else { panic!() };
        {
            let mut second = pin!(gate.enter());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert!(matches!(pin!(gate.enter()).poll(&mut context), Poll::Ready(None)));
            drop(first);
            assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        }
        // Both places are free again.
        let Poll::Ready(Some(_first)) = pin!(gate.enter()).poll(&mut context) else { panic!() };
        assert!(pin!(gate.enter()).poll(&mut context).is_pending());
        assert!(pin!(gate.enter()).poll(&mut context).is_pending());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let gate = Gate::new(0, 1, Duration::from_millis(1));
        assert!(runtime.block_on(gate.enter()).is_none());
    }
}
