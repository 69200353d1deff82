//! The host that these tests play: an `Arc<Mutex>` as the link, and wakers that count.

mod ends;
mod names;
mod network;

mod pipes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use crate::{Connection, Link};

#[derive(Clone, Debug)]
struct Locked(Arc<Mutex<Connection>>);

impl Link for Locked {
    fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
        work(&mut self.0.lock().unwrap())
    }
}

/// Counts how often it was woken.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (bell.clone(), bell.into())
}
