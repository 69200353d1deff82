//! The commands, a module each.

pub(crate) mod run;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Result;

/// Does what was typed.
pub(crate) fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Run(arguments) => Ok(arguments.execute()),
    }
}
