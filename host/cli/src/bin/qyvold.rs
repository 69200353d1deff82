//! `qyvold`, the daemon as units and people know it: `qyvol daemon run`.

use std::process::ExitCode;

#[path = "../beside.rs"]
mod beside;

fn main() -> ExitCode {
    beside::become_qyvol("qyvold", "qyvol", &["daemon", "run"])
}
