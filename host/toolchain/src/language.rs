//! The languages.

use std::fmt;
use std::str::FromStr;

/// A language that programs are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Rust, by cargo.
    Rust,
    /// C and C++, by Clang.
    C,
    /// Nim, through C.
    Nim,
    /// Kotlin, by its compiler for WebAssembly.
    Kotlin,
    /// Go.
    Go,
}

/// A name that is no language's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no language that is known here")]
pub struct UnknownLanguage {
    /// What was asked for.
    pub name: String,
    /// The language whose name is nearest to it, when one is near.
    pub nearest: Option<Language>,
}

impl Language {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Rust, Self::C, Self::Nim, Self::Kotlin, Self::Go];

    /// The word that is typed, and that stands in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Nim => "nim",
            Self::Kotlin => "kotlin",
            Self::Go => "go",
        }
    }

    /// Its name as it is written.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C and C++",
            Self::Nim => "Nim",
            Self::Kotlin => "Kotlin",
            Self::Go => "Go",
        }
    }

    /// Other words for it.
    #[must_use]
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rs"],
            Self::C => &["c++", "cpp", "cxx"],
            Self::Nim => &[],
            Self::Kotlin => &["kt"],
            Self::Go => &["golang"],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// A name or an alias, in letters of either case.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        let lower = text.to_lowercase();
        let names =
            |language: Self| std::iter::once(language.name()).chain(language.aliases().iter().copied());
        if let Some(found) = Self::ALL.into_iter().find(|language| names(*language).any(|name| name == lower))
        {
            return Ok(found);
        }
        // Two letters may be wrong, or swapped; but a short word is not near to every other short word.
        let nearest = Self::ALL
            .into_iter()
            .map(|language| (strsim::damerau_levenshtein(&lower, language.name()), language))
            .filter(|(distance, language)| *distance <= 2 && *distance < language.name().len().div_ceil(2))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, language)| language);
        Err(UnknownLanguage { name: text.to_owned(), nearest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_understood() {
        for language in Language::ALL {
            assert_eq!(language.name().parse(), Ok(language));
            for alias in language.aliases() {
                assert_eq!(alias.to_uppercase().parse(), Ok(language), "{alias}");
            }
        }
    }

    #[test]
    fn an_unknown_name_has_the_nearest_beside_it() {
        for (name, nearest) in [
            ("rsut", Some(Language::Rust)),
            ("kotln", Some(Language::Kotlin)),
            ("rusty", Some(Language::Rust)),
            ("nin", Some(Language::Nim)),
            ("zig", None),
            ("d", None),
            ("", None),
            ("python", None),
        ] {
            let error = name.parse::<Language>().unwrap_err();
            assert_eq!(error.nearest, nearest, "{name}");
            assert_eq!(error.name, name);
        }
    }
}
