//! What is wrong with a manifest, where, and how to mend it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A value that cannot be read: what is wrong with it and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, naming the value.
    pub message: String,
    /// What to write instead.
    pub mend: String,
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { message: message.into(), mend: mend.into() }
    }

    /// Carries both parts through serde, which has room for one text: the mend follows on a line of its own.
    pub(crate) fn into_serde<E: serde::de::Error>(self) -> E {
        E::custom(format_args!("{}\n{}", self.message, self.mend))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.mend)
    }
}

impl core::error::Error for Invalid {}

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key of a mapping.
    Key(String),
    /// An item of a list, counted from 0.
    Index(usize),
}

/// Where a value stands in a manifest: `fs[1].mount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    /// The path of a key at the top.
    #[must_use]
    pub fn key(name: &str) -> Self {
        Self(alloc::vec![Step::Key(name.to_string())])
    }

    /// This path, one key deeper.
    #[must_use]
    pub fn then(mut self, name: &str) -> Self {
        self.0.push(Step::Key(name.to_string()));
        self
    }

    /// This path, at an item of its list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if position == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Something wrong in a manifest whose values can each be read: two of them do not fit together, or one does not fit
/// its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: KeyPath,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub mend: String,
}

impl Problem {
    pub(crate) fn new(path: KeyPath, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { path, message: message.into(), mend: mend.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}; {}", self.path, self.message, self.mend)
    }
}

impl core::error::Error for Problem {}
