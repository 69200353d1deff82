//! The command line in the language of who types: help, and what is wrong with what was typed.

use std::borrow::Cow;
use std::process::ExitCode;

use clap::builder::{PossibleValue, StyledStr};
use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::{catalogue, translated};
use crate::cli::Cli;
use crate::{dragon, output};

/// Words that clap itself writes into help, as they are in the catalogue.
pub(super) const WORDS: [&str; 6] =
    ["Usage:", "Arguments:", "Options:", "Commands:", "[OPTIONS]", "[default:"];
/// The same, where a command must be named.
const COMMAND: &str = "COMMAND";

/// Understands the command line.
///
/// # Errors
///
/// The exit code, when there is nothing more to do: help was asked for, or nothing can be understood.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let command = output::styled(Cli::command());
    let command = if catalogue().is_some() { localised(command) } else { command };
    let error = match command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayVersion if dragon::show() => {}
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if catalogue().is_some() =>
        {
            output::help(&words(&text.to_string()), &words(&text.ansi().to_string()), error.use_stderr());
        }
        kind if kind == ErrorKind::DisplayVersion || catalogue().is_none() => {
            // A closed stream is no reason to fail.
            let _ = error.print();
        }
        _ => complain(&text.to_string()),
    }
    Err(code)
}

/// Says what clap says is wrong, a paragraph each: the mistake, tips, and how the command is used.
fn complain(text: &str) {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    output::failure(&crate::failure::Failure::usage(first.strip_prefix("error: ").unwrap_or(first)));
    for line in lines {
        let (space, bare) = line.split_at(line.len() - line.trim_start().len());
        match bare.strip_prefix("tip: ") {
            Some(tip) => output::hint(tip),
            None => output::note(&format!("{space}{}", words(&translated(bare)))),
        }
    }
}

/// Puts our words in the place of clap's.
fn words(text: &str) -> String {
    WORDS.into_iter().fold(text.to_owned(), |text, word| text.replace(word, &translated(word)))
}

/// The command with all that it says of itself translated.
pub(super) fn localised(mut command: Command) -> Command {
    // What clap adds of its own, such as `--help`, is there once it is built.
    command.build();
    every(command)
}

fn every(command: Command) -> Command {
    let said = |text: Option<&StyledStr>| text.map(|text| after(&text.to_string()));
    let (about, long) = (said(command.get_about()), said(command.get_long_about()));
    let (end, long_end) = (said(command.get_after_help()), said(command.get_after_long_help()));
    let mut command = command.mut_args(argument).mut_subcommands(every);
    if command.has_subcommands() {
        command = command.subcommand_value_name(kept(translated(COMMAND)));
    }
    // What is not there must stay away: set to nothing, it would make empty lines.
    if let Some(text) = about {
        command = command.about(text);
    }
    if let Some(text) = long {
        command = command.long_about(text);
    }
    if let Some(text) = end {
        command = command.after_help(text);
    }
    if let Some(text) = long_end {
        command = command.after_long_help(text);
    }
    command
}

fn argument(mut argument: Arg) -> Arg {
    let values: Vec<PossibleValue> = argument.get_possible_values();
    let mut help =
        argument.get_help().map(|text| translated(&text.to_string()).into_owned()).unwrap_or_default();
    let mut long =
        argument.get_long_help().map_or_else(|| help.clone(), |text| paragraphs(&text.to_string()));
    let shown: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    // Flags have the values true and false, which nobody types.
    if !shown.is_empty() && argument.get_action().takes_values() && !argument.is_hide_possible_values_set() {
        let names: Vec<_> = shown.iter().map(|value| value.get_name()).collect();
        let title = translated("Possible values:");
        help.push_str(&format!(" [{} {}]", title.to_lowercase(), names.join(", ")));
        long.push_str(&format!("\n\n{title}"));
        for value in shown {
            let what = value.get_help().map(|text| translated(&text.to_string()).into_owned());
            long.push_str(&format!(
                "\n- {}{}",
                value.get_name(),
                what.map_or(String::new(), |what| format!(": {what}"))
            ));
        }
        argument = argument.hide_possible_values(true).long_help(long);
    } else if argument.get_long_help().is_some() {
        argument = argument.long_help(long);
    }
    if let Some(names) = argument.get_value_names().filter(|_| argument.get_action().takes_values()) {
        let names: Vec<_> = names.iter().map(|name| kept(value_name(name).into())).collect();
        argument = argument.value_names(names);
    }
    if let Some(heading) = argument.get_help_heading().map(|heading| kept(translated(heading))) {
        argument = argument.help_heading(heading);
    }
    argument.help(help)
}

/// What clap wants to have for as long as the program runs; it is made once, before that ends.
fn kept(text: Cow<'_, str>) -> &'static str {
    text.into_owned().leak()
}

/// `HOST::GUEST[:ro]`, word by word.
fn value_name(name: &str) -> String {
    let is_capital = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut result = String::new();
    for piece in name.split_inclusive(|c| !is_capital(c)) {
        let word = piece.trim_end_matches(|c| !is_capital(c));
        result.push_str(&translated(word));
        result.push_str(&piece[word.len()..]);
    }
    result
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(translated).collect::<Vec<_>>().join("\n\n")
}

/// Text before or after the options: paragraphs, and examples with a remark after two spaces or more.
pub(super) fn after(text: &str) -> String {
    let lines = text.split('\n').map(|line| match example(line) {
        Some((command, remark)) => format!("{command}{}", translated(remark)),
        None => translated(line).into_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The command of an example with the space behind it, and the remark on it.
pub(super) fn example(line: &str) -> Option<(&str, &str)> {
    let body = line.strip_prefix("  ")?;
    let gap = body.find("  ")?;
    let remark = body[gap..].trim_start();
    Some((&line[..line.len() - remark.len()], remark))
}
