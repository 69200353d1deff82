//! A host in this process, made of the same core and engine as the real one, which can be given one wrong part.

mod connections;
mod files;
mod guest;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use qyv_vfs::{Access, Budget, Vfs};
use qyv_wasi::{Listener, Process, ProcessBuilder};
use qyvol_engine::shared::{Shared, SharedEnd, SharedProgram, SharedStart};
use qyvol_engine::{Cache, Settings, hash};

use crate::case::{Case, MEMORY_BYTES};
use crate::check::Check;
use crate::mutants::{Mutant, Wrong};
use crate::outcome::Outcome;
use crate::qyvol::Qyvol;
use crate::stage::App;
use crate::suite::Host;
use guest::{GuestHost, Record};

/// The stack that an app has whose manifest does not say.
const STACK_BYTES: usize = 1 << 20;
/// How often a guest that computes is asked to let its time be looked at.
const TICK: Duration = Duration::from_millis(5);
/// The time of a run of `loop`.
const LOOP_TIME: Duration = Duration::from_millis(500);
/// The harness's own deadline for `loop`, and for all others.
const LOOP_DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(60);

/// An app, and the engine that runs it here.
pub struct Inside {
    program: SharedProgram<GuestHost>,
    _ticker: Ticker,
}

impl Inside {
    /// Takes the native code of an app from the cache, where a run of the real host has left it.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn new(app: &App) -> Result<Self> {
        let shared = Shared::new(Settings { stack_bytes: STACK_BYTES, ..Settings::default() })?;
        let module = std::fs::read(app.module())?;
        let program = shared
            .load(&hash(&module), &Cache::open(Qyvol::cache())?)?
            .context("the app is not in the cache: the real host comes first")?;
        Ok(Self { program, _ticker: Ticker::start(shared) })
    }

    /// The host that does one thing wrong.
    #[must_use]
    pub fn wrong(&self, mutant: Mutant) -> impl Host + '_ {
        Mutated { inside: self, wrong: mutant.wrong }
    }

    fn run_with(&self, case: &Case, wrong: Option<Wrong>) -> Result<Outcome> {
        let limit = if wrong == Some(Wrong::TwiceTheMemory) { 2 * MEMORY_BYTES } else { MEMORY_BYTES };
        let memory = Budget::new(limit);
        let process = process(case, wrong, &memory)?;
        let record = Arc::<Record>::default();
        let host = GuestHost::new(case, wrong, record.clone());
        let begin = Instant::now();
        let end = self.poll(case, wrong, SharedStart { process, host, memory: memory.clone() })?;
        let mut outcome = record.outcome(case);
        outcome.elapsed = begin.elapsed();
        outcome.memory_peak = Some(memory.peak());
        match end {
            Ended::Itself(end) => {
                outcome.cause = end.ending.cause().to_owned();
                if let qyvol_engine::Ending::Exited(code) = end.ending {
                    outcome.code = Some(code);
                }
            }
            Ended::For(cause) => outcome.cause = cause.to_owned(),
        }
        Ok(reported(outcome, wrong))
    }

    /// Polls the guest until it has ended or its time is over.
    fn poll(&self, case: &Case, wrong: Option<Wrong>, start: SharedStart<GuestHost>) -> Result<Ended> {
        let is_loop = case.check == Check::Loop;
        let time = (is_loop && wrong != Some(Wrong::NoTimeLimit)).then_some(LOOP_TIME);
        let deadline = if is_loop { LOOP_DEADLINE } else { DEADLINE };
        let begin = Instant::now();
        let mut context = Context::from_waker(Waker::noop());
        let mut run = pin!(self.program.run(start));
        loop {
            if let Poll::Ready(end) = run.as_mut().poll(&mut context) {
                return Ok(Ended::Itself(end?));
            }
            let elapsed = begin.elapsed();
            if time.is_some_and(|time| elapsed >= time) {
                return Ok(Ended::For("timeout"));
            }
            if elapsed >= deadline {
                return Ok(Ended::For("deadline"));
            }
        }
    }
}

impl Host for Inside {
    fn run(&self, case: &Case) -> Result<Outcome> {
        self.run_with(case, None)
    }
}

struct Mutated<'a> {
    inside: &'a Inside,
    wrong: Wrong,
}

impl Host for Mutated<'_> {
    fn run(&self, case: &Case) -> Result<Outcome> {
        self.inside.run_with(case, Some(self.wrong))
    }
}

enum Ended {
    Itself(SharedEnd),
    /// By the host, with this cause.
    For(&'static str),
}

/// What the guest is given.
fn process(case: &Case, wrong: Option<Wrong>, memory: &Budget) -> Result<Process> {
    let mut vfs = Vfs::new();
    let (package, access) = files::package(wrong)?;
    vfs.mount("/", package, access).context("mount `/`")?;
    vfs.mount("/data", files::volume(wrong), Access::ReadWrite).context("mount `/data`")?;
    let mut builder = ProcessBuilder::new().arg("polyglot.wasm").memory_budget(memory.clone());
    for argument in case.arguments() {
        let cut = argument.split(' ').next().unwrap_or_default();
        builder = builder.arg(if wrong == Some(Wrong::CutArguments) { cut } else { &argument });
    }
    for (name, value) in &case.environment {
        if wrong != Some(Wrong::DropEmptyVariables) || !value.is_empty() {
            builder = builder.env(name, value);
        }
    }
    for place in ["/", "/data"] {
        let node = vfs.open_root(place).with_context(|| format!("open `{place}`"))?;
        builder = builder.preopen(place, node);
    }
    builder = builder.services(matches!(case.check, Check::Dial | Check::Refused));
    if case.check == Check::Serve {
        builder = builder.listener("polyglot-served", Listener(0));
    }
    builder.vfs(vfs).build().context("make the process")
}

/// What a host that does not tell the truth says of a run.
fn reported(mut outcome: Outcome, wrong: Option<Wrong>) -> Outcome {
    match wrong {
        Some(Wrong::ExitZero) => (outcome.cause, outcome.code) = ("exit".to_owned(), Some(0)),
        Some(Wrong::SwallowErrors) => outcome.stderr.clear(),
        Some(Wrong::LateErrors) if outcome.both.is_some() => {
            outcome.both = Some([&outcome.stdout[..], &outcome.stderr[..]].concat());
        }
        Some(Wrong::Comma) => {
            for byte in &mut outcome.stdout {
                *byte = match *byte {
                    b'.' => b',',
                    b',' => b'.',
                    other => other,
                };
            }
        }
        _ => {}
    }
    outcome
}

/// Makes guests that compute give up their turn now and then.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(shared: Shared) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                shared.yield_all();
            }
        };
        Self { stop, thread: Some(thread::spawn(tick)) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It does nothing that could panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
