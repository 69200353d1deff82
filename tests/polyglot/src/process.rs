//! A program that is run to its end.

use std::io::{PipeReader, Read as _, Write as _, pipe};
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How often a program is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What a program wrote, and how it ended.
pub(crate) struct Ran {
    /// Standard output, and all of it when both outputs led to one pipe.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Whether it was ended here, after its time.
    pub(crate) overdue: bool,
    pub(crate) elapsed: Duration,
}

impl Ran {
    /// Standard error as text.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Runs a command; `one_pipe` leads both outputs to one.
pub(crate) fn run(command: &mut Command, stdin: &[u8], one_pipe: bool, patience: Duration) -> Result<Ran> {
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let begin = Instant::now();
    if one_pipe {
        drop(stderr_end);
        command.stderr(stdout_end.try_clone()?);
    } else {
        command.stderr(stderr_end);
    }
    command.stdin(Stdio::piped()).stdout(stdout_end);
    let mut child =
        command.spawn().with_context(|| format!("start `{}`", command.get_program().display()))?;
    // The command holds the ends that the child writes to.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let input = child.stdin.take();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program may end without reading it all.
            let _ = input.map(|mut input| input.write_all(stdin));
        });
        let [stdout, stderr] = [stdout, stderr].map(|end| scope.spawn(move || all_of(end)));
        let (status, overdue) = loop {
            if let Some(status) = child.try_wait()? {
                break (status, false);
            }
            if begin.elapsed() > patience {
                child.kill()?;
                break (child.wait()?, true);
            }
            thread::sleep(LOOK);
        };
        let elapsed = begin.elapsed();
        let bytes = |reader: ScopedJoinHandle<'_, Vec<u8>>| reader.join().unwrap_or_default();
        Ok(Ran { stdout: bytes(stdout), stderr: bytes(stderr), code: status.code(), overdue, elapsed })
    })
}

fn all_of(mut end: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a failure is judged.
    let _ = end.read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stdin: &[u8], one_pipe: bool, patience: Duration) -> Ran {
        run(Command::new("sh").args(["-c", script]), stdin, one_pipe, patience).unwrap()
    }

    #[test]
    fn outputs_are_kept_apart_or_in_order_and_time_is_limited() {
        let long = Duration::from_secs(60);
        let ran = sh("cat; echo b >&2; exit 3", b"a", false, long);
        assert_eq!(
            (ran.stdout.as_slice(), ran.stderr.as_slice(), ran.code),
            (&b"a"[..], &b"b\n"[..], Some(3))
        );
        let ran = sh("echo a; echo b >&2; echo c", b"", true, long);
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"a\nb\nc\n"[..], &b""[..]));
        let ran = sh("exec sleep 100", b"", false, Duration::from_millis(20));
        assert!(ran.overdue && ran.code.is_none());
    }
}
