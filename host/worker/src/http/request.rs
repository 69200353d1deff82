//! One request, from its head to the end of its answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body, Frame};
use http_body_util::Full;
use qyv_wasi::Denial;
use qyvol_engine::shared::{AnswerBody, Answering, BodyError, Failed};
use tokio::sync::OwnedSemaphorePermit;

use super::Server;
use super::watch::{Over, Watch};

/// Bytes of a path in a message.
const PATH_BYTES_MAX: usize = 200;

/// Seconds after which a client may ask again that was turned away.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The body of an answer.
pub(super) enum Reply {
    /// The host's own.
    Text(Full<Bytes>),
    /// A handler's.
    Answer(Box<Answer>),
}

/// Why a request was not answered by its handler.
enum Why {
    /// Too many are at work and wait.
    Full,
    Over(Over),
    Failed(Failed),
    Other(StatusCode, String),
}

/// Answers a request. Dropping the future ends the instance that works on it.
pub(super) async fn answer<B>(server: &Arc<Server>, request: Request<B>) -> Response<Reply>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    let about = About { method: request.method().clone(), uri: request.uri().clone() };
    match handle(server, request, &about).await {
        Ok(response) => response,
        Err(why) => {
            if let Some(message) = why.message() {
                server.log.say(&format!("{about}: {message}"));
            }
            why.response()
        }
    }
}

async fn handle<B>(server: &Arc<Server>, request: Request<B>, about: &About) -> Result<Response<Reply>, Why>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    if about.method == Method::CONNECT {
        let message = "this is a server, not a proxy".to_owned();
        return Err(Why::Other(StatusCode::NOT_IMPLEMENTED, message));
    }
    let slot = server.gate.enter().await.ok_or(Why::Full)?;
    let start = server.given.start().map_err(|why| Why::Other(StatusCode::INTERNAL_SERVER_ERROR, why))?;
    let refused = Refused { server: Arc::clone(server), denials: start.host.denials() };
    let mut watch = Watch::new(server.wall.unwrap_or(server.patience.answer), server.cpu_time);
    let mut handling = server.handler.handle(request, start);
    let answered =
        std::future::poll_fn(|context| watch.poll(context, |context| Pin::new(&mut handling).poll(context)))
            .await;
    let (mut parts, body) = match answered {
        Ok(Ok(response)) => response.into_parts(),
        Ok(Err(failed)) => return Err(Why::Failed(failed)),
        Err(over) => return Err(Why::Over(over)),
    };
    if server.wall.is_none() {
        watch.lift();
    }
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bodiless = about.method == Method::HEAD
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if parts.status.is_informational() {
        let message =
            format!("the handler answered with the status {}, which is no end", parts.status.as_u16());
        return Err(Why::Other(StatusCode::INTERNAL_SERVER_ERROR, message));
    }
    if body.is_end_stream() && !bodiless && announced.is_some_and(|bytes: u64| bytes > 0) {
        let message = "the handler announced a body (`content-length`) and has none".to_owned();
        return Err(Why::Other(StatusCode::INTERNAL_SERVER_ERROR, message));
    }
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let whole = bodiless || body.is_end_stream() || announced == Some(0);
    let answer =
        Answer { about: about.clone(), body, watch, left: announced, whole, slot: Some((slot, refused)) };
    Ok(Response::from_parts(parts, Reply::Answer(Box::new(answer))))
}

impl Why {
    fn status(&self) -> StatusCode {
        match self {
            Self::Full | Self::Failed(Failed::NoRoom) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Over(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed(Failed::BadRequest(_)) => StatusCode::BAD_REQUEST,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Other(status, _) => *status,
        }
    }

    /// For the app's log. What clients do wrong is not the app's.
    fn message(&self) -> Option<String> {
        match self {
            Self::Full => Some("too many requests are at work and wait (`limits.requests`)".to_owned()),
            Self::Over(over) => Some(over.to_string()),
            Self::Failed(Failed::BadRequest(_)) | Self::Other(StatusCode::NOT_IMPLEMENTED, _) => None,
            Self::Failed(failed) => Some(failed.to_string()),
            Self::Other(_, message) => Some(message.clone()),
        }
    }

    /// What a client is told, which is not how the app is made.
    fn response(&self) -> Response<Reply> {
        let status = self.status();
        let text = format!("{}\n", status.canonical_reason().unwrap_or_default().to_lowercase());
        let mut response = Response::new(Reply::Text(Full::new(text.into())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wall => "it took longer than a request may (`limits.wall`)",
            Self::Cpu => "it used up the processor time of a request (`limits.cpu_time`)",
        })
    }
}

/// A request in messages.
#[derive(Clone)]
struct About {
    method: Method,
    uri: Uri,
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (method, path) = (self.method.as_str(), self.uri.path());
        let method = &method[..method.floor_char_boundary(PATH_BYTES_MAX)];
        let short = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
        write!(f, "{} {}", method.escape_debug(), short.escape_debug())?;
        if short.len() < path.len() { f.write_str("…") } else { Ok(()) }
    }
}

/// Adds what an instance was refused to what its app was.
struct Refused {
    server: Arc<Server>,
    denials: Arc<Mutex<Vec<Denial>>>,
}

impl Drop for Refused {
    fn drop(&mut self) {
        self.server.denied.add(&self.denials.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An answer whose instance is still at work, as far as is known.
pub(super) struct Answer {
    about: About,
    body: AnswerBody,
    watch: Watch,
    /// Bytes to come, when they were announced.
    left: Option<u64>,
    /// Whether the client has all of it: then its instance may go on.
    whole: bool,
    /// Given back with the instance. The denials are read after that.
    slot: Option<(OwnedSemaphorePermit, Refused)>,
}

impl Answer {
    fn say(&self, message: &dyn std::fmt::Display) {
        if let Some((_, refused)) = &self.slot {
            refused.server.log.say(&format!("{}: {message}", self.about));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let Self { body, watch, .. } = self;
        let polled = watch.poll(context, |context| Pin::new(body).poll_frame(context));
        Poll::Ready(match std::task::ready!(polled) {
            Ok(None) => {
                self.whole = true;
                None
            }
            Ok(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.len() as u64);
                }
                self.whole |= self.left == Some(0) || frame.is_trailers();
                Some(Ok(frame))
            }
            Ok(Some(Err(failed))) => {
                self.say(&failed);
                Some(Err(failed))
            }
            Err(over) => {
                self.say(&over);
                Some(Err(Failed::NoAnswer))
            }
        })
    }
}

impl Drop for Answer {
    /// An instance may have work to do when its answer is with the client. One whose client has gone is ended.
    fn drop(&mut self) {
        let rest = self.body.rest().filter(|_| self.whole);
        let (Some(rest), Some((slot, refused))) = (rest, self.slot.take()) else { return };
        let watch = std::mem::replace(&mut self.watch, Watch::new(Duration::ZERO, None));
        let server = Arc::clone(&refused.server);
        server.spawn(finish(rest, watch, self.about.clone(), slot, refused));
    }
}

/// Lets an instance end its work after its answer.
async fn finish(
    mut rest: Answering,
    mut watch: Watch,
    about: About,
    slot: OwnedSemaphorePermit,
    refused: Refused,
) {
    let ended =
        std::future::poll_fn(|context| watch.poll(context, |context| rest.as_mut().poll(context))).await;
    drop(rest);
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => refused.server.log.say(&format!("{about}: {failed}")),
        Err(over) => refused.server.log.say(&format!("{about}: {over}")),
    }
    drop((slot, refused));
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(context).map_err(|never| match never {}),
            Self::Answer(answer) => answer.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Answer(answer) => answer.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Answer(_) => http_body::SizeHint::default(),
        }
    }
}
