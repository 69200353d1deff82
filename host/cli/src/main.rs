//! The `qyvol` command.
//!
//! What was typed is in [`cli`]; each command is a module of [`commands`]. A command writes its data to standard output
//! and everything else to standard error, and returns the process's exit code.

mod atomic;
mod caps;
mod cli;
mod commands;
mod failure;
mod folders;
mod keys;
mod look;
mod output;
mod packing;
mod progress;
mod run;
mod target;
mod terminal;
mod unpacking;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The compiler's process does nothing else, and its arguments are none of a person's.
    let arguments: Vec<String> =
        std::env::args_os().skip(1).filter_map(|text| text.into_string().ok()).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == cli::COMPILE_ARGUMENT
    {
        return qyvol_engine::compile::child::main(rest);
    }
    let cli = cli::Cli::parse();
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}
