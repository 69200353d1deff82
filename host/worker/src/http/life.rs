//! The end of an instance that answers requests, and what it was refused.

use std::sync::{Arc, Mutex, PoisonError};

use qyv_wasi::Denial;

use super::limits::DENIALS_MAX;
use crate::instance::Instance;
use crate::worker::Worker;

/// Held by every task of an instance. Dropping the last one tells the end.
pub(super) struct Life {
    worker: Arc<Worker>,
    instance: Arc<Instance>,
    denied: Arc<Denied>,
}

impl Life {
    pub(super) fn new(worker: Arc<Worker>, instance: Arc<Instance>, denied: Arc<Denied>) -> Self {
        Self { worker, instance, denied }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let denials = self.denied.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.instance.tell_end(&self.worker, None, &denials);
    }
}

/// What all requests together were refused.
#[derive(Default)]
pub(super) struct Denied(Mutex<Vec<Denial>>);

impl Denied {
    /// Adds what one request was refused.
    pub(super) fn add(&self, more: &[Denial]) {
        if more.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for denial in more {
            let same = |old: &&mut Denial| {
                old.call == denial.call && old.what == denial.what && old.right == denial.right
            };
            if let Some(old) = all.iter_mut().find(same) {
                old.times = old.times.saturating_add(denial.times);
            } else if all.len() < DENIALS_MAX {
                all.push(denial.clone());
            }
        }
    }
}
