//! `polyglot`: builds the contract apps, runs the checks and the mutants, and says what passed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use polyglot::{
    Anchor, App, Built, Check, Daemon, Host, Inside, Language, Passed, Qyvol, Real, Verdict, all_languages,
    build, example, run_checks, run_mutants, sdks,
};

/// The exit code when a language was left out because its toolchain is not there, and nothing failed.
const LEFT_OUT: u8 = 3;

#[derive(Parser)]
#[command(about = "Run the contract apps of all languages and judge what they do")]
struct Options {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Build the apps and run the checks; exit code 1 when one failed, 3 when a language was left out
    Run(Run),
    /// Build and run the tests of the SDKs; exit codes as of `run`
    Sdks(Program),
    /// Build and deploy `examples/polyglot`, and compare its answers with its page; exit codes as of `run`
    Example(Program),
}

#[derive(clap::Args)]
struct Program {
    /// Use this `qyvol` rather than the one that `QYVOL_BIN` names
    #[arg(long, value_name = "FILE")]
    qyvol: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Run {
    /// Only this language; may be repeated
    #[arg(long = "language", value_name = "NAME")]
    languages: Vec<String>,
    /// Only this check; may be repeated
    #[arg(long = "check", value_name = "NAME", value_parser = check)]
    checks: Vec<Check>,
    /// Run all mutant hosts too, and the host that they are made of
    #[arg(long)]
    mutants: bool,
    /// Run the app of this language as a bundle too; may be repeated
    #[arg(long = "bundle", value_name = "NAME")]
    bundles: Vec<String>,
    /// Run the app of each language as a bundle too
    #[arg(long)]
    bundle_all: bool,
    /// Run the checks on other runtimes too, where they are; what they do not pass is no failure
    #[arg(long)]
    anchors: bool,
    /// Print a line of JSON for each language and host, in place of text
    #[arg(long)]
    json: bool,
    /// The number that decides all seeds and nonces; a failure names it
    #[arg(long)]
    seed: Option<u64>,
    /// Use this `qyvol` rather than the one that `QYVOL_BIN` names
    #[arg(long, value_name = "FILE")]
    qyvol: Option<PathBuf>,
}

fn check(name: &str) -> Result<Check, String> {
    let names = || Check::ALL.map(Check::name).join("`, `");
    Check::by_name(name).ok_or_else(|| format!("the checks are `{}`", names()))
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        What::Run(options) => run_all(&options),
        What::Sdks(program) => Qyvol::find(program.qyvol).and_then(|qyvol| sdks(&qyvol)).map(left_out),
        What::Example(program) => Qyvol::find(program.qyvol)
            .and_then(|qyvol| example(&qyvol))
            .map(|absent| left_out(absent.into_iter().collect())),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Says which toolchains are not there.
fn left_out(absent: Vec<String>) -> ExitCode {
    for why in &absent {
        println!("left out: {why}");
    }
    ExitCode::from(if absent.is_empty() { 0 } else { LEFT_OUT })
}

fn run_all(options: &Run) -> Result<ExitCode> {
    let qyvol = Qyvol::find(options.qyvol.clone())?;
    let languages = chosen(&options.languages)?;
    let checks = if options.checks.is_empty() { Check::ALL.to_vec() } else { options.checks.clone() };
    let number = options.seed.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() ^ since.as_nanos() as u64)
    });
    let mut daemon = None;
    let (mut failed, mut left_out) = (0, 0);
    for language in &languages {
        let app = match build(language, &qyvol) {
            Ok(Built::Ready(app)) => app,
            Ok(Built::Absent(why)) => {
                println!("{}: left out: {why}", language.name);
                left_out += 1;
                continue;
            }
            // The others are none the worse for it.
            Err(error) => {
                println!("{}: {error:#}", language.name);
                failed += 1;
                continue;
            }
        };
        if daemon.is_none() && checks.iter().any(|check| check.needs_services()) {
            daemon = Some(Daemon::start(&qyvol)?);
        }
        let begin = Instant::now();
        failed += run(options, &qyvol, daemon.as_ref(), &app, &checks, number)?;
        println!("{}: {:.1} s", language.name, begin.elapsed().as_secs_f64());
    }
    drop(daemon);
    if failed > 0 {
        println!("{failed} failed; the same again: --seed {number}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::from(if left_out > 0 { LEFT_OUT } else { 0 }))
}

fn chosen(names: &[String]) -> Result<Vec<Language>> {
    let mut languages = all_languages()?;
    for name in names {
        ensure!(
            languages.iter().any(|language| language.name == *name),
            "`{name}` is not in `languages.toml`"
        );
    }
    languages.retain(|language| names.is_empty() || names.contains(&language.name));
    Ok(languages)
}

/// Runs what was asked for with one app; how much failed.
fn run(
    options: &Run,
    qyvol: &Qyvol,
    daemon: Option<&Daemon<'_>>,
    app: &App,
    checks: &[Check],
    number: u64,
) -> Result<usize> {
    let language = &app.language;
    let real = Real::new(qyvol, app, daemon);
    real.warm()?;
    let show = |host: &str, verdicts: &[Verdict]| {
        if options.json { show_json(language, host, verdicts) } else { show(language, host, verdicts) }
    };
    let here: Vec<Check> = checks.iter().copied().filter(|check| !check.needs_services()).collect();
    let mut failed = show("qyvol", &run_checks(&real, language, checks, number));
    if options.bundle_all || options.bundles.contains(&language.name) {
        let bundle = Real::bundle(qyvol, app, None)?;
        failed += show("bundle", &run_checks(&bundle, language, &here, number));
    }
    if options.anchors {
        for anchor in Anchor::found() {
            show(anchor.name(), &run_checks(&anchor.host(app), language, &here, number));
        }
    }
    if options.mutants {
        let inside = Inside::new(app)?;
        let host: &dyn Host = &inside;
        failed += show("inside", &run_checks(host, language, checks, number));
        let mutants = run_mutants(&inside, language, checks, number);
        let noticed = mutants.iter().filter(|(_, wrong)| !wrong.is_empty()).count();
        println!("{}: {noticed} of {} mutants noticed", language.name, mutants.len());
        for (mutant, _) in mutants.iter().filter(|(_, wrong)| wrong.is_empty()) {
            println!("  {}: a host that does this is not noticed: {}", mutant.check, mutant.what);
            failed += 1;
        }
    }
    Ok(failed)
}

/// As [`show`], for programs.
fn show_json(language: &Language, host: &str, verdicts: &[Verdict]) -> usize {
    let with = |passed: Passed| {
        let names = verdicts.iter().filter(move |verdict| verdict.passed() == passed);
        names.map(|verdict| verdict.check.name()).collect::<Vec<_>>()
    };
    println!(
        "{}",
        serde_json::json!({
            "language": language.name,
            "title": language.title,
            "host": host,
            "of": verdicts.len(),
            "passed": with(Passed::Yes).len(),
            "missed": with(Passed::Missed),
            "failed": with(Passed::No),
        })
    );
    with(Passed::No).len()
}

/// Prints how checks went on a host; how many failed.
fn show(language: &Language, host: &str, verdicts: &[Verdict]) -> usize {
    let count = |passed| verdicts.iter().filter(|verdict| verdict.passed() == passed).count();
    println!("{}: {} of {} on {host}", language.name, count(Passed::Yes), verdicts.len());
    for verdict in verdicts {
        match (verdict.passed(), &verdict.miss) {
            (Passed::Yes, _) => {}
            (Passed::Missed, Some(cause)) => println!("  {}: missed: {cause}", verdict.check),
            (Passed::No, Some(_)) => println!("  {}: passes, and is listed in `misses`", verdict.check),
            (Passed::Missed | Passed::No, None) => {}
        }
        if verdict.passed() == Passed::No {
            for line in &verdict.wrong {
                println!("  {}: {line}", verdict.check);
            }
        }
    }
    count(Passed::No)
}
