//! The time that one request may take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Sleep;

/// Measures the time of one request while its instance is polled.
pub(super) struct Watch {
    /// When its time is over.
    until: Option<Instant>,
    /// Made when the instance first waits: most requests are answered at once.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The most processor time.
    cpu_max: Option<Duration>,
    cpu: Duration,
}

/// A request has taken more time than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Wall,
    Cpu,
}

impl Watch {
    /// Watches over a request that begins now.
    pub(super) fn new(wall: Duration, cpu: Option<Duration>) -> Self {
        Self { until: Instant::now().checked_add(wall), alarm: None, cpu_max: cpu, cpu: Duration::ZERO }
    }

    /// From now on the request may take as long as it likes; processor time is still counted.
    pub(super) fn lift(&mut self) {
        self.until = None;
        self.alarm = None;
    }

    /// Polls `work`, unless the time is over.
    pub(super) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R, Over>> {
        let polled = match self.cpu_max {
            None => work(context),
            Some(most) => {
                let before = thread_time();
                let polled = work(context);
                self.cpu += thread_time().saturating_sub(before);
                if self.cpu > most {
                    return Poll::Ready(Err(Over::Cpu));
                }
                polled
            }
        };
        if let Poll::Ready(result) = polled {
            return Poll::Ready(Ok(result));
        }
        let Some(until) = self.until else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
        // The alarm's own thread may be behind when this one is busy.
        if Instant::now() >= until || alarm.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(Over::Wall));
        }
        Poll::Pending
    }
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
