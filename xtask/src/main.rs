//! Every developer and CI command: `cargo xtask`.
//!
//! It knows how the repository is built and checked, and nothing of what is inside: it starts programs and looks at
//! files. Steps of `cargo xtask test` are listed in [`steps`]; each other command is a module of its own.

mod aarch64;
mod art;
mod bench;
mod demo;
mod deny;
mod fuzz;
mod house;
mod julia;
mod links;
mod polyglot_report;
mod setup;
mod shell;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer and CI commands
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the other commands need, and say what was done
    Setup,
    /// Build, pack, sign and run an example app; show a denial and how to mend it
    Demo,
    /// Run everything that CI runs
    Test {
        /// Run this step only; may be repeated
        #[arg(long = "step", value_name = "NAME")]
        steps: Vec<String>,
        /// List the steps
        #[arg(long)]
        list: bool,
    },
    /// Draw the pictures of `assets/` from their sources there
    Art,
    /// Run the public preview-1 suite on every backend
    WasiTestsuite {
        /// A checkout of github.com/WebAssembly/wasi-testsuite, branch `prod/testsuite-base`
        folder: PathBuf,
    },
    /// Measure beside wasmtime
    Bench(bench::Options),
    /// Build, check and measure every language, and write the table of `docs/languages/index.md`
    PolyglotReport(polyglot_report::Options),
    /// Run the fuzz targets of the readers of untrusted files
    Fuzz(fuzz::Options),
    /// Check the licences and sources of all dependencies
    Deny,
    /// Check the dependencies against the public list of advisories; needs the network
    Audit,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => setup::all(),
        Command::Demo => demo::run(),
        Command::Test { list: true, .. } => {
            steps::list();
            Ok(())
        }
        Command::Test { steps, .. } => steps::run(&steps),
        Command::Art => art::draw(),
        Command::WasiTestsuite { folder } => steps::wasi_testsuite(&folder),
        Command::Bench(options) => bench::run(&options),
        Command::PolyglotReport(options) => polyglot_report::run(&options),
        Command::Fuzz(options) => fuzz::run_targets(&options),
        Command::Deny => deny::check(),
        Command::Audit => deny::audit(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
