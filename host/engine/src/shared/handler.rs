//! Handlers of HTTP requests: components that export `wasi:http/incoming-handler`.
//!
//! Every request has an instance of its own, out of a pool: nothing of one request is seen by another. The instance runs
//! while somebody polls for the answer: first for its head, then for its body. It may go on after the body
//! has ended ([`AnswerBody::rest`]).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use qyv_vfs::Budget;
use tokio::sync::oneshot;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{
    ComponentGuest, Owned, Shared, SharedEnd, SharedHost, SharedStart, config_of, end, yield_at_epochs,
};
use crate::cache::{Cache, Kind, key_of};
use crate::component::{self, ComponentState, Lent};
use crate::config::{self, Pool, Settings};
use crate::limits::Limiter;
use crate::program::{Code, load_native};
use crate::{Error, Result};

/// Why the body of a request cannot be read on; the handler is told.
pub use wasmtime_wasi_http::Error as BodyError;

/// How many requests of one process can be in the hands of handlers at once. Each has up to
/// [`MEMORY_BYTES_MAX`] of addresses, and memory only as it uses it.
const POOL_INSTANCES: u32 = 1024;

/// The largest linear memory of a handler: that of a 32-bit guest.
const MEMORY_BYTES_MAX: usize = 4 << 30;

/// What the host holds for one request at most, in bytes, besides handles: the connection's buffers and the pieces of
/// bodies on their way. Charged to the app.
const REQUEST_BYTES: u64 = 192 << 10;

/// A handler in native code.
pub struct SharedHandler<H: SharedHost> {
    engine: Engine,
    proxy: ProxyPre<ComponentGuest<H>>,
    /// What one instance costs besides memories and tables.
    instance_bytes: u64,
}

/// Why a request has no answer, or only a part of one.
#[derive(Debug)]
pub enum Failed {
    /// Its instance trapped, or needed more memory than the app may have.
    Ended(SharedEnd),
    /// Other requests hold the memory of the app, or the instances of the process.
    NoRoom,
    /// The handler returned without an answer, or without the end of one.
    NoAnswer,
    /// The handler answered with an error; which.
    Refused(String),
    /// The request is none that a handler can be given; why.
    BadRequest(String),
    /// The instance cannot be made.
    NotStarted(Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(SharedEnd { ending, trap: None }) => ending.fmt(f),
            Self::Ended(SharedEnd { ending, trap: Some(trap) }) => {
                write!(f, "{ending}: {}", trap.reason)?;
                for frame in &trap.frames {
                    write!(f, "\n  at {}", frame.function)?;
                    if let Some(location) = &frame.location {
                        write!(f, " ({location})")?;
                    }
                }
                Ok(())
            }
            Self::NoRoom => f.write_str("there is no memory left for another request"),
            Self::NoAnswer => f.write_str("the handler ended without an answer"),
            Self::Refused(code) => write!(f, "the handler answered with the error `{code}`"),
            Self::BadRequest(why) => f.write_str(why),
            Self::NotStarted(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {}

/// An instance at work on a request.
pub type Guest = Pin<Box<dyn Future<Output = std::result::Result<(), Failed>> + Send>>;

/// A request that is being handled: a future of its answer. Dropping it ends the instance.
#[must_use]
pub struct Handling {
    work: Work,
    head: oneshot::Receiver<std::result::Result<Response<HyperOutgoingBody>, ErrorCode>>,
}

/// The body of an answer. Its instance runs while the body is polled, and is ended with it.
pub struct AnswerBody {
    work: Work,
    body: HyperOutgoingBody,
}

/// An instance, until it has ended, and how.
struct Work {
    guest: Option<Guest>,
    failed: Option<Failed>,
}

impl Work {
    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(guest) = &mut self.guest
            && let Poll::Ready(result) = guest.as_mut().poll(context)
        {
            self.guest = None;
            self.failed = result.err();
        }
    }
}

impl Shared {
    /// Loads a handler from the cache by the BLAKE3 of its portable bytes; `None` when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::NoHandler`] when it is a program of another kind; otherwise when it cannot run here.
    pub fn load_handler<H: SharedHost>(
        &self,
        hash: &[u8; 32],
        cache: &Cache,
    ) -> Result<Option<SharedHandler<H>>> {
        let Some((file, record)) = cache.find(&key_of(hash, &self.settings))? else { return Ok(None) };
        if record.kind == Kind::Module {
            return Err(Error::NoHandler);
        }
        let engine = self.pooled()?;
        let component = match load_native(engine, file, record.kind)? {
            Code::Component(component) if component::is_handler(&component) => component,
            Code::Component(_) | Code::Module(_) => return Err(Error::NoHandler),
        };
        let proxy = prepare(engine, &component)?;
        Ok(Some(SharedHandler { engine: engine.clone(), proxy, instance_bytes: record.instance_bytes }))
    }

    /// The engine that handlers run on, made when the first one comes.
    fn pooled(&self) -> Result<&Engine> {
        if let Some(engine) = self.handlers.get() {
            return Ok(engine);
        }
        let pool = Some(Pool { instances: POOL_INSTANCES, memory_bytes: MEMORY_BYTES_MAX });
        let engine = config::runner(&Settings { pool, ..self.settings.clone() })?;
        Ok(self.handlers.get_or_init(|| engine))
    }
}

fn prepare<H: SharedHost>(engine: &Engine, component: &Component) -> Result<ProxyPre<ComponentGuest<H>>> {
    let mut linker = Linker::new(engine);
    component::add_to_linker(&mut linker)?;
    Ok(ProxyPre::new(linker.instantiate_pre(component)?)?)
}

impl<H: SharedHost> SharedHandler<H> {
    /// Gives a request to a new instance, which is made when the answer is first polled for.
    pub fn handle<B>(self: &Arc<Self>, request: Request<B>, start: SharedStart<H>) -> Handling
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (sender, head) = oneshot::channel();
        let handler = Arc::clone(self);
        let guest = Box::pin(async move { handler.answer(request, start, sender).await });
        Handling { work: Work { guest: Some(guest), failed: None }, head }
    }

    async fn answer<B>(
        &self,
        request: Request<B>,
        start: SharedStart<H>,
        head: oneshot::Sender<std::result::Result<Response<HyperOutgoingBody>, ErrorCode>>,
    ) -> std::result::Result<(), Failed>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let SharedStart { process, host, memory } = start;
        let host = Lent::new(host);
        let (mut config, _streams) = config_of(process, &host, &memory).map_err(Failed::NotStarted)?;
        config.limits = config.limits.for_a_request();
        let call_bytes = config.limits.call_bytes;
        // Held until the instance is gone.
        let fixed = charge(&memory, config.limits.handle_bytes());
        let component = ComponentState::new(config)
            .map_err(|error| Failed::NotStarted(wasmtime::Error::new(error).into()))?;
        let limiter = Limiter::new(memory);
        let mut owned = Owned(Store::new(&self.engine, ComponentGuest { component, limiter, host }));
        let store = &mut owned.0;
        store.limiter(|guest| &mut guest.limiter);
        yield_at_epochs(store);
        store.set_hostcall_fuel(call_bytes);
        if fixed.is_none() || !store.data_mut().limiter.charge(self.instance_bytes) {
            return Err(Failed::NoRoom);
        }
        let mut view = store.data_mut().component.http();
        let request = view
            .new_incoming_request(Scheme::Http, request)
            .map_err(|error| Failed::BadRequest(error.to_string()))?;
        let out = view.new_response_outparam(head).map_err(|error| Failed::NotStarted(error.into()))?;
        let proxy = match self.proxy.instantiate_async(&mut *store).await {
            Ok(proxy) => proxy,
            Err(error) if error.is::<PoolConcurrencyLimitError>() || store.data().limiter.refused() => {
                return Err(Failed::NoRoom);
            }
            Err(error) if error.is::<wasmtime::Trap>() => return Err(Failed::Ended(end(&error, false))),
            Err(error) => return Err(Failed::NotStarted(error.into())),
        };
        match proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await {
            Ok(()) => Ok(()),
            // It ends the instance like a return.
            Err(error) if error.is::<I32Exit>() => Ok(()),
            Err(error) => Err(Failed::Ended(end(&error, store.data().limiter.refused()))),
        }
    }
}

fn charge(memory: &Budget, handle_bytes: u64) -> Option<qyv_vfs::Charge> {
    memory.charge(handle_bytes.saturating_add(REQUEST_BYTES))
}

impl Future for Handling {
    type Output = std::result::Result<Response<AnswerBody>, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.poll(context);
        let answer = match std::task::ready!(Pin::new(&mut self.head).poll(context)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(code)) => return Poll::Ready(Err(Failed::Refused(code.to_string()))),
            Err(_) => return Poll::Ready(Err(self.work.failed.take().unwrap_or(Failed::NoAnswer))),
        };
        let work = Work { guest: self.work.guest.take(), failed: self.work.failed.take() };
        Poll::Ready(Ok(answer.map(|body| AnswerBody { work, body })))
    }
}

impl AnswerBody {
    /// The instance, when it has not ended yet: to be polled to its end after the body's, or dropped.
    #[must_use]
    pub fn rest(&mut self) -> Option<Guest> {
        self.work.guest.take()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Failed>>> {
        self.work.poll(context);
        Poll::Ready(match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(_)) => Some(Err(self.work.failed.take().unwrap_or(Failed::NoAnswer))),
            // The body of an instance that is gone ends like one that is whole.
            None => self.work.failed.take().map(Err),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
