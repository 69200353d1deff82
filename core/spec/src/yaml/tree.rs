//! YAML text as a tree whose nodes know their places. The only file that knows the YAML crate.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, Options, SnippetMode, Spanned};

use super::errors::Fault;
use super::read::Failure;

/// Deepest nesting: a manifest needs four.
const DEPTH_MAX: usize = 16;
/// Most nodes, those of aliases included.
const NODES_MAX: usize = 50_000;
/// Most uses of `*alias`.
const ALIASES_MAX: usize = 64;
/// Most nodes that aliases may repeat in all.
const ALIASED_NODES_MAX: usize = 4096;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Bytes of the text. Of a mapping or list, only where it begins.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// Cuts the node at the place of `failure` out, or puts a stand-in where a key is missing, so that the rest can be
    /// read. False when nothing can be done.
    pub(super) fn mend(&mut self, failure: &Failure, stand_ins: &[(&str, &str)]) -> bool {
        let mut path = failure.path().to_vec();
        let Some(last) = path.pop() else {
            let missing: Vec<_> = stand_ins
                .iter()
                .filter(|(key, _)| self.get(key).is_none())
                .map(|(key, text)| entry(key, text))
                .collect();
            let Value::Map(entries) = &mut self.value else { return false };
            let named = failure.missing().is_some_and(|key| missing.iter().any(|entry| entry.key == key));
            entries.extend(missing.into_iter().filter(|entry| Some(entry.key.as_str()) == failure.missing()));
            return named;
        };
        let mut node = self;
        for index in path {
            let child = match &mut node.value {
                Value::List(items) => items.get_mut(index),
                Value::Map(entries) => entries.get_mut(index).map(|entry| &mut entry.value),
                _ => None,
            };
            let Some(child) = child else { return false };
            node = child;
        }
        match &mut node.value {
            Value::List(items) if last < items.len() => drop(items.remove(last)),
            Value::Map(entries) if last < entries.len() => {
                let cut = entries.remove(last);
                // What was written wrongly is not missing too.
                entries.extend(
                    stand_ins.iter().filter(|(key, _)| cut.key == *key).map(|(key, text)| entry(key, text)),
                );
            }
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key)
    }
}

fn entry(key: &str, text: &str) -> Entry {
    Entry {
        key: key.to_owned(),
        key_span: 0..0,
        value: Node { value: Value::Text(text.to_owned()), span: 0..0 },
    }
}

/// Parses `text`, within bounds.
pub(super) fn parse(text: &str, what: &str) -> Result<Node, Fault> {
    let root: Node =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| fault(&error, text, what))?;
    match root.value {
        Value::Map(_) => Ok(root),
        Value::Null => Err(empty(what)),
        _ => {
            let line = text.get(root.span.start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            let message = format!("a {what} is a mapping of keys to values");
            let mend = if what == "manifest" {
                "write `name: my-app` on the first line"
            } else {
                "write `policy: 1`"
            };
            Err(Fault::new(message, mend, root.span.start..root.span.start + line.len()))
        }
    }
}

fn empty(what: &str) -> Fault {
    let mend =
        if what == "manifest" { "write at least `name` and `entrypoint`" } else { "write `policy: 1`" };
    Fault::new(format!("the {what} is empty"), mend, 0..0)
}

fn nested(what: &str, span: Range<usize>) -> Fault {
    let message = format!("the {what} is nested deeper than {DEPTH_MAX} levels");
    Fault::new(message, format!("a {what} needs at most five levels"), span)
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_recorded_anchor_events: ALIASED_NODES_MAX,
            max_documents: 1,
            max_total_scalar_bytes: super::MANIFEST_BYTES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIASED_NODES_MAX,
            max_replay_stack_depth: DEPTH_MAX,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, span: bytes(&spanned.referenced) })
    }
}

fn bytes(location: &Location) -> Range<usize> {
    let span = location.span();
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
    let start = number(span.byte_offset());
    start..start.saturating_add(number(span.byte_len()))
}

/// As [`bytes`], for a location of the scanner, which knows its line and column only.
fn place(location: &Location, text: &str) -> Range<usize> {
    if location.span().byte_offset().is_some_and(|offset| offset > 0) {
        return bytes(location);
    }
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(number(location.line())).map(str::len).sum();
    let line = text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let column: usize = line.chars().take(number(location.column())).map(char::len_utf8).sum();
    before + column..before + column
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key_span = bytes(&key.referenced);
            entries.push(Entry { key: key.value, key_span, value: map.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}

/// What the parser found wrong, in our words where people meet it.
fn fault(error: &Error, text: &str, what: &str) -> Fault {
    let span = error.location().map_or(0..0, |location| place(&location, text));
    let named = text.get(span.clone()).unwrap_or_default();
    let (message, mend) = match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => {
            return fault(error, text, what);
        }
        Error::Eof { .. } => return empty(what),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => return nested(what, span),
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => (
            format!("the {what} holds more than one document"),
            "keep one; write each app in a file of its own",
        ),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or(named);
            (format!("the key `{}` is written twice", crate::quantity::shown(key)), "keep one of them")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => (
            format!("the {what} holds more values, or repeats more by `*alias`, than one needs"),
            "write values out instead of repeating them by `*alias`",
        ),
        Error::UnknownAnchor { .. } => ("the alias names no anchor".to_owned(), "write the value out"),
        Error::MergeKeyNotAllowed { .. } => {
            ("`<<` is not part of the language".to_owned(), "write the keys out")
        }
        Error::UnsupportedTag { .. } | Error::UnsupportedIncludeForm { .. } => {
            ("tags such as `!include` are not part of the language".to_owned(), "write the value out")
        }
        other => {
            let message =
                other.render_with_options(serde_saphyr::render_options! { snippets: SnippetMode::Off });
            if message.contains("recursion limit") {
                return nested(what, span);
            }
            if message.contains("expected string scalar") {
                return Fault::new("a key is a word", "write a word before the `:`", span);
            }
            let message =
                message.split(" at line ").next().unwrap_or(&message).trim_end_matches(':').to_owned();
            let mend = "check the indentation, quotes and brackets around this place";
            (format!("the {what} is not YAML: {message}"), mend)
        }
    };
    Fault::new(message, mend, span)
}
