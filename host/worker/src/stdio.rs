//! Where a guest reads and prints: the log, a client's pipes, or a buffer.

mod pipe;
mod watchers;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use qyv_svc::End;
use qyv_wasi::{Error, Interest, Readiness, Result, Stream, StreamKind};
use qyvol_logs::LogStream;

use crate::services::Shared;
pub(crate) use pipe::Pipe;
pub(crate) use watchers::{Watcher, Watchers};

/// The most bytes that one call prints; the guest's libc prints the rest with the next.
const PRINT_BYTES_MAX: usize = 64 << 10;

/// The most bytes that are kept of what a guest prints for nobody to read: the first ones, which tell what is wrong.
const KEPT_BYTES_MAX: usize = 1024;

/// The standard streams of a guest.
pub(crate) struct Stdio {
    /// `None` is at its end from the start.
    stdin: Option<Input>,
    stdout: Output,
    stderr: Output,
}

/// Where a guest reads.
enum Input {
    Pipe(Pipe),
    Line(Arc<End<Shared>>),
}

/// Where one stream of output goes.
enum Output {
    /// To the app's log, and to whoever watches.
    Log { log: LogStream, watchers: Arc<Watchers> },
    /// To a client, who is waited for.
    Pipe(Pipe),
    /// To another guest, which is waited for.
    Line(Arc<End<Shared>>),
    /// Nowhere, but for its beginning.
    Kept(Kept),
}

/// The beginning of what a guest printed.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// It as text, without the spaces around it.
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

impl Stdio {
    /// Those of an instance: no input, and output to its log.
    pub(crate) fn log(log: &LogStream, watchers: &Arc<Watchers>) -> Self {
        let output = |log| Output::Log { log, watchers: Arc::clone(watchers) };
        Self { stdin: None, stdout: output(log.clone()), stderr: output(log.stderr()) }
    }

    /// Those of a program that a client runs.
    pub(crate) fn pipes(stdin: Option<Pipe>, stdout: Pipe, stderr: Pipe) -> Self {
        let stdin = stdin.map(Input::Pipe);
        Self { stdin, stdout: Output::Pipe(stdout), stderr: Output::Pipe(stderr) }
    }

    /// Those of a program that another guest runs: `io` is its output, and its input when it reads any.
    pub(crate) fn lines(reads: bool, io: End<Shared>, stderr: End<Shared>) -> Self {
        let io = Arc::new(io);
        let stdin = reads.then(|| Input::Line(Arc::clone(&io)));
        Self { stdin, stdout: Output::Line(io), stderr: Output::Line(Arc::new(stderr)) }
    }

    /// No input, and output of which the beginning is kept.
    pub(crate) fn kept(kept: &Kept) -> Self {
        Self { stdin: None, stdout: Output::Kept(kept.clone()), stderr: Output::Kept(kept.clone()) }
    }

    fn output(&self, stream: Stream) -> &Output {
        if stream == Stream::Stderr { &self.stderr } else { &self.stdout }
    }

    pub(crate) fn read(&self, stream: Stream, into: &mut [u8]) -> Result<usize> {
        match (stream, &self.stdin) {
            (Stream::Stdin, Some(Input::Pipe(pipe))) => pipe.read(into),
            (Stream::Stdin, Some(Input::Line(line))) => line.receive(into, false),
            (Stream::Stdin, None) => Ok(0),
            (Stream::Stdout | Stream::Stderr, _) => Err(Error::BADF),
        }
    }

    pub(crate) fn write(&self, stream: Stream, from: &[u8]) -> Result<usize> {
        if stream == Stream::Stdin {
            return Err(Error::BADF);
        }
        // In pieces, so that nobody who shares the log's thread waits for one app.
        let from = from.get(..PRINT_BYTES_MAX).unwrap_or(from);
        match self.output(stream) {
            Output::Log { log, watchers } => {
                log.print(from);
                watchers.copy(stream, from);
            }
            Output::Pipe(pipe) => return pipe.write(from),
            Output::Line(line) => return line.send(from),
            Output::Kept(kept) => kept.add(from),
        }
        Ok(from.len())
    }

    pub(crate) fn kind(&self, stream: Stream) -> StreamKind {
        if stream == Stream::Stdin && self.stdin.is_none() { StreamKind::Null } else { StreamKind::Pipe }
    }

    /// Whether a stream is ready; otherwise the waker is called when it may be.
    pub(crate) fn ready(
        &self,
        stream: Stream,
        interest: Interest,
        waker: Option<&Waker>,
    ) -> Option<Readiness> {
        let pipe = match stream {
            Stream::Stdin => match &self.stdin {
                Some(Input::Pipe(pipe)) => Some(pipe),
                Some(Input::Line(line)) => return line_ready(line, interest, waker),
                None => None,
            },
            Stream::Stdout | Stream::Stderr => match self.output(stream) {
                Output::Pipe(pipe) => Some(pipe),
                Output::Line(line) => return line_ready(line, interest, waker),
                // Such output is always taken.
                Output::Log { .. } | Output::Kept(_) => {
                    return Some(Readiness { bytes: PRINT_BYTES_MAX as u64, hangup: false });
                }
            },
        };
        match pipe {
            Some(pipe) => pipe.ready(interest, waker),
            None => Some(Readiness { bytes: 0, hangup: true }),
        }
    }
}

fn line_ready(line: &End<Shared>, interest: Interest, waker: Option<&Waker>) -> Option<Readiness> {
    let interest = match interest {
        Interest::Read => qyv_svc::Interest::Read,
        Interest::Write => qyv_svc::Interest::Write,
    };
    let ready = line.ready(interest, waker)?;
    Some(Readiness { bytes: ready.bytes, hangup: ready.hangup })
}
