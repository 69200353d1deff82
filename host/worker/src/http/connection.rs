//! One connection.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::task::Poll;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::limits::{BUFFER_BYTES_MAX, HEAD_BYTES_MAX, Patience};
use super::stream::Patient;

/// Answers the requests of one client with `service` until it goes, or `draining` says that there should be no more: then
/// a request that is under way ends, and the connection with it. Where none is, one more may come
/// within `patience.linger`.
pub(super) async fn serve<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    patience: &Patience,
    mut draining: watch::Receiver<bool>,
    service: impl Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
) where
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    let stream = TokioIo::new(Patient::new(stream, patience.write));
    let mut connection = pin!(http.serve_connection(stream, service));
    let mut drained = pin!(async {
        let _ = draining.wait_for(|draining| *draining).await;
        tokio::time::sleep(patience.linger).await;
    });
    let mut last = false;
    std::future::poll_fn(|context| {
        // How it ended is of no interest: a client may go whenever it likes.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !last && drained.as_mut().poll(context).is_ready() {
            last = true;
            connection.as_mut().graceful_shutdown();
            return connection.as_mut().poll(context).map(drop);
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
