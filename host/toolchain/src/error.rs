//! Why a program could not be made.

use std::io;
use std::path::{Path, PathBuf};

use crate::Language;
use crate::part::Part;

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a program could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the language needs is not there, or too old.
    #[error("{} cannot be built here", language.title())]
    Missing {
        /// The language.
        language: Language,
        /// What is missing, each with how to mend it.
        parts: Vec<Part>,
    },
    /// The compiler found a mistake, and has said it.
    #[error("`{program}` failed")]
    Compile {
        /// The program that was run.
        program: String,
    },
    /// A program failed and said nothing.
    #[error("`{program}` ended with {status} and said nothing")]
    Silent {
        /// The program that was run.
        program: String,
        /// How it ended.
        status: String,
    },
    /// A command that installs something failed.
    #[error("`{line}` failed")]
    Install {
        /// The command.
        line: String,
    },
    /// A downloaded file is not the one that is known.
    #[error("`{}` has the SHA-256 {found}, and not {wanted}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it must have.
        wanted: &'static str,
    },
    /// The sources are not what is needed.
    #[error("{what}")]
    Sources {
        /// What is wrong with them.
        what: String,
        /// How to mend it.
        mend: String,
    },
    /// The compiler made no module, or a broken one.
    #[error("`{program}` made no valid module: {why}")]
    Broken {
        /// The program that was run.
        program: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused something.
    #[error("cannot {what} `{}`: {error}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn system(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::System { what, path: path.to_owned(), error }
    }

    pub(crate) fn sources(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Sources { what: what.into(), mend: mend.into() }
    }
}
