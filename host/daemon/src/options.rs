//! What a daemon is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use crate::remote::Listen;

/// Where the daemon keeps its things and finds those of others. Every path is absolute.
#[derive(Clone, Debug)]
pub struct Options {
    /// The durable state: apps, bundles, volumes, logs, secrets. Made (0700) when it is missing.
    pub state: PathBuf,
    /// The API's socket and the workers' folders, gone with the machine's next start. Made (0700) when it is missing.
    pub runtime: PathBuf,
    /// Compiled code.
    pub cache: PathBuf,
    /// The trust store; one that is missing trusts nobody.
    pub trust: PathBuf,
    /// Policies: the first that is there holds.
    pub policies: Vec<PathBuf>,
    /// The identity that opens secrets, outside the state.
    pub identity: PathBuf,
    /// The folder whose manifests are deployed; it need not be there.
    pub manifests: PathBuf,
    /// Where clients of other hosts are answered; `None` for nowhere.
    pub listen: Option<Listen>,
    /// The token and the certificate for them. Made (0700) when it is needed and missing.
    pub remote: PathBuf,
    /// The most time that compiling one program may take.
    pub compile_timeout: Duration,
}

/// The longest path of a Unix socket, in bytes: one more must be left for its end.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Options {
    /// The API's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("qyvold.sock")
    }

    /// Holds the number of the daemon's process, for people.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.runtime.join("qyvold.pid")
    }

    /// A folder for each worker.
    pub(crate) fn workers(&self) -> PathBuf {
        self.runtime.join("workers")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.state.join("blobs")
    }
}
