//! The other names of `qyvol`: each becomes the `qyvol` that was installed beside it.
//!
//! A second copy of the whole program would double what is built and installed, and a link is nothing that
//! `cargo install` makes.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Becomes the `qyvol` beside this program, called `name`, with `arguments` before those that were typed.
pub(crate) fn become_qyvol(own: &str, name: &str, arguments: &[&str]) -> ExitCode {
    let beside = env::current_exe().map(|path| path.with_file_name("qyvol"));
    let error = match beside {
        // Only returns when it fails.
        Ok(path) => Command::new(path).arg0(name).args(arguments).args(env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    eprintln!("error: `{own}` needs `qyvol` beside it: {error}");
    ExitCode::from(125)
}
