//! `qyvol completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::failure::Result;
use crate::output;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol completions bash > ~/.local/share/bash-completion/completions/qyvol
  qyvol completions zsh --name qyv > ~/.zfunc/_qyv
  qyvol completions fish > ~/.config/fish/completions/qyvol.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
    /// The name that is completed
    #[arg(long, value_enum, default_value_t)]
    name: Name,
}

/// The names under which this program is installed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Name {
    #[default]
    Qyvol,
    Qyv,
}

impl Completions {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let name = match self.name {
            Name::Qyvol => "qyvol",
            Name::Qyv => "qyv",
        };
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::Cli::command(), name, &mut text);
        output::data(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
