//! What the tests share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Host, Observer};

/// An observer that remembers.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) lines: Vec<String>,
    pub(crate) printed: Vec<u8>,
    pub(crate) notes: Vec<String>,
    pub(crate) waited: u32,
}

impl Observer for Heard {
    fn runs(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn waits(&mut self, _: Duration) {
        self.waited += 1;
    }

    fn printed(&mut self, bytes: &[u8]) {
        self.printed.extend(bytes);
    }

    fn notes(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

/// A machine with nothing but these programs, each of which is a shell script.
pub(crate) fn machine(programs: &[(&str, &str)]) -> (TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in programs {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let host = Host::with_path(folder.path(), folder.path().join("data"));
    (folder, host)
}
