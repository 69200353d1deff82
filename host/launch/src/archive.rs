//! Files of a tree as a tar archive, and an archive into a tree: `qyvol cp`, on both of its sides.
//!
//! All goes through the mount table: no path and no link leads out of a mount, what is read-only stays so, and quotas hold.
//! An archive is not believed: what is in its names is checked, and how much of its headers is read is bounded.

mod pack;
#[cfg(test)]
mod tests;
mod unpack;

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use qyv_vfs::{Attributes, Vfs};

pub use pack::pack;
pub use unpack::unpack;

/// How deep folders may stand in one another.
const DEPTH_MAX: usize = 128;

/// How many things that were left out are named.
const SKIPPED_MAX: usize = 100;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What was left out, with the reason; a hundred at most.
    pub skipped: Vec<String>,
}

impl Copied {
    fn skip(&mut self, path: &str, why: &str) {
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(format!("{path}: {why}"));
        }
    }
}

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The tree's own word about a path.
    #[error("`/{path}`: {}", in_words(*source))]
    Tree {
        /// The path.
        path: String,
        /// Why.
        source: qyv_vfs::Error,
    },
    /// Something in an archive is refused.
    #[error("the archive is refused for `{path}`: {why}")]
    Refused {
        /// Its name there.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The archive cannot be read or written.
    #[error("{0}")]
    Stream(#[from] io::Error),
}

fn in_words(error: qyv_vfs::Error) -> &'static str {
    match error {
        qyv_vfs::Error::NOENT => "there is no such file or folder",
        qyv_vfs::Error::NOSPC => "the app's limits leave no room for it",
        qyv_vfs::Error::NOTDIR => "it is no folder",
        qyv_vfs::Error::ISDIR => "it is a folder",
        qyv_vfs::Error::EXIST => "something else has that name",
        qyv_vfs::Error::ACCES | qyv_vfs::Error::PERM => "it may not be read, or not be changed",
        qyv_vfs::Error::ROFS => "it cannot be changed",
        other => other.name(),
    }
}

fn of<T>(path: &str, result: qyv_vfs::Result<T>) -> Result<T, CopyError> {
    result.map_err(|source| CopyError::Tree { path: path.to_owned(), source })
}

/// `path`, absolute, as one beneath the root: without `.` and repeated slashes. `None` when `..` is in it, or it is not
/// absolute.
#[must_use]
pub fn beneath_root(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What is at `path`, a path beneath the root; a link is not followed.
///
/// # Errors
///
/// [`CopyError::Tree`].
pub fn look(vfs: &mut Vfs, path: &str) -> Result<Attributes, CopyError> {
    let root = of("/", vfs.open_root("/"))?;
    of(path, vfs.attributes_at(root, or_root(path), false))
}

fn or_root(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// A closure that is read from.
struct ReadWith<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for ReadWith<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (self.0)(into)
    }
}

/// Whether a link at `path` stays within the first `kept` components of it, whatever other links are there, when all of
/// them pass this test: `..` stands at the beginning only, where it counts folders that are no links, and not more often
/// than there are.
fn stays_inside(path: &Path, target: &Path, kept: usize) -> bool {
    let Some(mut depth) = path.components().count().checked_sub(1 + kept) else { return false };
    let mut parts = target.components().peekable();
    while parts.next_if_eq(&Component::ParentDir).is_some() {
        match depth.checked_sub(1) {
            Some(less) => depth = less,
            None => return false,
        }
    }
    let rest: PathBuf = parts.collect();
    !target.as_os_str().is_empty()
        && rest.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
