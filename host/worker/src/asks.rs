//! What the worker asks its daemon for programs, and the answers that are waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_spec::service::Name;
use qyvol_protocol::InstanceId;
use qyvol_protocol::system::{ASKS_MAX, Answer, Ask, Question, Refused, RefusedKind, Told};
use qyvol_protocol::worker::FromWorker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::reporter::Reporter;

/// The questions of a worker.
pub(crate) struct Asks {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether a daemon listens.
    connected: bool,
    asked: u64,
    waiting: HashMap<u64, Waiting>,
}

/// Who waits. The places are kept until the daemon has answered, whether somebody still waits or not.
struct Waiting {
    told: oneshot::Sender<Told>,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Default for Asks {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(ASKS_MAX)), state: Mutex::default() }
    }
}

impl Asks {
    /// Asks, and waits for the answer. `turns` bounds what is asked for one instance at once.
    pub(crate) async fn ask(
        &self,
        reporter: &Reporter,
        turns: &Arc<Semaphore>,
        (instance, via): (InstanceId, Vec<Name>),
        question: Question,
    ) -> Told {
        let own = Arc::clone(turns).acquire_owned().await;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let (Ok(own), Ok(place)) = (own, place) else { return away() };
        let (told, answer) = oneshot::channel();
        let number = {
            let mut state = self.lock();
            if !state.connected {
                return away();
            }
            state.asked += 1;
            let number = state.asked;
            state.waiting.insert(number, Waiting { told, _places: (own, place) });
            number
        };
        reporter.tell(FromWorker::Ask(Box::new(Ask { number, instance, via, question })));
        answer.await.unwrap_or_else(|_| away())
    }

    /// The daemon has answered.
    pub(crate) fn answered(&self, answer: Answer) {
        let waiting = self.lock().waiting.remove(&answer.number);
        if let Some(waiting) = waiting {
            // Who does not wait any more has gone meanwhile.
            let _ = waiting.told.send(answer.told);
        }
    }

    /// A daemon listens from now on.
    pub(crate) fn connect(&self) {
        self.lock().connected = true;
    }

    /// The daemon is gone: nobody will answer what it was asked.
    pub(crate) fn disconnect(&self) {
        let mut state = self.lock();
        state.connected = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away() -> Told {
    Told::Refused(Refused {
        kind: RefusedKind::Unavailable,
        message: "the daemon does not run at the moment, or has started anew meanwhile".to_owned(),
        hint: Some("look what was done of it, and ask again".to_owned()),
    })
}
