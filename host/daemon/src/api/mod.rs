//! The HTTP API over the Unix socket: a thread of its own that never decides, and never waits for a disk.

mod apps;
mod blobs;
mod bundles;
mod events;
mod files;
mod input;
mod logs;
mod manifests;
pub(crate) mod metrics;
mod openapi;
mod rest;
mod sessions;
mod stream;
mod table;
mod transfer;
mod visitors;
mod volumes;

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use qyvold_store::Volumes;
use tokio::sync::{Semaphore, oneshot};

use self::visitors::Visitors;
use crate::fault::{Fault, Kind};
use crate::follow::Followed;
use crate::overseer::{Handle, Opened};
use crate::remote;

/// The most logs and events that are followed at once.
const STREAMS_MAX: usize = 256;

/// How long requests may go on when the daemon ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What every request is answered from.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) opened: Opened,
    pub(crate) handle: Handle,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) followed: Followed,
}

/// The API, being served.
#[derive(Debug)]
pub(crate) struct Server {
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Server {
    /// Takes no more requests, and waits a moment for those under way.
    pub(crate) fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

/// Serves the API on `listener`.
pub(crate) fn serve(
    listener: UnixListener,
    opened: Opened,
    handle: Handle,
    followed: Followed,
    remote: Option<remote::Bound>,
) -> Result<Server, String> {
    let volumes = Arc::new(Volumes::open(&opened.options.state).map_err(|error| error.to_string())?);
    let context =
        Context { opened, handle, volumes, streams: Arc::new(Semaphore::new(STREAMS_MAX)), followed };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the API: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (end, ended) = oneshot::channel::<()>();
    let from_afar = context.handle.clone();
    let work = move || {
        runtime.block_on(async move {
            let listener = match tokio::net::UnixListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return eprintln!("qyvold: the API is not served: {error}"),
            };
            let (stop, stopped) = oneshot::channel::<()>();
            let listener = Visitors::new(listener, Arc::clone(&context.handle.peers));
            let router = router(context);
            if let Some(bound) = remote {
                tokio::spawn(remote::serve(bound, router.clone(), from_afar));
            }
            let server = axum::serve(listener, router).with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
            let server = tokio::spawn(async move { server.await });
            let _ = ended.await;
            let _ = stop.send(());
            let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
        });
        // Followers of logs look after a while whether anybody listens.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("api".into()).spawn(work).map_err(|error| error.to_string())?;
    Ok(Server { end, thread })
}

fn router(context: Context) -> Router {
    let mut router = Router::new();
    for route in table::routes() {
        let handler = (route.handler)();
        #[cfg(feature = "otel")]
        let handler = match context.handle.telemetry.clone() {
            Some(telemetry) => crate::otel::traced(telemetry, route.path, handler),
            None => handler,
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(|uri: http::Uri| async move {
            Fault::new(Kind::NotFound, format!("there is no `{}`", uri.path()))
                .hint("`/v1/openapi.json` lists what there is")
        })
        .method_not_allowed_fallback(|method: http::Method, uri: http::Uri| async move {
            let mut response =
                Fault::invalid(format!("`{}` does not take {method}", uri.path())).into_response();
            *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
            response
        })
        .with_state(context)
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.kind.status(), Json(self.problem())).into_response()
    }
}

/// Does work that waits for disks on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}
