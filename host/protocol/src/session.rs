//! What a worker says to the client of `exec` or `attach`, over the client's own connection.
//!
//! The client asks the daemon over HTTP to upgrade its connection to [`UPGRADE`]. The daemon answers 101 and hands the
//! connection to the worker of the instance; it reads and writes nothing of it any more. The client says one byte,
//! [`LISTENING`], once it has left HTTP behind: what comes with descriptors must not be read by who does not take them. Then
//! the worker speaks messages as in [`channel`](crate::channel), and the bytes of the program go through pipes that come
//! along with [`FromSession::Started`]. The client says nothing more: it ends the session by closing the connection.

use serde::{Deserialize, Serialize};

/// The protocol of a session with its version, in the header `upgrade`.
pub const UPGRADE: &str = "qyvol-session/1";

/// What the client says first.
pub const LISTENING: u8 = 1;

/// What a client of `exec` or `attach` is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromSession {
    /// It runs. The client's ends of pipes come along: that to write its standard input to, when the client asked for it;
    /// those to read its standard output and its standard error from.
    Started,
    /// The client has read too slowly for an instance that does not wait for it.
    Missed {
        /// Bytes of output that it did not get since it was told last.
        bytes: u64,
    },
    /// It is over, and the pipes are closed when they are read to their ends.
    Ended {
        /// One word, as in [`Exited`](crate::worker::Exited).
        cause: String,
        /// The exit code, as `qyvol run` would give it.
        code: u8,
        /// What happened, for people.
        message: String,
        /// What it was refused for want of a grant, a line each.
        denials: Vec<String>,
    },
}
