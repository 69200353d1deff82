//! Why the state could not be read or changed.

use std::io;
use std::path::PathBuf;

use qyv_spec::app::Hash;

/// What every call of this crate answers with.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the state could not be read or changed. The texts are for people and say how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the state.
    #[error("`{}` is held by {}; stop it, or start with another state folder", folder.display(), holder(*pid))]
    Locked {
        /// The state.
        folder: PathBuf,
        /// Who holds it, when it has said so.
        pid: Option<u32>,
    },
    /// A newer version wrote it. Nothing was changed.
    #[error(
        "{what} has version {found}, and this qyvold knows {known} at most; install a newer qyvold, or restore a backup \
         that was made before the update"
    )]
    Newer {
        /// What has that version.
        what: String,
        /// Its version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// It is damaged. Nothing was changed.
    #[error(
        "{what} is damaged: {detail}; stop the daemon and restore it from a backup, or move it away to begin without it"
    )]
    Corrupt {
        /// What is damaged.
        what: String,
        /// How that was noticed.
        detail: String,
    },
    /// The database is missing beside blobs or secrets that it once knew.
    #[error(
        "`{database}` is missing, although `{found}` is there; restore the whole state folder from a backup, or move what \
         is left away to begin anew"
    )]
    Missing {
        /// The file that is missing.
        database: String,
        /// What shows that it was there.
        found: String,
    },
    /// A file or folder is open to others, or belongs to somebody else.
    #[error("`{}` {problem}; {mend}", path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// How to mend it.
        mend: String,
    },
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// It is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// It is larger than allowed.
    #[error("{what} is larger than {limit} {unit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// What is allowed.
        limit: u64,
        /// Of what: `bytes`, `files`, `apps`.
        unit: &'static str,
    },
    /// The bytes are others than those that were announced.
    #[error("the bytes have the hash `{found}`, not `{expected}`; upload them again")]
    WrongHash {
        /// What was announced.
        expected: Hash,
        /// What came.
        found: Hash,
    },
    /// A secret opens with another identity than the one at hand.
    #[error(
        "the secret `{name}` was encrypted to another identity than `{}`; give that identity back, or set the secret anew",
        identity.display()
    )]
    WrongIdentity {
        /// The secret.
        name: String,
        /// The identity at hand.
        identity: PathBuf,
    },
    /// What was asked makes no sense, and why.
    #[error("{0}")]
    Invalid(String),
    /// The disk did not confirm that bytes have reached it. What was written since the last confirmation may be lost, and
    /// the kernel will not say so again: the state is closed until the daemon is started anew.
    #[error(
        "the disk did not confirm a write; look at the machine's log for its cause and start the daemon again"
    )]
    Unconfirmed,
    /// The disk refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl Error {
    /// For `map_err`: what was tried and failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn corrupt(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Corrupt { what: what.into(), detail: detail.to_string() }
    }
}
