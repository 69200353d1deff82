//! Which files a manifest packages, as one rule for the host that walks its folder.

use alloc::string::String;
use alloc::vec::Vec;

use super::path::RelativePath;
use super::pattern::{FilePattern, never_packaged};
use super::{Manifest, OwnFiles};

/// Which files of its folder an app is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSelection {
    /// The program: it must exist.
    pub entrypoint: RelativePath,
    /// `files`, when written: each pattern should take at least one file.
    pub patterns: Vec<FilePattern>,
    /// Without `files`: the files that `args` and `env` name by guest path. Taken when they exist.
    pub named: Vec<RelativePath>,
}

impl FileSelection {
    /// Whether the file at `path` is packaged. Links are the host's matter: it follows none that leaves the folder.
    #[must_use]
    pub fn takes(&self, path: &RelativePath) -> bool {
        if *path == self.entrypoint {
            return true;
        }
        let asked = self.named.contains(path) || self.patterns.iter().any(|pattern| pattern.matches(path));
        asked && never_packaged(path).is_none()
    }
}

impl Manifest {
    /// Which files of its folder the app is made of.
    #[must_use]
    pub fn selection(&self) -> FileSelection {
        let named = if self.files.is_none() && self.permissions.fs != OwnFiles::None {
            self.named()
        } else {
            Vec::new()
        };
        FileSelection {
            entrypoint: self.entrypoint.clone(),
            patterns: self.files.clone().unwrap_or_default(),
            named,
        }
    }

    /// What `args` and `env` name by guest path, `/models/a.onnx` or `--model=/models/a.onnx`, as paths in the folder.
    fn named(&self) -> Vec<RelativePath> {
        let args = self.args.iter().map(|arg| match arg.split_once('=') {
            Some((option, value)) if option.starts_with('-') => value,
            _ => arg.as_str(),
        });
        let mut named: Vec<RelativePath> = args
            .chain(self.env.values().map(String::as_str))
            .filter_map(|value| value.strip_prefix('/')?.parse().ok())
            .filter(|path| never_packaged(path).is_none())
            .collect();
        named.sort();
        named.dedup();
        named
    }
}
