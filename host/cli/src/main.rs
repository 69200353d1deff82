//! The `qyvol` command.
//!
//! What was typed is in [`cli`]; each command is a module of [`commands`]. A command writes its data to standard output
//! and everything else to standard error, and returns the process's exit code.

mod atomic;
mod attached;
mod building;
mod caps;
mod cli;
mod client;
mod commands;
mod dragon;
mod failure;
mod folders;
mod followed;
mod keys;
mod language;
mod look;
mod output;
mod packing;
mod palette;
mod parts;
mod progress;
mod run;
mod settle;
mod table;
mod target;
mod terminal;
mod times;
mod unpacking;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = parts::play() {
        return code;
    }
    language::choose();
    let cli = match language::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if let Err(error) = report_file_size_limit() {
        output::failure(&failure::Failure::own(error));
    }
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// Makes a write beyond `ulimit -f` fail with an error, which is reported with the file's name, where the signal would end
/// the process without a word. A handler and not "ignore", which programs that are started would inherit.
fn report_file_size_limit() -> std::io::Result<()> {
    let noticed = std::sync::Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noticed).map(drop)
}
