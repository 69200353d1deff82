//! Connections of clients on other hosts.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Bound, keys};
use crate::fault::{Fault, Kind};
use crate::overseer::Handle;

/// The most connections that have not yet shown the token, of all and of one address.
const STRANGERS_MAX: usize = 64;
const STRANGERS_OF_ONE_MAX: usize = 16;

/// The most connections that have.
const CLIENTS_MAX: usize = 256;

/// How long a handshake may take, and the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);

/// The most bytes and lines of the head of a request.
const HEAD_BYTES_MAX: usize = 32 << 10;
const HEAD_LINES_MAX: usize = 64;

/// How long a wrong token waits for its answer. It holds its place meanwhile, so that each address has so many tries a second.
const PENALTY: Duration = Duration::from_secs(1);

/// How often wrong tokens are told as an event, at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long nothing is accepted when the system has no descriptor for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
struct Desk {
    router: Router,
    folder: std::path::PathBuf,
    handle: Handle,
    strangers: Arc<Semaphore>,
    clients: Arc<Semaphore>,
    /// Strangers by address.
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// When wrong tokens were told last, and how many there were since.
    wrong: Mutex<(Option<Instant>, u64)>,
}

/// A connection that has not shown the token.
struct Stranger {
    desk: Arc<Desk>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut by_address = self.desk.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Answers connections until the runtime ends.
pub(crate) async fn serve(bound: Bound, router: Router, handle: Handle) {
    let Bound { listener, acceptor, folder, .. } = bound;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("qyvold: the API is not served over TCP: {error}"),
    };
    let desk = Arc::new(Desk {
        router,
        folder,
        handle,
        strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
        clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
        by_address: Mutex::default(),
        wrong: Mutex::default(),
    });
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // One too many is hung up upon: there is no cheaper answer.
        let Some(stranger) = desk.stranger(peer) else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                answer(stream, stranger).await;
            }
        });
    }
}

async fn answer(stream: tokio_rustls::server::TlsStream<TcpStream>, stranger: Stranger) {
    let desk = Arc::clone(&stranger.desk);
    // A stranger until a request has shown the token; then a client, which holds another place.
    let place: Arc<Mutex<(Option<Stranger>, Option<OwnedSemaphorePermit>)>> =
        Arc::new(Mutex::new((Some(stranger), None)));
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, place) = (Arc::clone(&desk), Arc::clone(&place));
        async move {
            if let Err(response) = desk.admit(request.headers(), &place).await {
                return Ok(*response);
            }
            TowerToHyperService::new(desk.router.clone()).call(request.map(Body::new)).await
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    server.max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_LINES_MAX);
    // A connection that breaks is its client's to notice.
    let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

type Place = Mutex<(Option<Stranger>, Option<OwnedSemaphorePermit>)>;

impl Desk {
    fn stranger(self: &Arc<Self>, peer: SocketAddr) -> Option<Stranger> {
        let permit = Arc::clone(&self.strangers).try_acquire_owned().ok()?;
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(peer.ip()).or_default();
        if *count >= STRANGERS_OF_ONE_MAX {
            return None;
        }
        *count += 1;
        Some(Stranger { desk: Arc::clone(self), address: peer.ip(), _permit: permit })
    }

    /// Whether a request shows the token; otherwise what is answered, before its body is read, and the end of the connection.
    async fn admit(self: &Arc<Self>, headers: &HeaderMap, place: &Place) -> Result<(), Box<Response>> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
        let folder = self.folder.clone();
        let fits = tokio::task::spawn_blocking(move || fits(&folder, &shown)).await.unwrap_or(false);
        if !fits {
            self.wrong(place);
            tokio::time::sleep(PENALTY).await;
            let fault = Fault::new(Kind::Unauthorized, "the token is missing or wrong")
                .hint("`qyvol daemon token` on the daemon's host prints how to connect");
            return Err(closing(fault));
        }
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.1.is_none() {
            let permit = Arc::clone(&self.clients).try_acquire_owned().map_err(|_| {
                closing(
                    Fault::new(Kind::Busy, "too many clients are connected").hint("try again in a moment"),
                )
            })?;
            *place = (None, Some(permit));
        }
        Ok(())
    }

    /// Takes note of a wrong token, and tells of it now and then.
    fn wrong(&self, place: &Place) {
        let from = place.lock().unwrap_or_else(PoisonError::into_inner).0.as_ref().map(|one| one.address);
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.1 += 1;
        if wrong.0.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        let from = from.map(|from| format!(", the last from {from}")).unwrap_or_default();
        let message = format!("requests without the token: {}{from}", wrong.1);
        *wrong = (Some(Instant::now()), 0);
        eprintln!("qyvold: {message}");
        let job = move |overseer: &mut crate::overseer::Overseer| overseer.tell_of_daemon(message);
        // A daemon that has too much to do has it in its log.
        let _ = self.handle.inbox.try_send(crate::overseer::Message::Do(Box::new(job)));
    }
}

fn closing(fault: Fault) -> Box<Response> {
    let mut response = fault.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Box::new(response)
}

/// Whether this is the token. Hashes are compared, and those in constant time: how long it takes tells nothing.
fn fits(folder: &Path, shown: &str) -> bool {
    match keys::token(folder) {
        Ok(token) => blake3::hash(token.as_bytes()) == blake3::hash(shown.as_bytes()),
        Err(why) => {
            eprintln!("qyvold: {why}");
            false
        }
    }
}
