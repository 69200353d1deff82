//! One conversation: requests are read as long as there is room, and answered as they are done.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use qyv_svc::{End, Interest};
use qyv_vfs::{Charge, Error};
use qyvol_protocol::system::{Question, Refused, Told};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Caller;
use super::children::{Children, no_memory};
use super::request::{BODY_BYTES_MAX, Done, LINE_BYTES_MAX, Outcome, Request, Verb, answer, malformed};
use crate::services::Shared;

/// The most requests of one conversation that are worked on. No more are read then.
const REQUESTS_MAX: usize = 16;

/// How often it is looked whether a program that is not listened to is still there.
const LOOK: Duration = Duration::from_millis(250);

/// How much is received at once.
const BUFFER_BYTES: usize = 16 << 10;

/// Answers until the program ends the conversation. What it has started ends with it.
pub(super) async fn hold(caller: Caller, end: End<Shared>, _place: OwnedSemaphorePermit) {
    let talk = Arc::new(Talk {
        children: Children::new(caller.clone()),
        caller,
        end,
        speaking: tokio::sync::Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    listen(&talk, &mut tasks).await;
}

/// Reads requests to their end, and waits for those that are worked on.
async fn listen(talk: &Arc<Talk>, tasks: &mut JoinSet<()>) {
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut heard = Vec::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = talk.gone() => return,
        };
        let Ok(place) = place else { return };
        match talk.request(&mut heard).await {
            Ok(Some((request, body, held))) => {
                let talk = Arc::clone(talk);
                // In the order in which they come: what is written to a child is.
                let begun = talk.begin(request.verb, body);
                tasks.spawn(async move {
                    let done = match begun {
                        Begun::Done(done) => done,
                        Begun::Later(later) => later.await,
                    };
                    talk.say(request.id, done).await;
                    drop((place, held));
                });
            }
            Ok(None) => break,
            Err(Some((id, refused))) => {
                // Where the next request begins is not known.
                tokio::select! {
                    () = talk.say(id, Err(refused)) => {}
                    () = talk.gone() => {}
                }
                return;
            }
            Err(None) => return,
        }
        while tasks.try_join_next().is_some() {}
    }
    let answered = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = answered => {}
        () = talk.gone() => {}
    }
}

struct Talk {
    caller: Caller,
    end: End<Shared>,
    children: Children,
    /// Held while an answer is written.
    speaking: tokio::sync::Mutex<()>,
}

/// A request that is worked on.
enum Begun {
    Done(Done),
    Later(std::pin::Pin<Box<dyn Future<Output = Done> + Send>>),
}

impl Talk {
    /// The next request with what follows it; `None` at the end. An error without words is that of the connection.
    async fn request(
        &self,
        heard: &mut Vec<u8>,
    ) -> Result<Option<(Request, Vec<u8>, Charge)>, Option<(u64, Refused)>> {
        let mut looked = 0;
        let line = loop {
            let newline = heard.get(looked..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
            if let Some(at) = newline.filter(|at| looked + at <= LINE_BYTES_MAX) {
                let rest = heard.split_off(looked + at + 1);
                break std::mem::replace(heard, rest);
            }
            looked = heard.len();
            if looked > LINE_BYTES_MAX {
                return Err(Some((
                    0,
                    malformed(format!("a request is a line of at most {LINE_BYTES_MAX} bytes")),
                )));
            }
            if !self.hear(heard).await? {
                return Ok(None);
            }
        };
        let request = Request::parse(&line).map_err(Some)?;
        // What is worked on lies in the app's memory.
        let held = self.caller.memory.charge(line.len() as u64);
        let held = held.ok_or_else(|| Some((request.id, no_memory())))?;
        let most = request.bytes.min(BODY_BYTES_MAX);
        while heard.len() < most {
            if !self.hear(heard).await? {
                return Err(Some((
                    request.id,
                    malformed("fewer bytes follow than were announced".to_owned()),
                )));
            }
        }
        let rest = heard.split_off(most);
        Ok(Some((request, std::mem::replace(heard, rest), held)))
    }

    /// Receives what comes next; `false` at the end.
    async fn hear(&self, heard: &mut Vec<u8>) -> Result<bool, Option<(u64, Refused)>> {
        loop {
            let received = {
                let mut buffer = [0; BUFFER_BYTES];
                self.end
                    .receive(&mut buffer, false)
                    .inspect(|count| heard.extend_from_slice(&buffer[..*count]))
            };
            match received {
                Ok(count) => return Ok(count > 0),
                Err(Error::AGAIN) => ready(&self.end, Interest::Read).await,
                Err(_) => return Err(None),
            }
        }
    }

    fn begin(self: &Arc<Self>, verb: Verb, body: Vec<u8>) -> Begun {
        let talk = Arc::clone(self);
        match verb {
            Verb::Write(write) => match self.children.write(&write, body) {
                Ok(written) => Begun::Later(Box::pin(written)),
                Err(refused) => Begun::Done(Err(refused)),
            },
            Verb::Run(run) => Begun::Later(Box::pin(async move {
                talk.children.start(run).await.map(|child| Outcome::of(&json!({ "child": child })))
            })),
            Verb::Read(which) => Begun::Later(Box::pin(async move { talk.children.read(which.child).await })),
            Verb::Wait(which) => Begun::Later(Box::pin(async move { talk.children.wait(which.child).await })),
            Verb::Kill(which) => Begun::Done(self.children.kill(which.child)),
            Verb::Apps(after) => self.ask(Question::Apps { after: after.after }),
            Verb::Inspect(of) => self.ask(Question::Inspect { app: of.app }),
            Verb::Change(of, to) => self.ask(Question::Change { app: of.app, to }),
            Verb::Logs(logs) => self.ask(Question::Logs { app: logs.app, tail: logs.tail }),
        }
    }

    /// A question to the daemon, whose answer is the program's.
    fn ask(self: &Arc<Self>, question: Question) -> Begun {
        let talk = Arc::clone(self);
        Begun::Later(Box::pin(async move {
            Ok(Outcome::of(&match talk.caller.ask(question).await {
                Told::Refused(refused) => return Err(refused),
                Told::Apps { apps, more } => json!({ "apps": apps, "more": more }),
                Told::App(app) => json!(app),
                Told::Lines(lines) => json!({ "lines": lines }),
                Told::Done | Told::Own(_) | Told::Child(_) => Value::Object(serde_json::Map::new()),
            }))
        }))
    }

    /// Writes an answer, as the program reads it. Until it has, the app's memory holds it.
    async fn say(&self, id: u64, done: Done) {
        let mut text = answer(id, done);
        let mut held = self.caller.memory.charge(text.len() as u64);
        if held.is_none() {
            text = answer(id, Err(no_memory()));
            held = self.caller.memory.charge(0);
        }
        let _alone = self.speaking.lock().await;
        // Who does not listen has gone, or will be seen to have.
        let _ = send(&self.end, &text).await;
        drop(held);
    }

    /// Returns when the program has closed its end: for as long as nothing is read from it.
    async fn gone(&self) {
        while !self.end.ready(Interest::Write, None).is_some_and(|ready| ready.hangup) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Caller {
    /// Asks the daemon.
    pub(super) async fn ask(&self, question: Question) -> Told {
        let Some(instance) = self.running() else { return Told::Refused(super::children::over()) };
        let who = (self.instance.clone(), self.via.clone());
        self.worker.asks.ask(&self.worker.reporter, &instance.turns.asks, who, question).await
    }
}

/// Sends all of it.
pub(super) async fn send(end: &End<Shared>, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        match end.send(bytes) {
            Err(Error::AGAIN) => ready(end, Interest::Write).await,
            sent => bytes = bytes.get(sent?..).unwrap_or_default(),
        }
    }
    Ok(())
}

async fn ready(end: &End<Shared>, interest: Interest) {
    poll_fn(|context| match end.ready(interest, Some(context.waker())) {
        Some(_) => Poll::Ready(()),
        None => Poll::Pending,
    })
    .await;
}
