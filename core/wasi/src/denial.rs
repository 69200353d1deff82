//! What was refused for want of a grant, so that a person can be told which line would have asked for it.

use alloc::string::String;
use alloc::vec::Vec;

use qyv_vfs::{Error, Vfs};

use crate::limits::{DENIAL_BYTES_MAX, DENIALS_MAX};
use crate::origin::{Origin, mount_of};
use crate::services::name_from_root;

/// A call that was refused because its right was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The function that the guest called first, by its name in its version of WASI: `path_open`, `open-at`.
    pub call: &'static str,
    /// On what: an absolute guest path (cut to [`DENIAL_BYTES_MAX`] bytes), a descriptor or an address.
    pub what: String,
    /// Which right would have allowed it.
    pub right: Right,
    /// How often it was refused, at least 1.
    pub times: u64,
}

/// What was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Right {
    /// Any files at all: `permissions.fs`.
    Files,
    /// Writing to the mount at this guest path.
    Write(String),
    /// Dialling the service of this name.
    Dial(String),
    /// Connecting to this address or host outside: `tcp://192.0.2.1:80`, or a name alone.
    Connect(String),
    /// Accepting connections or datagrams.
    Listen,
}

/// At most [`DENIALS_MAX`] refusals; the same call on the same thing is counted, not repeated.
///
/// For every version of WASI that a host answers: what is refused and what a person is told does not depend on it.
#[derive(Debug)]
pub struct Denials {
    list: Vec<Denial>,
    services_at_root: bool,
}

impl Denials {
    /// Nothing was refused yet. `preopens` are the guest paths of all preopened directories.
    pub fn new<'a>(preopens: impl IntoIterator<Item = &'a str>) -> Self {
        let services_at_root = !preopens.into_iter().any(|path| path == "/svc" || path.starts_with("/svc/"));
        Self { list: Vec::new(), services_at_root }
    }

    /// Whether `/svc` is not the place of a folder.
    pub(crate) fn services_at_root(&self) -> bool {
        self.services_at_root
    }

    /// Records that `call` on `what` was refused for want of `right`.
    pub fn record(&mut self, call: &'static str, mut what: String, mut right: Right) {
        cut(&mut what);
        match &mut right {
            Right::Write(name) | Right::Dial(name) | Right::Connect(name) => cut(name),
            Right::Files | Right::Listen => {}
        }
        let same = |old: &&mut Denial| old.call == call && old.what == what && old.right == right;
        if let Some(old) = self.list.iter_mut().find(same) {
            old.times = old.times.saturating_add(1);
        } else if self.list.len() < DENIALS_MAX {
            self.list.push(Denial { call, what, right, times: 1 });
        }
    }

    /// Refuses a path that starts from a preopened `/` and names a service, unless a folder was mounted in its place.
    ///
    /// # Errors
    ///
    /// `ACCES` for `svc/<name>` and what lies beneath.
    pub fn refuse_service(&mut self, call: &'static str, from: &Origin, path: &str) -> Result<(), Error> {
        match name_from_root(path).filter(|_| self.services_at_root && from.is_root()) {
            Some(name) => Err(self.refuse_dial(call, name)),
            None => Ok(()),
        }
    }

    /// Refuses a path in the closed root, or with an empty path the root itself. Always `ACCES`.
    pub fn refuse_files(&mut self, call: &'static str, path: &str) -> Error {
        self.record(call, Origin::preopen("/").absolute(path), Right::Files);
        Error::ACCES
    }

    /// Records that a read-only mount refused to change what lies at `path` from `from`; an empty path is `from` itself,
    /// an open file or directory.
    pub fn refuse_write(&mut self, call: &'static str, vfs: &mut Vfs, from: &Origin, path: &str) {
        let what = from.absolute(path);
        let mount = mount_of(vfs, if path.is_empty() { from.preopened() } else { &what });
        self.record(call, what, Right::Write(mount));
    }

    /// What was refused so far, the first one first.
    #[must_use]
    pub fn list(&self) -> &[Denial] {
        &self.list
    }
}

/// Cuts a text to [`DENIAL_BYTES_MAX`] bytes, and lets go of the rest: a guest may have given megabytes.
fn cut(text: &mut String) {
    if text.len() > DENIAL_BYTES_MAX {
        text.truncate(text.floor_char_boundary(DENIAL_BYTES_MAX));
    }
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn repeats_are_counted_and_the_list_is_bounded() {
        let mut denials = Denials::new([]);
        for round in 0..3 {
            for number in 0..DENIALS_MAX + 10 {
                denials.record("path_open", format!("/{number}"), Right::Files);
            }
            assert_eq!(denials.list().len(), DENIALS_MAX);
            assert!(denials.list().iter().all(|d| d.times == round + 1));
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let mut denials = Denials::new([]);
        denials.record("path_open", "é".repeat(DENIAL_BYTES_MAX), Right::Dial("x".to_string()));
        denials.record("path_open", format!("a{}", "é".repeat(DENIAL_BYTES_MAX)), Right::Listen);
        assert_eq!(denials.list()[0].what.len(), DENIAL_BYTES_MAX);
        assert_eq!(denials.list()[1].what.len(), DENIAL_BYTES_MAX - 1);
    }

    #[test]
    fn nothing_long_is_kept() {
        let mut denials = Denials::new(["/"]);
        let name = "n".repeat(1 << 20);
        let root = Origin::preopen("/");
        assert_eq!(denials.refuse_service("open-at", &root, &["svc/", &name].concat()), Err(Error::ACCES));
        assert_eq!(denials.refuse_files("open-at", &name), Error::ACCES);
        denials.record("resolve-addresses", name.clone(), Right::Connect(name));
        assert_eq!(denials.list().len(), 3);
        for denial in denials.list() {
            assert!(denial.what.capacity() <= DENIAL_BYTES_MAX);
            if let Right::Dial(name) | Right::Connect(name) = &denial.right {
                assert!(name.capacity() <= DENIAL_BYTES_MAX);
            }
        }
    }
}
