//! The commands, a module each.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod caps;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod pack;
pub(crate) mod run;
pub(crate) mod sign;
pub(crate) mod trust;
pub(crate) mod unpack;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Result;

/// Does what was typed.
pub(crate) fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Run(arguments) => Ok(arguments.execute()),
        Command::Check(arguments) => arguments.execute(),
        Command::Caps(arguments) => arguments.execute(),
        Command::New(arguments) => arguments.execute(),
        Command::Build(arguments) => arguments.execute(),
        Command::Pack(arguments) => arguments.execute(),
        Command::Keygen(arguments) => arguments.execute(),
        Command::Sign(arguments) => arguments.execute(),
        Command::Verify(arguments) => arguments.execute(),
        Command::Trust(arguments) => arguments.execute(),
        Command::Inspect(arguments) => arguments.execute(),
        Command::Unpack(arguments) => arguments.execute(),
        Command::Cache(arguments) => arguments.execute(),
        Command::Doctor(arguments) => arguments.execute(),
        Command::Completions(arguments) => arguments.execute(),
        Command::Man(arguments) => arguments.execute(),
    }
}
