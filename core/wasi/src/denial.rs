//! What was refused for want of a grant, so that a person can be told which line would have asked for it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::{DENIAL_BYTES_MAX, DENIALS_MAX};

/// A call that was refused because its right was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The function that the guest called first: `path_open`.
    pub call: &'static str,
    /// On what: an absolute guest path (cut to [`DENIAL_BYTES_MAX`] bytes) or a descriptor.
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
    /// Accepting connections.
    Listen,
}

/// At most [`DENIALS_MAX`] refusals; the same call on the same thing is counted, not repeated.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    list: Vec<Denial>,
}

impl Denials {
    pub(crate) fn record(&mut self, call: &'static str, mut what: String, right: Right) {
        if what.len() > DENIAL_BYTES_MAX {
            what.truncate(what.floor_char_boundary(DENIAL_BYTES_MAX));
        }
        let same = |old: &&mut Denial| old.call == call && old.what == what && old.right == right;
        if let Some(old) = self.list.iter_mut().find(same) {
            old.times = old.times.saturating_add(1);
        } else if self.list.len() < DENIALS_MAX {
            self.list.push(Denial { call, what, right, times: 1 });
        }
    }

    pub(crate) fn list(&self) -> &[Denial] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn repeats_are_counted_and_the_list_is_bounded() {
        let mut denials = Denials::default();
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
        let mut denials = Denials::default();
        denials.record("path_open", "é".repeat(DENIAL_BYTES_MAX), Right::Dial("x".to_string()));
        denials.record("path_open", format!("a{}", "é".repeat(DENIAL_BYTES_MAX)), Right::Listen);
        assert_eq!(denials.list()[0].what.len(), DENIAL_BYTES_MAX);
        assert_eq!(denials.list()[1].what.len(), DENIAL_BYTES_MAX - 1);
    }
}
