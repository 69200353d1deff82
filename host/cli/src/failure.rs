//! Why qyvol itself could not do what was asked, and the exit code that says so.

use std::fmt;

use qyvol_engine::Ending;

/// The exit codes of qyvol's own failures; those of a run are [`qyvol_engine::Ending::exit_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something was found wrong that the command looks for: `check`, `verify`, `cache verify`.
    Found = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// qyvol's own error, or the system's.
    Own = 125,
    /// Refused: not granted, not trusted, not a program, not available here.
    Refused = 126,
    /// No such app, file or command.
    NotFound = 127,
    /// Stopped before the app began, with the code that a running app would have had.
    TimedOut = 124,
    Interrupted = 130,
    Limit = 137,
    Terminated = 143,
}

/// A failure with its exit code and how to mend it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// What happened: one sentence without its full stop, or a whole report that ends with a newline.
    pub(crate) message: String,
    /// How to mend it, a line each.
    pub(crate) hints: Vec<String>,
    /// The word in `--json` and `--status-file`.
    pub(crate) cause: &'static str,
}

/// The result of everything in the command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// qyvol's own error.
    pub(crate) fn own(message: impl fmt::Display) -> Self {
        Self::new(Code::Own, "error", message)
    }

    /// Refused.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Code::Refused, "refused", message)
    }

    /// Not found.
    pub(crate) fn not_found(message: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, "not_found", message)
    }

    /// Something wrong was found by a command that looks for it.
    pub(crate) fn found(message: impl fmt::Display) -> Self {
        Self::new(Code::Found, "found", message)
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, "usage", message)
    }

    /// Stopped before the app began.
    fn stopped(ending: Ending, error: &qyvol_engine::Error) -> Self {
        let code = match ending {
            Ending::TimedOut => Code::TimedOut,
            Ending::Interrupted => Code::Interrupted,
            Ending::Terminated => Code::Terminated,
            Ending::Limit(_) => Code::Limit,
            Ending::Exited(_) | Ending::Trapped => Code::Own,
        };
        Self::new(code, ending.cause(), error)
    }

    /// The engine's error about the program that is called `place` in messages.
    pub(crate) fn of_program(place: &str, error: qyvol_engine::Error) -> Self {
        use qyvol_engine::Error as E;
        match error {
            E::Invalid(why) => {
                Self::refused(format!("{place} is not a WebAssembly program that can run here: {why}"))
            }
            E::NoEntry => {
                Self::refused(format!("{place} exports no `_start` function, so there is nothing to run"))
                    .hint("build it as a program, with a `main`")
            }
            E::MissingImports(imports) => {
                Self::refused(format!("{place} imports what nothing here offers: {}", imports.join(", ")))
                    .hint("`qyvol caps` tells for which world the program was built")
            }
            E::Precompiled => {
                Self::refused(format!("{place} is native code; only portable `.wasm` is accepted"))
                    .hint("native code is never loaded from outside; run the `.wasm` it was made from")
            }
            error => error.into(),
        }
    }

    /// The error of an operation on a path: absent files are 127, those that may not be read 126.
    pub(crate) fn at_path(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("cannot {what} `{}`: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::not_found(message),
            std::io::ErrorKind::PermissionDenied => Self::refused(message),
            _ => Self::own(message),
        }
    }

    /// The same with a line that tells how to mend it.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// The same with another word for programs.
    pub(crate) fn because(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }

    fn new(code: Code, cause: &'static str, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hints: Vec::new(), cause }
    }
}

impl From<qyvol_engine::Error> for Failure {
    fn from(error: qyvol_engine::Error) -> Self {
        use qyvol_engine::Error as E;
        match &error {
            E::Invalid(_) | E::NoEntry | E::NoProgram | E::TooLarge { .. } => Self::refused(&error),
            E::Precompiled => Self::refused(&error)
                .hint("native code is never loaded from outside; run the `.wasm` it was made from"),
            E::CompileTimeout(_) => {
                Self::refused(&error).hint("give it more time with `--compile-timeout 10m`")
            }
            E::MissingImports(_) => {
                Self::refused(&error).hint("`qyvol caps` tells for which world the program was built")
            }
            E::Stopped(reason) => Self::stopped(reason.ending(), &error),
            _ => Self::own(&error),
        }
    }
}
