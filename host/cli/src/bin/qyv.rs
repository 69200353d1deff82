//! `qyv`, the short name of `qyvol`.

use std::process::ExitCode;

#[path = "../beside.rs"]
mod beside;

fn main() -> ExitCode {
    beside::become_qyvol("qyv", "qyv", &[])
}
