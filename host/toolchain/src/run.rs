//! Starting programs: every command is shown, and what it prints goes through untouched.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Host, Result};

/// How often an observer hears that a command still runs.
const TICK: Duration = Duration::from_millis(100);
/// How much of a command's output is handed on at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// Who is told what goes on.
pub trait Observer {
    /// A command is about to be started; `line` is what a shell would take.
    fn runs(&mut self, line: &str);
    /// A command prints nothing and still runs, about ten times a second.
    fn waits(&mut self, elapsed: Duration);
    /// A command has printed this.
    fn printed(&mut self, bytes: &[u8]);
    /// Something that is worth a line.
    fn notes(&mut self, text: &str);
}

/// A command that will be shown and run.
pub(crate) struct Run {
    command: Command,
    line: String,
    program: String,
}

impl Run {
    /// A command of the host's. Its standard input is empty.
    pub(crate) fn new(host: &Host, program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("PATH", host.path());
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        Self { command, line: name.clone(), program: name }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        let argument = argument.as_ref();
        self.command.arg(argument);
        self.line.push(' ');
        self.line.push_str(&quoted(&argument.to_string_lossy()));
        self
    }

    /// More arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// A variable, which is shown as a shell would take it.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        self.command.env(name, value);
        self.line = format!("{name}={} {}", quoted(&value.to_string_lossy()), self.line);
        self
    }

    /// Where it is run.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// The command as a shell would take it.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// Runs a compiler that shows no progress of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or fails.
    pub(crate) fn compile(mut self, observer: &mut dyn Observer) -> Result<()> {
        observer.runs(&self.line);
        let (reader, writer) = io::pipe().map_err(|error| self.unstarted(error))?;
        let both = writer.try_clone().map(|errors| (Stdio::from(writer), Stdio::from(errors)));
        let (output, errors) = both.map_err(|error| self.unstarted(error))?;
        let mut child =
            self.command.stdout(output).stderr(errors).spawn().map_err(|error| self.unstarted(error))?;
        // This process's ends of the pipe, which would keep it open.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let printed = forward(reader, observer);
        let status = self.wait(&mut child)?;
        self.judge(status, printed)
    }

    /// Runs a program that shows its own progress, on the terminal that there may be: what it prints goes to standard error,
    /// but for its standard output, which `lines` gets a line at a time when it is asked for.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or fails.
    pub(crate) fn on_terminal(mut self, observer: &mut dyn Observer) -> Result<()> {
        observer.runs(&self.line);
        let errors =
            rustix::io::dup(rustix::stdio::stderr()).map_err(|error| self.unstarted(error.into()))?;
        let mut child =
            self.command.stdout(Stdio::from(errors)).spawn().map_err(|error| self.unstarted(error))?;
        let status = self.wait(&mut child)?;
        self.judge(status, true)
    }

    /// The same, and returns what it wrote to standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or fails.
    pub(crate) fn output_of(mut self, observer: &mut dyn Observer) -> Result<String> {
        observer.runs(&self.line);
        let child = self.command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let output = child.and_then(Child::wait_with_output).map_err(|error| self.unstarted(error))?;
        self.judge(output.status, true)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        child.wait().map_err(|error| Error::system("wait for", Path::new(&self.program), error))
    }

    fn unstarted(&self, error: io::Error) -> Error {
        Error::system("start", Path::new(&self.program), error)
    }

    fn judge(&self, status: ExitStatus, printed: bool) -> Result<()> {
        match status.success() {
            true => Ok(()),
            false if printed => Err(Error::Compile { program: self.program.clone() }),
            false => Err(Error::Silent { program: self.program.clone(), status: status.to_string() }),
        }
    }
}

/// Hands on what is printed until the pipe ends; says whether there was anything.
fn forward(mut reader: io::PipeReader, observer: &mut dyn Observer) -> bool {
    let begin = Instant::now();
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    let mut printed = false;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while let Ok(length @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(bytes) => {
                    printed = true;
                    observer.printed(&bytes);
                }
                Err(RecvTimeoutError::Timeout) if !printed => observer.waits(begin.elapsed()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    printed
}

/// What a program prints when asked something; nothing when it cannot be started, or fails.
pub(crate) fn ask(host: &Host, program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("PATH", host.path()).env("LC_ALL", "C");
    let output = command.output().ok().filter(|output| output.status.success())?;
    // Java answers on standard error.
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some(text)
}

/// An argument as a shell would take it.
pub(crate) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Heard, machine};

    fn shell(script: &str) -> (Result<()>, Heard) {
        let host = Host::of_process();
        let mut heard = Heard::default();
        let result = Run::new(&host, "/bin/sh").args(["-c", script]).compile(&mut heard);
        (result, heard)
    }

    #[test]
    fn what_a_compiler_prints_goes_through_untouched() {
        let (result, heard) = shell("printf 'a\\033[1mb\\n'; printf 'c\\377' >&2; exit 3");
        assert!(matches!(result, Err(Error::Compile { program }) if program == "sh"));
        assert_eq!(heard.printed, b"a\x1b[1mb\nc\xff");
        assert_eq!(heard.lines.len(), 1);
        assert!(heard.lines[0].starts_with("sh -c 'printf"), "{:?}", heard.lines);
    }

    #[test]
    fn who_fails_in_silence_is_named() {
        let (result, heard) = shell("exit 7");
        assert!(heard.printed.is_empty());
        let Err(Error::Silent { program, status }) = result else { panic!("{result:?}") };
        assert_eq!(program, "sh");
        assert!(status.contains('7'), "{status}");
        let (result, _) = shell("kill -9 $$");
        let Err(Error::Silent { status, .. }) = result else { panic!("{result:?}") };
        assert!(status.contains('9'), "{status}");
    }

    #[test]
    fn who_is_silent_is_waited_for() {
        let (result, heard) = shell("sleep 0.5");
        result.unwrap();
        assert!(heard.waited > 0);
    }

    #[test]
    fn lines_are_what_a_shell_would_take() {
        let (_folder, host) = machine(&[]);
        let run = Run::new(&host, "/opt/bin/cc").arg("-o").arg("it's here").env("GOOS", "wasip1").arg("");
        assert_eq!(run.line(), r"GOOS=wasip1 cc -o 'it'\''s here' ''");
    }
}
