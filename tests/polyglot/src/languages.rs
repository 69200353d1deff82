//! The languages, and what is right for each where the contract leaves it to the language: `languages.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::check::Check;
use crate::outcome::Class;
use crate::places;

/// A language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Its name in the table: the folder's, and what `qyvol new --lang` takes.
    #[serde(skip)]
    pub name: String,
    /// As people write it.
    pub title: String,
    /// What builds the app in its folder, where `qyvol build` does not.
    #[serde(default)]
    pub build: Option<String>,
    /// What that makes.
    #[serde(default)]
    pub module: Option<String>,
    /// How `memory` may end.
    pub memory: Vec<Class>,
    /// How `recursion` may end.
    pub recursion: Vec<Class>,
    /// How `uncaught` may end.
    pub uncaught: Vec<Class>,
    /// Why each of the three ends so.
    #[serde(default)]
    pub reasons: BTreeMap<String, String>,
    /// Checks that the language does not pass, and why.
    #[serde(default)]
    pub misses: BTreeMap<String, String>,
}

impl Language {
    /// How a check may end, if that is left to the language.
    #[must_use]
    pub fn classes(&self, check: Check) -> Option<&[Class]> {
        match check {
            Check::Memory => Some(&self.memory),
            Check::Recursion => Some(&self.recursion),
            Check::Uncaught => Some(&self.uncaught),
            _ => None,
        }
    }

    /// Why it does not pass a check, if that is known.
    #[must_use]
    pub fn miss(&self, check: Check) -> Option<&str> {
        self.misses.get(check.name()).map(String::as_str)
    }

    /// Where its contract app is.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        places::sources().join("apps").join(&self.name)
    }
}

/// All languages, by name.
///
/// # Errors
///
/// When `languages.toml` is wrong.
pub fn all() -> Result<Vec<Language>> {
    parse(include_str!("../languages.toml"))
}

fn parse(text: &str) -> Result<Vec<Language>> {
    let tables: BTreeMap<String, Language> = toml::from_str(text).context("read `languages.toml`")?;
    let mut languages = Vec::new();
    for (name, language) in tables {
        let language = Language { name, ..language };
        let name = &language.name;
        for check in [Check::Memory, Check::Recursion, Check::Uncaught] {
            let classes = language.classes(check).unwrap_or_default();
            ensure!(!classes.is_empty(), "`{name}`: no end of `{check}` is right");
            ensure!(
                language.reasons.contains_key(check.name()),
                "`{name}`: `reasons` does not say why of `{check}`"
            );
        }
        for check in language.reasons.keys().chain(language.misses.keys()) {
            ensure!(Check::by_name(check).is_some(), "`{name}`: there is no check `{check}`");
        }
        ensure!(
            language.build.is_some() == language.module.is_some(),
            "`{name}`: `build` and `module` go together"
        );
        languages.push(language);
    }
    Ok(languages)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_folder_is_a_language_and_every_language_has_a_folder() {
        let languages = all().unwrap();
        for language in &languages {
            assert!(language.folder().is_dir(), "{}", language.name);
        }
        for entry in fs::read_dir(places::sources().join("apps")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                languages.iter().any(|language| language.name == name),
                "`{name}` is not in `languages.toml`"
            );
        }
    }

    #[test]
    fn mistakes_of_the_table_are_told() {
        let right = "[a]\ntitle='A'\nmemory=['limit']\nrecursion=['trap']\nuncaught=['guest error']\n\
                     [a.reasons]\nmemory='m'\nrecursion='r'\nuncaught='u'\n";
        assert_eq!(parse(right).unwrap()[0].name, "a");
        for (from, to) in [
            ("'limit'", "'limits'"),
            ("['limit']", "[]"),
            ("memory='m'\n", ""),
            ("uncaught='u'", "uncaught='u'\nbogus='b'"),
            ("title='A'", "title='A'\nbuild='x'"),
            ("title='A'", "title='A'\nmore='x'"),
        ] {
            assert!(parse(&right.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
