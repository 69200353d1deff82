//! The commands, a module each.

pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod caps;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod cp;
pub(crate) mod daemon;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod life;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod net;
pub(crate) mod new;
pub(crate) mod pack;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod rm;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod secret;
pub(crate) mod sign;
pub(crate) mod stats;
pub(crate) mod toolchain;
pub(crate) mod top;
pub(crate) mod trust;
pub(crate) mod unpack;
pub(crate) mod verify;
pub(crate) mod volume;
pub(crate) mod wait;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Result;

/// Does what was typed.
pub(crate) fn dispatch(cli: Cli) -> Result<ExitCode> {
    cli.daemon.choose();
    match cli.command {
        Command::Run(arguments) => Ok(arguments.execute()),
        Command::Check(arguments) => arguments.execute(),
        Command::Caps(arguments) => arguments.execute(),
        Command::New(arguments) => arguments.execute(),
        Command::Build(arguments) => arguments.execute(),
        Command::Toolchain(arguments) => arguments.execute(),
        Command::Pack(arguments) => arguments.execute(),
        Command::Keygen(arguments) => arguments.execute(),
        Command::Sign(arguments) => arguments.execute(),
        Command::Verify(arguments) => arguments.execute(),
        Command::Trust(arguments) => arguments.execute(),
        Command::Inspect(arguments) => arguments.execute(),
        Command::Unpack(arguments) => arguments.execute(),
        Command::Cache(arguments) => arguments.execute(),
        Command::Doctor(arguments) => arguments.execute(),
        Command::Deploy(arguments) => arguments.execute(),
        Command::Ps(arguments) => arguments.execute(),
        Command::Logs(arguments) => arguments.execute(),
        Command::Exec(arguments) => arguments.execute(),
        Command::Attach(arguments) => arguments.execute(),
        Command::Stop(arguments) => arguments.execute(),
        Command::Start(arguments) => arguments.execute(),
        Command::Restart(arguments) => arguments.execute(),
        Command::Kill(arguments) => arguments.execute(),
        Command::Rm(arguments) => arguments.execute(),
        Command::Wait(arguments) => arguments.execute(),
        Command::Scale(arguments) => arguments.execute(),
        Command::Rollback(arguments) => arguments.execute(),
        Command::Events(arguments) => arguments.execute(),
        Command::Stats(arguments) => arguments.execute(),
        Command::Top(arguments) => arguments.execute(),
        Command::Image(arguments) => arguments.execute(),
        Command::Volume(arguments) => arguments.execute(),
        Command::Cp(arguments) => arguments.execute(),
        Command::Net(arguments) => arguments.execute(),
        Command::Port(arguments) => arguments.execute(),
        Command::Secret(arguments) => arguments.execute(),
        Command::Daemon(arguments) => arguments.execute(),
        Command::Completions(arguments) => arguments.execute(),
        Command::Man(arguments) => arguments.execute(),
    }
}
