//! Ctrl-C as an event.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Code, Failure, Result};

/// Ctrl-C, once it is watched for; before, it ends the process as usual. The second one ends it in any case.
#[derive(Default)]
pub(super) struct Interrupt(RefCell<Option<Signal>>);

impl Interrupt {
    /// Makes Ctrl-C an event from now on.
    pub(super) fn watch(&self, runtime: &Runtime) -> Result<()> {
        let mut watched = self.0.borrow_mut();
        if watched.is_some() {
            return Ok(());
        }
        let pressed = Arc::new(AtomicBool::new(false));
        let (number, code) = (signal_hook::consts::SIGINT, Code::Interrupted as i32);
        signal_hook::flag::register_conditional_shutdown(number, code, Arc::clone(&pressed))
            .and_then(|_| signal_hook::flag::register(number, pressed))
            .map_err(Failure::own)?;
        let _inside = runtime.enter();
        *watched = Some(signal(SignalKind::interrupt()).map_err(Failure::own)?);
        Ok(())
    }

    /// Waits for it; for ever when it is not watched for.
    pub(super) async fn pressed(&self) {
        std::future::poll_fn(|context| match &mut *self.0.borrow_mut() {
            Some(signal) => signal.poll_recv(context).map(drop),
            None => std::task::Poll::Pending,
        })
        .await;
    }
}
