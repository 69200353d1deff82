//! The catalogue: English texts with holes, and what they are in Spanish.

use std::borrow::Cow;
use std::fmt::Write as _;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};

/// The texts as they are said in the sources.
pub(super) const ENGLISH: &str = include_str!("../../locales/en.ftl");
/// The same in Spanish.
pub(super) const SPANISH: &str = include_str!("../../locales/es.ftl");

/// The names of holes.
const HOLES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Stands before and after the name of a hole in a text whose holes are looked for; no message contains it.
const MARK: char = '\u{1}';
/// How deep what fills a hole is looked into: a message in a message.
const DEPTH_MAX: usize = 4;
/// How many places are tried to fit one text to all messages. What an app chose may be in it, so it is bounded.
const TRIES_MAX: usize = 100_000;

/// English messages, the most specific first, and the bundle that has their translations.
pub(super) struct Catalogue {
    pub(super) messages: Vec<Message>,
    translations: FluentBundle<FluentResource>,
}

/// An English text with holes.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) key: String,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// By its place in [`HOLES`].
    Hole(usize),
}

impl Catalogue {
    /// From English to Spanish.
    pub(super) fn spanish() -> Self {
        let english = bundle("en", ENGLISH);
        let mut messages: Vec<Message> = keys(ENGLISH)
            .filter_map(|key| {
                let text = marked(&english, key)?;
                Some(Message { key: key.to_owned(), parts: parts(&text) })
            })
            .collect();
        messages.sort_by_key(|message| std::cmp::Reverse(message.literal()));
        Self { messages, translations: bundle("es", SPANISH) }
    }

    /// A text of one or more lines, of which each is a message or stays as it is. Space before a line is kept.
    pub(super) fn lines<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut result = String::new();
        let mut tries = TRIES_MAX;
        for line in text.split_inclusive('\n') {
            let bare = line.trim();
            let begin = line.len() - line.trim_start().len();
            match self.message(bare, &mut tries, 0) {
                Some(said) => {
                    let _ = write!(result, "{}{said}{}", &line[..begin], &line[begin + bare.len()..]);
                }
                None => result.push_str(line),
            }
        }
        if result == text { Cow::Borrowed(text) } else { Cow::Owned(result) }
    }

    /// Whether a text is a message, and each sentence that fills a hole of it too.
    #[cfg(test)]
    pub(super) fn knows(&self, text: &str) -> bool {
        self.messages.iter().any(|message| {
            let mut filled = Vec::new();
            fit(&message.parts, text, &mut filled, &mut { TRIES_MAX })
                && filled.iter().all(|(_, value)| {
                    value.matches(' ').count() < 2 || is_name(text, value) || self.knows(value)
                })
        })
    }

    /// A translation with its holes.
    #[cfg(test)]
    pub(super) fn parts(&self, key: &str) -> Option<Vec<Part>> {
        marked(&self.translations, key).map(|text| parts(&text))
    }

    /// A text that is one message.
    fn message(&self, text: &str, tries: &mut usize, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX || text.is_empty() {
            return None;
        }
        let whole = self.messages.iter().find_map(|message| {
            let mut filled = Vec::new();
            if !fit(&message.parts, text, &mut filled, tries) {
                return None;
            }
            let mut values = [const { String::new() }; HOLES.len()];
            for (hole, value) in filled {
                let said = if is_name(text, value) { None } else { self.message(value, tries, depth + 1) };
                values[hole] = said.unwrap_or_else(|| value.to_owned());
            }
            format(&self.translations, &message.key, &values.each_ref().map(String::as_str))
        });
        // A mistake and how to mend it, in one line.
        whole.or_else(|| {
            let (one, two) = text.split_once("; ")?;
            let (said, mend) = (self.message(one, tries, depth + 1), self.message(two, tries, depth + 1));
            if said.is_none() && mend.is_none() {
                return None;
            }
            Some(format!("{}; {}", said.as_deref().unwrap_or(one), mend.as_deref().unwrap_or(two)))
        })
    }
}

impl Message {
    /// How many bytes of it are no hole.
    pub(super) fn literal(&self) -> usize {
        self.parts.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum()
    }
}

/// The keys of a file of Fluent messages, in its order.
pub(super) fn keys(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (key, _) = line.split_once(" =")?;
        let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_key.then_some(key)
    })
}

/// The messages of a file that is part of this program; a test reads each, so that nothing is left out here.
fn bundle(language: &str, source: &str) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(vec![language.parse().unwrap_or_default()]);
    // The marks that would isolate text in other directions are no part of messages for terminals.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    bundle
}

fn format(bundle: &FluentBundle<FluentResource>, key: &str, values: &[&str; HOLES.len()]) -> Option<String> {
    let arguments: FluentArgs<'_> = HOLES.into_iter().zip(values.iter().copied()).collect();
    let pattern = bundle.get_message(key)?.value()?;
    Some(bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new()).into_owned())
}

/// A message with the names of its holes in them, marked.
fn marked(bundle: &FluentBundle<FluentResource>, key: &str) -> Option<String> {
    let marked = HOLES.map(|hole| format!("{MARK}{hole}{MARK}"));
    format(bundle, key, &marked.each_ref().map(String::as_str))
}

/// Takes a text with marked holes apart.
fn parts(text: &str) -> Vec<Part> {
    let part = |(number, piece): (usize, &str)| {
        if number % 2 == 0 {
            (!piece.is_empty()).then(|| Part::Text(piece.to_owned()))
        } else {
            HOLES.iter().position(|hole| *hole == piece).map(Part::Hole)
        }
    };
    text.split(MARK).enumerate().filter_map(part).collect()
}

/// Whether a part of a text is a name: what stands between backticks.
fn is_name(text: &str, part: &str) -> bool {
    let begin = part.as_ptr() as usize - text.as_ptr() as usize;
    text[..begin].ends_with('`') && text[begin + part.len()..].starts_with('`')
}

/// Whether a text is these parts with something in each hole, and with what.
fn fit<'t>(parts: &[Part], text: &'t str, filled: &mut Vec<(usize, &'t str)>, tries: &mut usize) -> bool {
    if *tries == 0 {
        return false;
    }
    *tries -= 1;
    match parts {
        [] => text.is_empty(),
        [Part::Text(literal), rest @ ..] => {
            text.strip_prefix(literal.as_str()).is_some_and(|text| fit(rest, text, filled, tries))
        }
        [Part::Hole(hole)] => {
            filled.push((*hole, text));
            !text.is_empty()
        }
        [Part::Hole(hole), rest @ ..] => {
            let Some(Part::Text(next)) = rest.first() else { return false };
            for (at, _) in text.match_indices(next.as_str()).filter(|(at, _)| *at > 0) {
                filled.push((*hole, &text[..at]));
                if fit(rest, &text[at..], filled, tries) {
                    return true;
                }
                filled.pop();
                if *tries == 0 {
                    return false;
                }
            }
            false
        }
    }
}
