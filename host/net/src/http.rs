//! Requests of HTTP/1.1 to servers outside: a connection each, straight to the server. No proxy is used and no redirect
//! followed: where a redirect leads is another request, which is decided about anew.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use qyv_spec::service::Scheme;
use qyv_svc::outbound::Host;
use qyv_vfs::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, timeout};

use crate::failure::Failure;
use crate::outside::{Outside, Places, is_number, lock};
use crate::stream::Cut;

/// Bytes of the head of an answer, and of what is read and written ahead.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Bytes that a request is charged from its start to the end of the answer: what is read and written ahead, and TLS.
const REQUEST_BYTES: u64 = 192 << 10;

/// The longest that a connection may take, with the look-up and TLS.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// The longest silence: before an answer begins, and within it.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// How long an app wants to wait; what it leaves out, or wants longer, is the most that it may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Option<Duration>,
    /// From then until the answer begins.
    pub first_byte: Option<Duration>,
    /// From one piece of the answer to the next.
    pub between_bytes: Option<Duration>,
}

/// Why a request was not answered, or not to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It was not granted, or not any more. With what should have been granted, when that is not what was asked for.
    Denied(Option<String>),
    /// Nobody knows the name, or nobody says so in time.
    Name,
    /// No way leads there.
    Unreachable,
    /// Nobody listens there.
    Refused,
    /// The other side hung up.
    Terminated,
    /// There was no connection in time.
    ConnectTimeout,
    /// The other side fell silent.
    Silence,
    /// The app has as many connections as it may have.
    Limit,
    /// The app has no memory left for it.
    Memory,
    /// It is no request that could be sent.
    Uri,
    /// The other side is not, or cannot be shown to be, whom the app asked for.
    Certificate(String),
    /// TLS failed.
    Tls(String),
    /// The head of the answer is too large.
    HeadTooLarge,
    /// The other side does not speak HTTP, or the app's body failed.
    Protocol(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(None) => f.write_str("it was not granted"),
            Self::Denied(Some(missing)) => write!(f, "`{missing}` was not granted"),
            Self::Name => f.write_str("the name of the server is not known"),
            Self::Unreachable => f.write_str("no way leads to the server"),
            Self::Refused => f.write_str("nobody listens there"),
            Self::Terminated => f.write_str("the server hung up"),
            Self::ConnectTimeout => f.write_str("there was no connection in time"),
            Self::Silence => f.write_str("the server fell silent"),
            Self::Limit => f.write_str("the app has too many connections"),
            Self::Memory => f.write_str("the app's memory is used up"),
            Self::Uri => f.write_str("no such request can be sent"),
            Self::Certificate(why) => write!(f, "the server's certificate is not good: {why}"),
            Self::Tls(why) => write!(f, "TLS failed: {why}"),
            Self::HeadTooLarge => f.write_str("the head of the answer is too large"),
            Self::Protocol(why) => write!(f, "HTTP failed: {why}"),
        }
    }
}

impl StdError for Fault {}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure.error {
            Error::ACCES => Self::Denied(failure.missing.map(|missing| missing.to_string())),
            Error::CONNABORTED => Self::Denied(None),
            Error::NOENT => Self::Name,
            Error::HOSTUNREACH => Self::Unreachable,
            Error::CONNREFUSED => Self::Refused,
            Error::TIMEDOUT => Self::ConnectTimeout,
            Error::MFILE => Self::Limit,
            Error::NOMEM => Self::Memory,
            _ => Self::Terminated,
        }
    }
}

impl From<hyper::Error> for Fault {
    fn from(error: hyper::Error) -> Self {
        let cut_off =
            error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).is_some_and(|cause| {
                matches!(
                    cause.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                )
            });
        if error.is_parse_too_large() {
            Self::HeadTooLarge
        } else if cut_off || error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Terminated
        } else {
            let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
            Self::Protocol(format!("{error}{cause}"))
        }
    }
}

/// A request that is on its way. Dropping it gives it up.
#[must_use]
pub struct Sending(JoinHandle<Result<Response<Answer>, Fault>>);

impl Future for Sending {
    type Output = Result<Response<Answer>, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|done| done.unwrap_or(Err(Fault::Terminated)))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of an answer. Dropping it closes the connection.
pub struct Answer {
    body: Incoming,
    between_bytes: Duration,
    silence: Pin<Box<Sleep>>,
    connection: Connection,
}

/// The task that carries a request and its answer.
struct Connection {
    task: JoinHandle<()>,
    cut: Arc<Cut>,
    _places: Places,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let until = tokio::time::Instant::now() + self.between_bytes;
                self.silence.as_mut().reset(until);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) if self.connection.cut.is_cut() => {
                Poll::Ready(Some(Err(Fault::Denied(None))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.silence.as_mut().poll(context).map(|()| Some(Err(Fault::Silence))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// What carries bytes, with TLS or without.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// Where a request goes.
struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Fault> {
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(Fault::Uri),
        };
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(Fault::Uri)?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // `host:` and ports beyond 65535 are none.
            None if authority.as_str().len() != authority.host().len() => return Err(Fault::Uri),
            None if scheme == Scheme::Https => 443,
            None => 80,
        };
        let host = Host::new(authority.host()).filter(|_| port != 0).ok_or(Fault::Uri)?;
        Ok(Self { scheme, host, port })
    }
}

impl Outside {
    /// Sends a request to the server that its URI names, if that was granted. The `host` header is the URI's.
    ///
    /// # Errors
    ///
    /// What is known at once: [`Fault::Denied`], [`Fault::Uri`], [`Fault::Limit`] and [`Fault::Memory`].
    pub fn request<B>(self: &Arc<Self>, mut request: Request<B>, timeouts: Timeouts) -> Result<Sending, Fault>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let target = Target::of(request.uri())?;
        let Target { scheme, host, port } = &target;
        if !lock(&self.granted).allows(*scheme, host, Some(*port)) {
            return Err(Fault::Denied(Some(host.address(*scheme, *port).to_string())));
        }
        // A server would make a tunnel of its connection: to where is not for the app to choose.
        if request.method() == Method::CONNECT {
            return Err(Fault::Uri);
        }
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let named = HeaderValue::from_str(authority).map_err(|_| Fault::Uri)?;
        request.headers_mut().insert(HOST, named);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        let places = self.places(REQUEST_BYTES).map_err(|error| Fault::from(Failure::from(error)))?;
        let cut = self.cut(*scheme, (!is_number(host)).then(|| host.clone()));
        let outside = Arc::clone(self);
        let work = async move { outside.exchange(request, target, timeouts, cut, places).await };
        Ok(Sending(self.net.reactor().spawn(work)))
    }

    async fn exchange<B>(
        self: Arc<Self>,
        request: Request<B>,
        target: Target,
        timeouts: Timeouts,
        cut: Arc<Cut>,
        places: Places,
    ) -> Result<Response<Answer>, Fault>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let most = |wanted: Option<Duration>, most: Duration| wanted.unwrap_or(most).min(most);
        let patience = most(timeouts.connect, CONNECT_MAX);
        let connecting = self.connect_http(&target, &cut, patience);
        let (mut sender, driver) =
            timeout(patience, connecting).await.map_err(|_| Fault::ConnectTimeout)??;
        let hand = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            tokio::select! {
                // What failed is told to whoever waits for the answer.
                _ = driver => {}
                () = hand.told.notified() => {}
            }
        });
        let connection = Connection { task, cut, _places: places };
        let answer = timeout(most(timeouts.first_byte, SILENCE_MAX), sender.send_request(request)).await;
        let answer = match answer.map_err(|_| Fault::Silence)? {
            Err(_) if connection.cut.is_cut() => return Err(Fault::Denied(None)),
            answer => answer?,
        };
        let between_bytes = most(timeouts.between_bytes, SILENCE_MAX);
        let silence = Box::pin(tokio::time::sleep(between_bytes));
        Ok(answer.map(|body| Answer { body, between_bytes, silence, connection }))
    }

    /// Connects, makes sure who is there, and gives what sends and what drives the connection.
    async fn connect_http<B>(
        &self,
        target: &Target,
        cut: &Cut,
        patience: Duration,
    ) -> Result<(SendRequest<B>, impl Future<Output = hyper::Result<()>> + Send + use<B>), Fault>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let stream = self.reach(cut, &target.host, target.port, patience).await?;
        let carrier: Box<dyn Carrier> = if target.scheme == Scheme::Https {
            Box::new(self.net.tls.connect(&target.host, stream).await?)
        } else {
            Box::new(stream)
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        Ok(builder.handshake(TokioIo::new(carrier)).await?)
    }
}

#[cfg(test)]
mod tests;
