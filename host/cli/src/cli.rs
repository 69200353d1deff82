//! What can be typed. Help, completions and man pages are all made from here.

use clap::{Parser, Subcommand};

use crate::client::Choice;
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
  qyvol run hello.wasm                        run a module with its standard streams and nothing else
  qyvol run app.qyv -- --verbose              run the app of a manifest
  qyvol run tool.wasm --dir .::/work:ro       give a module a folder, read-only
  qyvol check app.qyv                         say what is wrong with a manifest
  qyvol caps tool.wasm                        say which rights a module needs
  qyvol pack app.qyv && qyvol run app.qyvbin  pack an app into one file and run it

Exit codes of `run`: the app's own; 124 timeout, 125 qyvol's own error, 126 refused, 127 not found,
130 Ctrl-C, 134 trap, 137 limit, 143 terminated"
)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The language of messages; by default that of `LC_ALL`, `LC_MESSAGES` or `LANG`
    #[arg(long, global = true, value_name = "LANGUAGE", value_parser = crate::language::LANGUAGES)]
    lang: Option<String>,
    /// Which daemon is meant
    #[command(flatten)]
    pub(crate) daemon: Choice,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an app
    Run(Box<commands::run::Run>),
    /// Say everything that is wrong with an app, and what it asks for
    Check(commands::check::Check),
    /// Say which rights a program needs, from what it imports
    Caps(commands::caps::Caps),
    /// Make the folder of a new app
    New(commands::new::New),
    /// Compile an app's program
    Build(commands::build::Build),
    /// Look after the tools that languages are built with
    Toolchain(commands::toolchain::Toolchain),
    /// Pack an app into one file
    Pack(Box<commands::pack::Pack>),
    /// Make a key to sign bundles with
    Keygen(commands::keygen::Keygen),
    /// Sign a bundle
    Sign(commands::sign::Sign),
    /// Check that a bundle is whole and signed by a key that you trust
    Verify(commands::verify::Verify),
    /// Say which keys may sign for which apps
    Trust(commands::trust::Trust),
    /// Show what an app is, what it reaches for, and who signed it
    Inspect(commands::inspect::Inspect),
    /// Take the files out of a bundle
    Unpack(commands::unpack::Unpack),
    /// Look after the native code that is kept of compiled programs
    Cache(commands::cache::Cache),
    /// Say which walls really stand on this host, and what is in the way
    Doctor(commands::doctor::Doctor),
    /// Deploy apps: the daemon runs them from now on
    Deploy(Box<commands::deploy::Deploy>),
    /// List the deployed apps
    Ps(commands::ps::Ps),
    /// Show what an app has written
    Logs(commands::logs::Logs),
    /// Run a program of an app beside an instance that runs, with its files and rights
    Exec(commands::exec::Exec),
    /// Watch what an instance writes from now on
    Attach(commands::attach::Attach),
    /// Stop apps
    Stop(commands::life::Stop),
    /// Start apps that were stopped, or have ended
    Start(commands::life::Start),
    /// Stop apps and start them again
    Restart(commands::life::Restart),
    /// End apps without asking them
    Kill(commands::life::Kill),
    /// Remove apps, but not their volumes
    Rm(commands::rm::Rm),
    /// Wait until an app has ended, and end with its exit code
    Wait(commands::wait::Wait),
    /// Change how many replicas of apps run
    Scale(commands::scale::Scale),
    /// Go back to an earlier revision of an app
    Rollback(commands::rollback::Rollback),
    /// Follow what happens to apps
    Events(commands::events::Events),
    /// Show what the instances of apps use
    Stats(commands::stats::Stats),
    /// Watch what the instances of apps use, in a table on the whole terminal
    Top(commands::top::Top),
    /// Look after the bundles that the daemon keeps
    Image(commands::image::Image),
    /// Look after the private volumes of deployed apps
    Volume(commands::volume::Volume),
    /// Copy files between an app and this host
    Cp(commands::cp::Cp),
    /// Show who offers what, and where
    Net(commands::net::Net),
    /// Show the addresses that an app listens on
    Port(commands::port::Port),
    /// Look after the secrets that deployed apps are handed
    Secret(commands::secret::Secret),
    /// Start, stop and look at the daemon, which runs deployed apps
    Daemon(commands::daemon::Daemon),
    /// Print completions for a shell
    Completions(commands::completions::Completions),
    /// Write the man pages
    #[command(hide = true)]
    Man(commands::man::Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The names of the commands below `command` whose help shows no example.
    fn without_examples(command: &clap::Command, above: &str) -> Vec<String> {
        let mut names = Vec::new();
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("{above} {}", command.get_name());
            if !command.clone().render_long_help().to_string().contains("Examples:") {
                names.push(name.clone());
            }
            names.extend(without_examples(command, &name));
        }
        names
    }

    #[test]
    fn every_help_has_examples() {
        assert_eq!(without_examples(&Cli::command(), "qyvol"), Vec::<String>::new());
    }
}
