//! The children of one conversation: programs beside its instance, whose streams are read and written by requests.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use qyv_svc::{Direction, Interest};
use qyv_vfs::{Charge, Error};
use qyvol_protocol::system::{Child, Question, Refused, RefusedKind, Told};
use qyvol_protocol::worker::Packaged;
use serde_json::json;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::Caller;
use super::conversation::send;
use super::request::{Done, Outcome, Run, Write};
use crate::instance::{Beside, End, Given, Instance, Why};
use crate::services::Shared;
use crate::stdio::Stdio;

/// One end of a child's streams.
type Line = qyv_svc::End<Shared>;

/// The most children of one conversation that are known, ended ones included.
const KNOWN_MAX: usize = 64;

/// The most bytes of one answer to `read`.
const READ_BYTES_MAX: usize = 16 << 10;

/// The children of one conversation. Dropped, they are ended.
pub(super) struct Children {
    caller: Caller,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    started: u64,
    known: BTreeMap<u64, Arc<Kid>>,
}

struct Kid {
    /// Its standard input and output.
    io: Arc<Line>,
    stderr: Line,
    /// `None` when it reads nothing, or was told that nothing more comes.
    input: Mutex<Option<mpsc::UnboundedSender<Piece>>>,
    reading: tokio::sync::Mutex<Over>,
    ended: watch::Receiver<Option<End>>,
    /// Whether its end was asked for and told.
    told: AtomicBool,
    kill: Arc<Notify>,
    task: AbortHandle,
}

/// Which of its outputs are over.
#[derive(Default)]
struct Over {
    stdout: bool,
    stderr: bool,
}

/// Something for its standard input.
struct Piece {
    bytes: Vec<u8>,
    end: bool,
    written: oneshot::Sender<bool>,
    _held: Charge,
}

/// A program that is on its way.
struct Begun {
    beside: Beside,
    io: Line,
    stderr: Line,
    wall: Option<Duration>,
}

impl Children {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, list: Mutex::default() }
    }

    /// Starts a child; returns its number.
    pub(super) async fn start(&self, run: Run) -> Result<u64, Refused> {
        self.make_room()?;
        let instance = self.caller.running().ok_or_else(over)?;
        instance.may_have_children().map_err(|why| refused(RefusedKind::Busy, why))?;
        let stdin = run.stdin;
        let run = Arc::new(run);
        for compile in [false, true] {
            let (app, program) = (run.app.clone(), run.program.clone());
            let told = self.caller.ask(Question::Run { app, program, compile }).await;
            let (caller, instance, run) = (self.caller.clone(), Arc::clone(&instance), Arc::clone(&run));
            // Its native code and its bundle may have to be read.
            let begun = tokio::task::spawn_blocking(move || begin(&caller, &instance, told, &run)).await;
            if let Some(begun) = begun.unwrap_or_else(|_| Err(over()))? {
                return Ok(self.keep(begun, stdin));
            }
        }
        let message = "its program was compiled and is not in the cache; is the disk full?";
        Err(refused(RefusedKind::Failed, message.to_owned()))
    }

    fn keep(&self, begun: Begun, stdin: bool) -> u64 {
        let Begun { mut beside, io, stderr, wall } = begun;
        let (told, ended) = watch::channel(None);
        let kill = Arc::new(Notify::new());
        let killed = Arc::clone(&kill);
        let task = tokio::spawn(async move {
            let wall = async {
                match wall {
                    Some(wall) => tokio::time::sleep(wall).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(wall);
            let mut late = false;
            let end = loop {
                tokio::select! {
                    end = beside.end() => break end,
                    () = killed.notified() => beside.kill(Why::Killed),
                    () = &mut wall, if !late => {
                        late = true;
                        beside.kill(Why::Timeout);
                    }
                }
            };
            // Nobody may listen any more.
            let _ = told.send(Some(end.unwrap_or_else(End::killed)));
        });
        let io = Arc::new(io);
        let input = stdin.then(|| {
            let (pieces, comes) = mpsc::unbounded_channel();
            tokio::spawn(feed(Arc::clone(&io), comes));
            pieces
        });
        let kid = Kid {
            io,
            stderr,
            input: Mutex::new(input),
            reading: tokio::sync::Mutex::default(),
            ended,
            told: AtomicBool::new(false),
            kill,
            task: task.abort_handle(),
        };
        let mut list = self.lock();
        list.started += 1;
        let number = list.started;
        list.known.insert(number, Arc::new(kid));
        number
    }

    /// Gives bytes to a child. They are its next ones when this returns; the future says when it has room for them.
    pub(super) fn write(
        &self,
        write: &Write,
        bytes: Vec<u8>,
    ) -> Result<impl Future<Output = Done> + Send + use<>, Refused> {
        let kid = self.kid(write.child)?;
        let closed = || refused(RefusedKind::Conflict, "its input is at its end".to_owned());
        let held = self.caller.memory.charge(bytes.len() as u64);
        let held = held.ok_or_else(no_memory)?;
        let mut input = lock(&kid.input);
        let pieces = if write.end { input.take() } else { input.clone() }.ok_or_else(closed)?;
        drop(input);
        let (written, done) = oneshot::channel();
        let _ = pieces.send(Piece { bytes, end: write.end, written, _held: held });
        Ok(async move {
            match done.await {
                Ok(true) => Ok(Outcome::of(&json!({}))),
                _ => Err(refused(RefusedKind::Conflict, "it reads no more".to_owned())),
            }
        })
    }

    /// The next bytes that a child has printed; how it ended when there are no more.
    pub(super) async fn read(&self, number: u64) -> Done {
        let kid = self.kid(number)?;
        let mut over = kid.reading.lock().await;
        let next = poll_fn(|context| {
            // Errors first: they are few.
            for (stream, line) in [("stderr", &kid.stderr), ("stdout", &*kid.io)] {
                let over = if stream == "stdout" { &mut over.stdout } else { &mut over.stderr };
                if !*over {
                    match take(line, context) {
                        Poll::Ready(bytes) if bytes.is_empty() => *over = true,
                        Poll::Ready(bytes) => return Poll::Ready(Some((stream, bytes))),
                        Poll::Pending => {}
                    }
                }
            }
            if over.stdout && over.stderr { Poll::Ready(None) } else { Poll::Pending }
        });
        if let Some((stream, bytes)) = next.await {
            return Ok(Outcome { ok: json!({ "stream": stream }), bytes });
        }
        drop(over);
        let ended = kid.ended().await?;
        self.lock().known.remove(&number);
        Ok(Outcome::of(&json!({ "exit": ended })))
    }

    /// How a child has ended, once it has.
    pub(super) async fn wait(&self, number: u64) -> Done {
        let ended = self.kid(number)?.ended().await?;
        Ok(Outcome::of(&json!({ "exit": ended })))
    }

    /// Ends a child.
    pub(super) fn kill(&self, number: u64) -> Done {
        self.kid(number)?.kill.notify_one();
        Ok(Outcome::of(&json!({})))
    }

    fn kid(&self, number: u64) -> Result<Arc<Kid>, Refused> {
        let kid = self.lock().known.get(&number).cloned();
        kid.ok_or_else(|| {
            let message = format!("this conversation has no child {number}, or it was read to its end");
            refused(RefusedKind::Unknown, message)
        })
    }

    /// Forgets the oldest child whose end was told, when there are many.
    fn make_room(&self) -> Result<(), Refused> {
        let mut list = self.lock();
        if list.known.len() >= KNOWN_MAX {
            let oldest = list.known.iter().find(|(_, kid)| kid.told.load(Ordering::Relaxed));
            let oldest = oldest.map(|(number, _)| *number).ok_or_else(|| {
                let message =
                    format!("this conversation has started {KNOWN_MAX} children and waited for none");
                refused(RefusedKind::Busy, message)
            })?;
            list.known.remove(&oldest);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        lock(&self.list)
    }
}

impl Kid {
    async fn ended(&self) -> Result<serde_json::Value, Refused> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map_err(|_| over())?;
        let End { cause, code, message, denials } = end.clone().unwrap_or_else(End::killed);
        self.told.store(true, Ordering::Relaxed);
        Ok(json!({ "cause": cause, "code": code, "message": message, "denials": denials }))
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What has arrived on a line; nothing at its end. A program that ends with input unread leaves a failure in the place of
/// the end.
fn take(line: &Line, context: &mut Context<'_>) -> Poll<Vec<u8>> {
    loop {
        let mut buffer = [0; READ_BYTES_MAX];
        match line.receive(&mut buffer, false) {
            Ok(count) => return Poll::Ready(buffer[..count].to_vec()),
            Err(Error::AGAIN) if line.ready(Interest::Read, Some(context.waker())).is_none() => {
                return Poll::Pending;
            }
            Err(Error::AGAIN) => {}
            Err(_) => return Poll::Ready(Vec::new()),
        }
    }
}

/// Writes to a child's standard input, piece by piece.
async fn feed(io: Arc<Line>, mut pieces: mpsc::UnboundedReceiver<Piece>) {
    while let Some(piece) = pieces.recv().await {
        let sent = send(&io, &piece.bytes).await;
        if piece.end {
            io.shutdown(Direction::Send);
        }
        // Who wrote may have gone.
        let _ = piece.written.send(sent.is_ok());
    }
}

/// Runs what the daemon has said; `None` when its native code is not in the cache.
fn begin(caller: &Caller, instance: &Instance, told: Told, run: &Run) -> Result<Option<Begun>, Refused> {
    let failed = |why: String| refused(RefusedKind::Failed, why);
    let own = caller.given.as_ref().ok_or_else(|| {
        let message = "a handler of requests starts no programs: they would have nothing to run beside";
        refused(RefusedKind::Conflict, message.to_owned())
    })?;
    let (worker, mut args, mut wall) = (&caller.worker, Vec::new(), None);
    let (given, name, program) = match told {
        Told::Refused(refused) => return Err(refused),
        Told::Own(None) => (Arc::clone(own), own.app.to_string(), Arc::clone(&own.program)),
        Told::Own(Some(Packaged { path, module })) => {
            let Some(program) = worker.program(module.0).map_err(failed)? else { return Ok(None) };
            (Arc::clone(own), path.to_string(), program)
        }
        Told::Child(child) => {
            let Some(program) = worker.program(child.module.0).map_err(failed)? else { return Ok(None) };
            let given = Given::of_child(worker, own, &child, Arc::clone(&program)).map_err(failed)?;
            let Child { app, limits, args: first, .. } = *child;
            wall = limits.wall_ms.map(Duration::from_millis);
            args = first;
            (given, app.to_string(), program)
        }
        Told::Done | Told::Apps { .. } | Told::App(_) | Told::Lines(_) => {
            return Err(failed("the daemon has answered something else".to_owned()));
        }
    };
    args.extend(run.args.iter().cloned());
    let env: Vec<_> = run.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let pair = || Line::pair(&caller.memory, &caller.memory).map_err(|_| no_memory());
    let ((io, theirs), (stderr, errors)) = (pair()?, pair()?);
    let stdio = Stdio::lines(run.stdin, theirs, errors);
    let beside = instance.child(worker, &given, (&name, program), (&args, &env), stdio).map_err(failed)?;
    Ok(Some(Begun { beside, io, stderr, wall }))
}

pub(super) fn no_memory() -> Refused {
    refused(RefusedKind::Busy, "the memory of the app is used up".to_owned())
}

pub(super) fn over() -> Refused {
    refused(RefusedKind::Conflict, "it has ended".to_owned())
}

fn refused(kind: RefusedKind, message: String) -> Refused {
    Refused { kind, message, hint: None }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
