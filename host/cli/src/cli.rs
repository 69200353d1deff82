//! What can be typed. Help, completions and man pages are all made from here.

use clap::{Parser, Subcommand};

use crate::commands;

/// The hidden first argument that makes this program the compiler's process.
pub(crate) const COMPILE_ARGUMENT: &str = "__compile";

/// Run WebAssembly apps with exactly the rights that were granted
#[derive(Debug, Parser)]
#[command(
    name = "qyvol",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  qyvol run hello.wasm                       run a module with its standard streams and nothing else
  qyvol run app.qyv -- --verbose             run the app of a manifest
  qyvol run tool.wasm --dir .::/work:ro      give a module a folder, read-only
  qyvol check app.qyv                        say what is wrong with a manifest
  qyvol caps tool.wasm                       say which rights a module needs
  qyvol pack app.qyv && qyvol run app.qyvbin pack an app into one file and run it

Exit codes of `run`: the app's own; 124 timeout, 125 qyvol's own error, 126 refused, 127 not found,
130 Ctrl-C, 134 trap, 137 limit, 143 terminated"
)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an app
    Run(Box<commands::run::Run>),
}
