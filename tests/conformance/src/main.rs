//! `conformance`: runs the public preview-1 suite, or this project's guests, and prints what passed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use conformance::{Backend, Guests, Tools, all_cases, run_cases, run_suite};

#[derive(Parser)]
#[command(about = "Run guest programs on every backend")]
struct Options {
    #[command(subcommand)]
    command: What,
    /// Run on this backend only: diskfs, memfs, overlay or node; may be repeated
    #[arg(long = "backend", value_parser = backend, global = true)]
    backends: Vec<Backend>,
    /// Run only programs whose names contain this
    #[arg(long, global = true)]
    filter: Option<String>,
    /// Use this `qyvol` rather than the one that `QYVOL_BIN` names
    #[arg(long, global = true)]
    qyvol: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Run the public suite in this checkout of its prebuilt branch
    Suite {
        /// The checkout
        folder: PathBuf,
    },
    /// Run this project's guests
    Guests,
}

fn backend(name: &str) -> Result<Backend, String> {
    Backend::by_name(name).ok_or_else(|| "use `diskfs`, `memfs`, `overlay` or `node`".to_owned())
}

fn main() -> Result<ExitCode> {
    let Options { command, backends, filter, qyvol } = Options::parse();
    let tools = Tools::find(qyvol)?;
    let mut usable = Vec::new();
    for &backend in if backends.is_empty() { &Backend::ALL[..] } else { &backends } {
        match tools.can_run(backend) {
            Ok(()) => usable.push(backend),
            // What was asked for by name must not be left out.
            Err(missing) if backends.is_empty() => println!("{missing}"),
            Err(missing) => return Err(missing),
        }
    }
    let mut failures = Vec::new();
    match command {
        What::Suite { folder } => {
            for backend in usable {
                let report = run_suite(&tools, &folder, backend, filter.as_deref())
                    .with_context(|| format!("run the suite on `{}`", backend.name()))?;
                println!("{}", report.summary());
                failures.extend(report.failures);
            }
        }
        What::Guests => {
            let guests = Guests::build()?;
            let report = run_cases(&tools, &guests, &all_cases(), &usable, filter.as_deref());
            println!("guests: {} of {}", report.total - report.failures.len(), report.total);
            failures = report.failures;
        }
    }
    for failure in &failures {
        println!("  {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
