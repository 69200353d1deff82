//! Goal: what people are told has a translation, and the catalogue has nothing else.
//! Method: the sources are read for texts, the command line for help, and the examples of bad manifests for mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory as _;

use super::catalogue::{Catalogue, ENGLISH, Part, SPANISH, keys};
use super::command_line::{WORDS, example};
use super::is_spanish;

/// The sources of `run`, `check`, `caps` and what they share, whose every text must be in the catalogue.
const TOLD: [&str; 19] = [
    "caps/rights.rs",
    "caps/world.rs",
    "commands/caps.rs",
    "commands/check.rs",
    "failure.rs",
    "folders.rs",
    "look.rs",
    "output.rs",
    "run/files.rs",
    "run/grants.rs",
    "run/mod.rs",
    "run/options.rs",
    "run/reach.rs",
    "run/report.rs",
    "run/volume.rs",
    "target.rs",
    "target/bundle.rs",
    "target/folder.rs",
    "target/module.rs",
];
/// Texts in them that are no message of their own: parts of messages, and what is never shown to people.
const NOT_TOLD: &str = include_str!("not_told.txt");
/// Sources of other crates that say something.
const OTHERS: [&str; 7] = [
    "core/spec/src",
    "core/wasi/src",
    "host/cli/src",
    "host/engine/src",
    "host/fs/src",
    "host/launch/src",
    "host/toolchain/src",
];

/// In the place of what is filled in.
const HOLE: &str = "\u{2}";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[track_caller]
fn none_missing(missing: &BTreeSet<String>) {
    let list: Vec<_> = missing.iter().map(|text| text.replace(HOLE, "{}")).collect();
    assert!(
        missing.is_empty(),
        "{} texts are not in host/cli/locales/en.ftl and es.ftl:\n{}",
        missing.len(),
        list.join("\n")
    );
}

fn is_translated(catalogue: &Catalogue, text: &str) -> bool {
    catalogue.knows(text)
}

#[test]
fn both_languages_have_the_same_keys_and_holes() {
    let catalogue = Catalogue::spanish();
    let sorted = |source| {
        let mut keys: Vec<&str> = keys(source).collect();
        keys.sort_unstable();
        keys
    };
    let (english, spanish) = (sorted(ENGLISH), sorted(SPANISH));
    assert_eq!(english, spanish);
    assert!(english.windows(2).all(|pair| pair[0] != pair[1]), "a key comes twice");
    assert_eq!(catalogue.messages.len(), english.len(), "a message cannot be read");
    let mut texts = BTreeMap::new();
    for message in &catalogue.messages {
        let holes = |parts: &[Part]| {
            let mut holes: Vec<usize> = parts
                .iter()
                .filter_map(|part| if let Part::Hole(hole) = part { Some(*hole) } else { None })
                .collect();
            holes.sort_unstable();
            holes.dedup();
            holes
        };
        let spanish =
            catalogue.parts(&message.key).unwrap_or_else(|| panic!("`{}` is not in Spanish", message.key));
        assert_eq!(holes(&message.parts), holes(&spanish), "the holes of `{}`", message.key);
        let same = texts.insert(format!("{:?}", message.parts), &message.key);
        assert!(same.is_none(), "`{}` and {same:?} are the same text", message.key);
    }
}

#[test]
fn every_help_is_translated() {
    let catalogue = Catalogue::spanish();
    let mut command = crate::cli::Cli::command();
    command.build();
    let mut texts = BTreeSet::new();
    help_of(&command, &mut texts);
    texts.extend(WORDS.map(str::to_owned));
    texts.retain(|text| !is_translated(&catalogue, text));
    none_missing(&texts);
}

fn help_of(command: &clap::Command, texts: &mut BTreeSet<String>) {
    let styled = [
        command.get_about(),
        command.get_long_about(),
        command.get_after_help(),
        command.get_after_long_help(),
    ];
    for text in styled.into_iter().flatten() {
        for line in text.to_string().lines().filter(|line| !line.trim().is_empty()) {
            match example(line) {
                Some((_, remark)) => drop(texts.insert(remark.to_owned())),
                None if line.starts_with("  ") => {}
                None => drop(texts.insert(line.to_owned())),
            }
        }
    }
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        texts.extend(argument.get_help().map(ToString::to_string));
        let long = argument.get_long_help().map(ToString::to_string).unwrap_or_default();
        texts.extend(long.split("\n\n").filter(|text| !text.is_empty()).map(str::to_owned));
        texts.extend(argument.get_help_heading().map(str::to_owned));
        if argument.get_action().takes_values() {
            texts.extend(
                argument
                    .get_possible_values()
                    .iter()
                    .filter_map(|value| value.get_help())
                    .map(ToString::to_string),
            );
            for name in argument.get_value_names().into_iter().flatten() {
                let words = name.split(|c: char| !c.is_ascii_uppercase() && c != '_');
                texts.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
            }
        }
    }
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .for_each(|command| help_of(command, texts));
}

#[test]
fn what_run_check_and_caps_say_is_translated() {
    let catalogue = Catalogue::spanish();
    let excepted: BTreeSet<String> = NOT_TOLD.lines().map(|line| line.replace("{}", HOLE)).collect();
    let mut used = BTreeSet::new();
    let mut missing = BTreeSet::new();
    for file in TOLD {
        let source = std::fs::read_to_string(root().join("host/cli/src").join(file)).unwrap();
        for line in literals(&source).iter().flat_map(|text| text.lines()) {
            let line = line.trim().to_owned();
            if line.matches(' ').count() < 2 || is_translated(&catalogue, &line) {
                continue;
            }
            if excepted.contains(&line) {
                used.insert(line);
            } else {
                missing.insert(line);
            }
        }
    }
    none_missing(&missing);
    let stale: Vec<_> = excepted.difference(&used).collect();
    assert!(stale.is_empty(), "no source says this any more: {stale:?}");
}

#[test]
fn no_message_is_left_over() {
    let mut said = String::new();
    for folder in OTHERS {
        sources(&root().join(folder), &mut said);
    }
    let mut texts = BTreeSet::new();
    let mut command = crate::cli::Cli::command();
    command.build();
    help_of(&command, &mut texts);
    said.extend(texts.iter().map(|text| format!("{text}\n")));
    for message in &Catalogue::spanish().messages {
        // What clap and the system say is not in our sources, nor is what they say in pieces.
        if message.key.starts_with("other-") {
            continue;
        }
        for part in &message.parts {
            if let Part::Text(text) = part {
                let text = text.trim();
                assert!(said.contains(text), "nothing says `{text}` of `{}`; remove it", message.key);
            }
        }
    }
}

#[test]
fn mistakes_in_manifests_are_told_in_spanish() {
    let catalogue = Catalogue::spanish();
    let mut missing = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("core/spec/tests/bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for part in text.split("\n\n") {
            missing.extend(part.lines().next().map(str::to_owned));
            missing.extend(
                part.lines().filter_map(|line| line.trim().strip_prefix("= help: ")).map(str::to_owned),
            );
        }
    }
    missing.retain(|text| !is_translated(&catalogue, text));
    none_missing(&missing);
}

#[test]
fn a_message_in_a_message_is_translated_and_a_name_is_not() {
    let catalogue = Catalogue::spanish();
    let said = |text: &str| catalogue.lines(text).into_owned();
    assert_eq!(said("cannot open `it dials nothing`: x"), "no se puede abrir `it dials nothing`: x");
    assert_eq!(said("  something of the app's own\n"), "  something of the app's own\n");
    let denied = said("denied: `path_open` on `/a b` (3 times)");
    assert!(denied.contains("`/a b`") && denied.contains("3 veces"), "{denied}");
    // What an app may choose does not make it think for long.
    let long = format!("denied: `{}` on `x", "` on `".repeat(20_000));
    assert_eq!(said(&long), long);
}

#[test]
fn the_language_is_that_of_the_option_and_then_of_the_environment() {
    for (arguments, set, expected) in [
        ("", "", false),
        ("", "LANG=es_ES.UTF-8", true),
        ("", "LANG=es", true),
        ("", "LANG=est", false),
        ("", "LANG=es_ES.UTF-8 LC_ALL=C", false),
        ("", "LANG=C LC_MESSAGES=es_MX", true),
        ("", "LC_ALL= LANG=es", true),
        ("--lang en", "LANG=es", false),
        ("--lang=es", "LANG=en", true),
        ("run a --lang es", "", true),
        ("run a -- --lang es", "", false),
        ("new --lang go a", "LANG=es", true),
        ("--lang es new --lang go a", "", true),
        ("new --lang go --lang=es a", "", true),
    ] {
        let environment: BTreeMap<&str, &str> =
            set.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let arguments_of = arguments.split_whitespace().map(OsString::from);
        let spanish = is_spanish(arguments_of, |name| environment.get(name).map(OsString::from));
        assert_eq!(spanish, expected, "`{arguments}` with `{set}`");
    }
}

/// All texts of the sources below a folder, one a line, filled in with nothing.
fn sources(folder: &Path, said: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, said);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            for text in literals(&std::fs::read_to_string(path).unwrap()) {
                said.push_str(&text);
                said.push('\n');
            }
        }
    }
}

/// The texts in a source, before its tests: escapes resolved, what is filled in marked.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let before = &rest[..at];
        let tail = &rest[at..];
        if tail.starts_with("//") {
            rest = tail.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(quoted) = tail.strip_prefix('"') {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let raw = before.trim_end_matches('#').ends_with('r') && (hashes > 0 || before.ends_with('r'));
            let end = if raw { quoted.find(&format!("\"{}", "#".repeat(hashes))) } else { end_of(quoted) };
            let end = end.unwrap_or(quoted.len() - 1);
            let text = &quoted[..end];
            if !is_of_attribute(before) {
                found.push(filled(&if raw { text.to_owned() } else { unescaped(text) }));
            }
            rest = &quoted[end + 1..];
        } else if let Some(length) = tail.strip_prefix('\'').and_then(character) {
            rest = &tail[length..];
        } else {
            rest = &tail[1..];
        }
    }
    found
}

/// The length of a character that is written as a literal, whose first quote was taken off; lifetimes are none.
fn character(text: &str) -> Option<usize> {
    let end =
        if text.starts_with('\\') { text[2..].find('\'')? + 2 } else { text.chars().next()?.len_utf8() };
    text[end..].starts_with('\'').then_some(end + 2)
}

fn end_of(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn is_of_attribute(before: &str) -> bool {
    let name = before.trim_end().strip_suffix('=').unwrap_or_default().trim_end();
    ["reason", "after_help", "value_name", "help_heading", "default_value", "long", "name", "env"]
        .iter()
        .any(|word| name.ends_with(word))
}

fn unescaped(text: &str) -> String {
    let mut result = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => result.push('\n'),
            ('\\', Some('\n')) => while characters.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(other)) => result.push(other),
            (other, _) => result.push(other),
        }
    }
    result
}

fn filled(text: &str) -> String {
    let text = text.replace("{{", "\u{3}").replace("}}", "\u{4}");
    let mut pieces = text.split('{');
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let after = piece.split_once('}').map_or(piece, |(_, after)| after);
        result.push_str(HOLE);
        result.push_str(after);
    }
    result.replace('\u{3}', "{").replace('\u{4}', "}")
}
