//! Whatever comes first.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::sleep;

/// Which of two came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first, with its result.
    First(A),
    /// The second, with its result.
    Second(B),
}

/// Waits for whichever of two is done first, and drops the other. When both are, it is the first.
///
/// No message is lost when [`send`](crate::net::Connection::send), [`recv`](crate::net::Connection::recv) or
/// [`accept`](crate::net::Listener::accept) is dropped like this.
pub async fn race<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// Waits at most this long. `None` when it took longer: it is dropped then.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match race(future, sleep(limit)).await {
        Either::First(output) => Some(output),
        Either::Second(()) => None,
    }
}
