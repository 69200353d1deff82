//! Why a guest could not be started.

use std::path::PathBuf;
use std::time::Duration;

use crate::interrupt::Reason;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a guest could not be started. How a guest that was started ended is an [`Ending`](crate::Ending).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no module or component that this engine runs.
    #[error("not a WebAssembly program that can run here: {0}")]
    Invalid(String),
    /// Native code was given where a module is needed.
    #[error("this is native code compiled from a module; only portable `.wasm` is accepted")]
    Precompiled,
    /// The module is larger than the limit.
    #[error("the module has {bytes} bytes, more than the {limit} that are compiled")]
    TooLarge {
        /// The module's size in bytes.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The portable bytes could not be read.
    #[error("{0}")]
    Source(String),
    /// Compilation took too long.
    #[error("compilation took longer than {}", show_duration(*.0))]
    CompileTimeout(Duration),
    /// The compiler ended without a result.
    #[error("the compiler failed: {0}")]
    CompilerFailed(String),
    /// The program imports what nobody offers.
    #[error("nothing here offers what the program imports: {}", .0.join(", "))]
    MissingImports(Vec<String>),
    /// A module without an entry.
    #[error("the module exports no `_start` function, so there is nothing to run")]
    NoEntry,
    /// A component that handles requests, where a program was to be run.
    #[error(
        "the component answers HTTP requests (`wasi:http/incoming-handler`) and is no program: deploy it with \
         `type: http` and an address to listen at"
    )]
    NoProgram,
    /// A program, where a handler of requests was to be run.
    #[error("the program does not export `wasi:http/incoming-handler` of WASI 0.2")]
    NoHandler,
    /// The cache cannot be used.
    #[error("cannot use the compile cache `{path}`: {reason}")]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// Stopped before the guest began.
    #[error("stopped before the app began")]
    Stopped(Reason),
    /// The engine failed.
    #[error("the engine failed: {0:#}")]
    Engine(#[from] wasmtime::Error),
}

impl Error {
    pub(crate) fn cache(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Cache { path: path.into(), reason: reason.to_string() }
    }
}

fn show_duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
