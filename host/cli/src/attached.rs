//! A session with a program of the daemon's, on this process's standard streams.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread::{self, JoinHandle};

use qyvol_protocol::session::FromSession;

use crate::client::{Session, lost};
use crate::failure::{Failure, Result};
use crate::output;
use crate::terminal::TerminalFilter;

/// How much is carried at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Carries the streams until the program has ended, and gives its exit code. Ctrl-C ends this process, and with that the
/// session. `raw` passes control sequences to the terminal.
pub(crate) fn carry(session: &Session, stdin: bool, raw: bool) -> Result<ExitCode> {
    let mut output = Vec::new();
    loop {
        match session.next()? {
            None => return Err(lost("without a word")),
            Some((FromSession::Started, ends)) => output = start(ends, stdin, raw)?,
            Some((FromSession::Missed { bytes }, _)) => {
                output::warning(&format!("{bytes} bytes were written faster than they were read here"));
            }
            Some((FromSession::Ended { cause, code, message, denials }, _)) => {
                for thread in output {
                    // A reader that left, as `| head` does, is no failure.
                    let _ = thread.join();
                }
                if cause == "refused" {
                    return Err(Failure::refused(message));
                }
                if cause != "exit" {
                    output::note(&format!("qyvol: {message}"));
                }
                for denial in denials {
                    output::note(&format!("qyvol: {denial}"));
                }
                return Ok(ExitCode::from(code));
            }
        }
    }
}

/// Begins to carry; gives the threads of the output.
fn start(ends: Vec<OwnedFd>, stdin: bool, raw: bool) -> Result<Vec<JoinHandle<()>>> {
    let mut ends = ends.into_iter().map(File::from);
    let mut end = || ends.next().ok_or_else(|| lost("without the program's streams"));
    if stdin {
        let mut to = end()?;
        // It is never waited for: it may wait for a person.
        spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut to);
        })?;
    }
    let (stdout, stderr) = (end()?, end()?);
    let out = spawn(move || copy(stdout, io::stdout(), !raw && io::stdout().is_terminal()))?;
    let err = spawn(move || copy(stderr, io::stderr(), !raw && io::stderr().is_terminal()))?;
    Ok(vec![out, err])
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().spawn(work).map_err(Failure::own)
}

/// Copies what comes as it comes.
fn copy(mut from: File, to: impl Write, filtered: bool) {
    let mut plain = to;
    let mut filter;
    let to: &mut dyn Write = if filtered {
        filter = TerminalFilter::new(plain);
        &mut filter
    } else {
        &mut plain
    };
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let piece = buffer.get(..count).unwrap_or_default();
        if to.write_all(piece).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
