//! Reads `.qyv` text. Needs std.
//!
//! The text becomes a tree whose every node knows its place; the tree is read into a [`Manifest`] by serde; what cannot be
//! read is noted, cut out of the tree, and the rest read again, so that several mistakes are reported at once. Last, what
//! does not fit together is noted at the place of its key.

mod errors;
mod locate;
mod read;
mod tree;
mod words;

use crate::grants::Policy;
use crate::{Manifest, Problem};

pub use errors::{ManifestError, ManifestErrors};

/// Most bytes of a manifest or policy. Hosts read no more than one byte beyond it.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Most mistakes that are reported at once.
pub const REPORTED_MAX: usize = 20;

impl Manifest {
    /// Reads a manifest and checks that its values fit together. `name` is the file's name, for messages.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at most [`REPORTED_MAX`] mistakes, each with its line and how to mend it.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, ManifestErrors> {
        let stand_ins = &[("name", "stand-in"), ("entrypoint", "stand-in.wasm")];
        document(text, name, "manifest", stand_ins, |manifest: &Self| {
            manifest.check().err().unwrap_or_default()
        })
    }

    /// The same from bytes, which are checked to be no more than [`MANIFEST_BYTES_MAX`] and UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Self::from_yaml`].
    pub fn from_yaml_bytes(bytes: &[u8], name: &str) -> Result<Self, ManifestErrors> {
        Self::from_yaml(errors::decode(bytes, name, "manifest")?, name)
    }
}

impl Policy {
    /// Reads the policy of a host. `name` is the file's name, for messages.
    ///
    /// # Errors
    ///
    /// As [`Manifest::from_yaml_bytes`].
    pub fn from_yaml_bytes(bytes: &[u8], name: &str) -> Result<Self, ManifestErrors> {
        document(errors::decode(bytes, name, "policy")?, name, "policy", &[], |_| Vec::new())
    }
}

fn document<T: serde::de::DeserializeOwned>(
    text: &str,
    name: &str,
    what: &str,
    stand_ins: &[(&str, &str)],
    check: impl Fn(&T) -> Vec<Problem>,
) -> Result<T, ManifestErrors> {
    errors::check_text(text, name, what)?;
    let fail = |faults| Err(ManifestErrors::new(name, text, faults));
    let mut root = match tree::parse(text, what) {
        Ok(root) => root,
        Err(fault) => return fail(vec![fault]),
    };
    let mut faults = Vec::new();
    loop {
        let stop = match read::read::<T>(&root) {
            Ok(value) if faults.is_empty() => {
                let problems = check(&value);
                if problems.is_empty() {
                    return Ok(value);
                }
                faults.extend(
                    problems.into_iter().take(REPORTED_MAX).map(|problem| locate::fault(&root, problem)),
                );
                true
            }
            Ok(_) => true,
            Err(failure) => {
                let mended = root.mend(&failure, stand_ins);
                faults.push(failure.into_fault());
                !mended
            }
        };
        if stop || faults.len() >= REPORTED_MAX {
            faults.sort_by_key(|fault| fault.span.start);
            return fail(faults);
        }
    }
}
