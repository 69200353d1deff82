//! Measures what one request costs in the hands of a handler that answers at once: an instance from the pool, its work, its
//! answer, and everything given back. Prints the median in nanoseconds.
//!
//! ```text
//! cargo run --release -p qyvol-engine --example handle HANDLER.wasm [REQUESTS]
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use qyv_vfs::Budget;
use qyv_wasi::{Clock, Denial, Interest, ProcessBuilder, Readiness, Source, Stream, StreamKind, Wait};
use qyvol_engine::shared::{Shared, SharedHandler, SharedHost, SharedStart};
use qyvol_engine::{Cache, Compiler, Interrupt, Program, Settings, compile, hash, system};

const COMPILE: &str = "__compile";

/// A body without bytes.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// A host that gives the time and nothing else.
struct Bare;

impl qyv_wasi::Host for Bare {
    fn clock_now(&mut self, clock: Clock) -> qyv_wasi::Result<u64> {
        system::clock_now(clock)
    }

    fn clock_resolution(&mut self, clock: Clock) -> qyv_wasi::Result<u64> {
        system::clock_resolution(clock)
    }

    fn random(&mut self, into: &mut [u8]) -> qyv_wasi::Result<()> {
        system::random(into)
    }

    fn stream_read(&mut self, _: Stream, _: &mut [u8]) -> qyv_wasi::Result<usize> {
        Ok(0)
    }

    fn stream_write(&mut self, _: Stream, from: &[u8]) -> qyv_wasi::Result<usize> {
        Ok(from.len())
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Null
    }

    fn ready(&mut self, _: Source, _: Interest) -> Option<Readiness> {
        Some(Readiness { bytes: 0, hangup: true })
    }

    fn yield_now(&mut self) {}
}

impl SharedHost for Bare {
    fn poll_wait(&mut self, _: &Wait, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn ended(&mut self, _: &[Denial]) {}
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == COMPILE
    {
        return compile::child::main(rest);
    }
    let Some(handler) = arguments.first() else {
        eprintln!("name a handler");
        return ExitCode::FAILURE;
    };
    match measure(handler, arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(20_000)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(handler: &str, requests: usize) -> Result<(), Box<dyn Error>> {
    let wasm = std::fs::read(handler)?;
    let folder = std::env::temp_dir().join(format!("qyvol-handle-{}", std::process::id()));
    let cache = Cache::open(&folder)?;
    let (settings, interrupt) = (Settings::default(), Interrupt::new()?);
    let source = qyvol_engine::Source { hash: hash(&wasm), bytes: &|| Ok(wasm.clone()) };
    Program::load(&source, &settings, &cache, &Compiler::this_program(COMPILE)?, &interrupt, &mut ())?;
    let handler: Arc<SharedHandler<Bare>> =
        Arc::new(Shared::new(settings)?.load_handler(&source.hash, &cache)?.ok_or("it was compiled")?);
    let memory = Budget::new(64 << 20);
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begin = Instant::now();
        let process = ProcessBuilder::new().arg("handler").build().map_err(|error| error.to_string())?;
        let start = SharedStart { process, host: Bare, memory: memory.clone() };
        let request = Request::get("/").header("host", "localhost").body(Nothing)?;
        answer(&handler, request, start)?;
        times.push(begin.elapsed().as_nanos());
    }
    std::fs::remove_dir_all(&folder)?;
    times.sort_unstable();
    println!("{}", times[requests / 2]);
    Ok(())
}

/// Polls for the whole answer, which waits for nothing.
fn answer(
    handler: &Arc<SharedHandler<Bare>>,
    request: Request<Nothing>,
    start: SharedStart<Bare>,
) -> Result<(), Box<dyn Error>> {
    let mut context = Context::from_waker(Waker::noop());
    let mut handling = handler.handle(request, start);
    let response = loop {
        if let Poll::Ready(response) = Pin::new(&mut handling).poll(&mut context) {
            break response?;
        }
    };
    let mut body = response.into_body();
    loop {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => drop(frame?),
            Poll::Ready(None) => return Ok(()),
            Poll::Pending => {}
        }
    }
}
