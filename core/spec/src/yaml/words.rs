//! The words of messages about values that cannot be read.

use super::tree::Value;
use crate::manifest::looks_like_bool;
use crate::quantity::shown;

/// What serde calls a type, in the words of people who write manifests.
pub(super) fn expected(serde: &str) -> String {
    match serde {
        "a string" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" => "a whole number".to_owned(),
        _ if serde.starts_with("struct ") => "a mapping".to_owned(),
        other => other.to_owned(),
    }
}

/// `` `a`, `b` or `c` ``.
pub(super) fn one_of(known: &[&str]) -> String {
    match known {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// What stands there, for a message.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Unsigned(value) => format!("the number {value}"),
        Value::Signed(value) => format!("the number {value}"),
        Value::Float(value) => format!("the number {value}"),
        Value::Text(text) => format!("the text `{}`", shown(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// Message and mend for a value of another type than expected.
pub(super) fn wrong_type(expected: &str, value: &Value) -> (String, String) {
    let found = found(value);
    let takes_bool = expected.contains("`true`") || expected.contains("`false`");
    let mend = match value {
        Value::Text(text) if takes_bool && looks_like_bool(text) => {
            let yes = ["true", "yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str());
            format!("write `{yes}`: words such as `{text}` are text, not yes or no")
        }
        Value::Bool(value) if expected == "text" => format!("put it in quotes: `\"{value}\"`"),
        Value::Unsigned(value) if expected == "text" => format!("put it in quotes: `\"{value}\"`"),
        Value::Signed(value) if expected == "text" => format!("put it in quotes: `\"{value}\"`"),
        Value::Float(value) if expected == "text" => format!("put it in quotes: `\"{value}\"`"),
        Value::Unsigned(value) if expected.starts_with("a size") => format!("add a unit, as in `{value}MiB`"),
        Value::Unsigned(value) if expected.starts_with("a time") => format!("add a unit, as in `{value}s`"),
        Value::Null => format!("write {expected}, or leave the key out"),
        Value::Text(text) if expected == "a list" => format!("write `[{}]`", shown(text)),
        _ => format!("write {expected}"),
    };
    (format!("expected {expected}, found {found}"), mend)
}

/// Message and mend for a key that does not exist. `at_top` tells that it stands in no other mapping.
pub(super) fn unknown_key(key: &str, known: &[&str], under: Option<&str>, at_top: bool) -> (String, String) {
    let place = under.filter(|_| !at_top).map_or_else(String::new, |under| format!(" under `{under}`"));
    let message = format!("unknown key `{}`{place}", shown(key));
    let home = match key {
        "net" | "ai" | "exec" | "admin" | "gfx" | "sensors" => Some("permissions"),
        "memory" | "cpu" | "cpu_time" | "wall" | "stack" | "fds" | "disk" | "inodes" | "log"
        | "instances" | "requests" => Some("limits"),
        _ => None,
    };
    if let Some(home) = home.filter(|home| at_top && known.contains(home)) {
        return (message, format!("write it under `{home}:`"));
    }
    (message, suggestion(key, known))
}

/// Message and mend for a word that a value cannot be.
pub(super) fn unknown_word(word: &str, known: &[&str], under: Option<&str>) -> (String, String) {
    let place = under.map_or_else(String::new, |under| format!(" for `{under}`"));
    (format!("unknown value `{}`{place}", shown(word)), suggestion(word, known))
}

fn suggestion(word: &str, known: &[&str]) -> String {
    let list = format!("write {}", one_of(known));
    let lower = word.to_lowercase().replace('_', "-");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.replace('_', "-"));
    // A long word cannot be a slip of the pen for these; comparing it would take time for nothing.
    let closest = known.iter().filter(|_| word.len() <= 64).min_by_key(|candidate| distance(candidate));
    match closest {
        Some(closest) if distance(closest) <= 1 + closest.len() / 4 => {
            format!("did you mean `{closest}`? {}", capital(&list))
        }
        _ => list,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The mend for a key that must be there.
pub(super) fn missing(key: &str) -> String {
    match key {
        "name" => "add the app's name, as in `name: my-app`".to_owned(),
        "entrypoint" => "add the program, as in `entrypoint: app.wasm`".to_owned(),
        "type" => "add `type: memfs`, `type: diskfs` or `type: netfs`".to_owned(),
        "policy" => "add `policy: 1`".to_owned(),
        other => format!("add `{other}: …`"),
    }
}
