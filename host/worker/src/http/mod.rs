//! HTTP apps whose program is a handler of requests (`wasi:http/incoming-handler`).
//!
//! A connection is a task of its app, with everything that happens on it: a request is read, its instance works and the
//! answer is written on one thread, in one turn if nothing waits, and charged to the app. Only what goes on after its
//! answer has ended becomes a task of its own.

mod begin;
mod body;
mod connection;
mod gate;
mod given;
mod life;
mod limits;
mod request;
mod stream;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use http::{Request, header};
use http_body_util::Empty;
use hyper::service::service_fn;
use qyv_sched::GroupId;
use qyv_vfs::Budget;
use qyvol_engine::shared::SharedHandler;
use qyvol_logs::LogStream;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch as changes};

use self::body::RequestBody;
use self::gate::Gate;
use self::given::Given;
use self::life::{Denied, Life};
use self::limits::{CONNECTION_BYTES, Patience};
use crate::door::{Come, Room, Taken, Taker};
use crate::executor::{Meter, Task};
use crate::guest::GuestHost;
use crate::worker::{Opened, Worker};

pub(crate) use begin::begin;

/// One instance of an app, as far as it answers requests.
pub(crate) struct Server {
    worker: Arc<Worker>,
    handler: Arc<SharedHandler<GuestHost>>,
    given: Given,
    gate: Gate,
    patience: Patience,
    /// The time of one request, from its instance to the end of its answer.
    wall: Option<Duration>,
    /// The processor time of one request.
    cpu_time: Option<Duration>,
    connections: Arc<Room>,
    draining: changes::Sender<bool>,
    group: GroupId,
    meter: Arc<Meter>,
    memory: Budget,
    log: LogStream,
    tasks: Mutex<Tasks>,
    /// Tells the end of the instance when the last task is gone.
    life: OnceLock<Weak<Life>>,
    denied: Arc<Denied>,
    requests: AtomicU64,
    /// What the files are read from.
    _opened: Arc<Opened>,
}

#[derive(Default)]
struct Tasks {
    /// `None` while one is being started.
    running: HashMap<u64, Option<Task>>,
    started: u64,
    /// Nothing is started any more.
    closed: bool,
}

impl Server {
    /// How many requests it has answered.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(crate) fn open_connections(&self) -> u32 {
        u32::try_from(self.connections.occupied()).unwrap_or(u32::MAX)
    }

    /// Takes no more connections; those that are there end with the request that they are at, or soon.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Ends everything now.
    pub(crate) fn kill(&self) {
        let running = {
            let mut tasks = self.tasks();
            tasks.closed = true;
            std::mem::take(&mut tasks.running)
        };
        for task in running.into_values().flatten() {
            task.kill();
        }
    }

    /// Asks for a page, which must be found, as a client would, but of this very instance.
    pub(crate) async fn probe(self: &Arc<Self>, path: &str) -> Result<(), String> {
        let request = Request::get(path)
            .header(header::HOST, "localhost")
            .header(header::USER_AGENT, "qyvol")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let (tell, told) = oneshot::channel();
        let server = Arc::clone(self);
        self.spawn(async move {
            let answer = request::answer(&server, request).await;
            let _ = tell.send(answer.status());
        });
        match told.await {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(format!("it answered `{}`", status.as_u16())),
            Err(_) => Err("it was ended".into()),
        }
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Starts a task of the instance, unless it is over.
    fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let Some(life) = self.life.get().and_then(Weak::upgrade) else { return };
        let id = {
            let mut tasks = self.tasks();
            if tasks.closed {
                return;
            }
            tasks.started += 1;
            let id = tasks.started;
            tasks.running.insert(id, None);
            id
        };
        let listed = Listed { server: Arc::clone(self), id };
        let task = self.worker.executor.spawn(self.group, Arc::clone(&self.meter), async move {
            let _held = (life, listed);
            work.await;
        });
        let mut tasks = self.tasks();
        match tasks.running.get_mut(&id) {
            Some(place) => *place = task,
            // Everything was ended meanwhile, or it has ended already.
            None => {
                drop(tasks);
                task.iter().for_each(Task::kill);
            }
        }
    }

    /// Takes what comes to an address until the instance drains, and then what nobody else would take.
    async fn accept(self: Arc<Self>, taker: Taker) {
        let mut draining = self.draining.subscribe();
        while let Some(taken) = unless(&mut draining, taker.next()).await {
            self.take(taken);
        }
        taker.close().into_iter().for_each(|taken| self.take(taken));
    }

    fn take(self: &Arc<Self>, taken: Taken) {
        // It is checked by requests, not by connections.
        let Taken { stream: Come::Client(stream), occupied } = taken else { return };
        // An app without memory for a connection hangs up.
        let Some(charge) = self.memory.charge(CONNECTION_BYTES) else { return };
        let server = Arc::clone(self);
        self.spawn(async move {
            server.converse(stream).await;
            drop((occupied, charge));
        });
    }

    /// Answers what comes on one connection.
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let server = &self;
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let patience = server.patience.body;
            let request = request.map(|incoming| RequestBody::new(incoming, patience));
            let mut answer = request::answer(server, request).await;
            server.requests.fetch_add(1, Ordering::Relaxed);
            if server.is_draining() {
                answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(answer)
        });
        connection::serve(stream, &self.patience, self.draining.subscribe(), service).await;
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task in the list of its server.
struct Listed {
    server: Arc<Server>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let gone = self.server.tasks().running.remove(&self.id);
        drop(gone);
    }
}

/// What `work` gives, or nothing once the instance drains.
async fn unless<T>(draining: &mut changes::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    let mut drained = std::pin::pin!(draining.wait_for(|draining| *draining));
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        if drained.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}
