//! `qyvol man`: the man pages, for those who package qyvol.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};

use crate::failure::{Failure, Result};
use crate::{output, target};

/// Write the man pages of all commands to a folder, or that of qyvol to standard output
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder; made when absent
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let mut command = crate::cli::Cli::command();
        // Gives every command its whole name, `qyvol-cache-list`.
        command.build();
        match &self.folder {
            Some(folder) => write(folder, &command)?,
            None => output::data(&String::from_utf8_lossy(&page(&command)?))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the page of a command and of those beneath it.
fn write(folder: &Path, command: &Command) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    target::write_atomically(&folder.join(format!("{name}.1")), &page(command)?)?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        write(folder, inner)?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let versioned = command.clone().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(versioned).render(&mut text).map_err(Failure::own)?;
    Ok(text)
}
