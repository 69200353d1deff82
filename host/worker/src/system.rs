//! `service://qyvold`, as programs reach it: conversations in lines of JSON, which this process answers.
//!
//! What may be done is the daemon's to say ([`asks`](crate::asks)); what is done beside an instance is done here: children
//! run where the program runs that starts them, and their bytes go no further. A conversation holds nobody up: it is a task of
//! the reactor, reads no more than it is answering, and what waits on its way is charged to the app's memory.

mod children;
mod conversation;
mod request;

use std::sync::Arc;

use qyv_spec::service::Name;
use qyv_svc::{Direction, End};
use qyv_vfs::{Budget, Error, Result};
use qyvol_protocol::InstanceId;
use tokio::sync::Semaphore;

use crate::instance::{Given, Instance};
use crate::services::Shared;
use crate::worker::Worker;

/// The most conversations of one instance and its children at once.
const CONVERSATIONS_MAX: usize = 32;

/// The most questions to the daemon that are open for one instance.
const ASKS_EACH_MAX: usize = 4;

/// What one instance, with its children, may ask at once.
pub(crate) struct Turns {
    conversations: Arc<Semaphore>,
    asks: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            conversations: Arc::new(Semaphore::new(CONVERSATIONS_MAX)),
            asks: Arc::new(Semaphore::new(ASKS_EACH_MAX)),
        }
    }
}

/// A program that may ask.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) worker: Arc<Worker>,
    /// The instance that it is, or beside which it runs.
    pub(crate) instance: InstanceId,
    /// The apps through which it was started.
    pub(crate) via: Vec<Name>,
    /// What it has, for programs of its own bundle; a handler of requests has none.
    pub(crate) given: Option<Arc<Given>>,
    pub(crate) memory: Budget,
}

impl Caller {
    /// Begins a conversation.
    ///
    /// # Errors
    ///
    /// `CONNREFUSED` beyond [`CONVERSATIONS_MAX`], `NOMEM` when the app's memory is used up.
    pub(crate) fn dial(&self, ways: Direction) -> Result<End<Shared>> {
        let instance = self.worker.instance(&self.instance).ok_or(Error::CONNREFUSED)?;
        let place = Arc::clone(&instance.turns.conversations).try_acquire_owned();
        let place = place.map_err(|_| Error::CONNREFUSED)?;
        let (near, far) = End::pair(&self.memory, &self.memory)?;
        match ways {
            Direction::Receive => near.shutdown(Direction::Send),
            Direction::Send => near.shutdown(Direction::Receive),
            Direction::Both => {}
        }
        self.worker.reactor.spawn(conversation::hold(self.clone(), far, place));
        Ok(near)
    }

    fn running(&self) -> Option<Arc<Instance>> {
        self.worker.instance(&self.instance)
    }
}
