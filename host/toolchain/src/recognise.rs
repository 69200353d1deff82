//! Which language the sources in a folder are of.

use std::path::Path;

use crate::languages::tools;
use crate::{Error, Language, Result};

/// The language of the sources in `folder`. The manifest's word decides where several fit, and where its language has
/// sources; it does not where it names a language of which there is none.
///
/// # Errors
///
/// When there are no sources, or of several languages and the manifest names none of them.
pub fn recognise(folder: &Path, manifest_says: Option<&str>) -> Result<Language> {
    let fitting: Vec<Language> =
        Language::ALL.into_iter().filter(|language| tools(*language).recognises(folder)).collect();
    let said = manifest_says.and_then(|word| word.parse::<Language>().ok());
    match (fitting.as_slice(), said) {
        (_, Some(said)) if fitting.contains(&said) => Ok(said),
        ([one], _) => Ok(*one),
        ([], _) => Err(Error::sources(
            format!("`{}` holds no sources that are known", folder.display()),
            "there is `Cargo.toml`, `go.mod`, `src/main.c`, `src/main.cpp`, `src/main.nim` or `src/main.kt` for each \
             language; or build the program with your language's own tools",
        )),
        (several, _) => {
            let names: Vec<_> = several.iter().map(|language| language.title()).collect();
            Err(Error::sources(
                format!("`{}` holds sources of {}", folder.display(), names.join(", ")),
                format!("say which: `--lang {}`, or `language: {0}` in the manifest", several[0]),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn expect(files: &[&str], word: Option<&str>, expected: Option<Language>) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(recognise(folder.path(), word).ok(), expected, "{files:?} {word:?}");
    }

    #[test]
    fn each_language_has_its_files() {
        for (file, language) in [
            ("Cargo.toml", Language::Rust),
            ("go.mod", Language::Go),
            ("src/main.c", Language::C),
            ("src/main.cpp", Language::C),
            ("main.c", Language::C),
            ("app.nimble", Language::Nim),
            ("src/main.nim", Language::Nim),
            ("src/main.kt", Language::Kotlin),
            ("App.kt", Language::Kotlin),
        ] {
            expect(&[file], None, Some(language));
            // A word for a language of which there is nothing decides nothing.
            expect(&[file], Some(if language == Language::Go { "rust" } else { "go" }), Some(language));
            expect(&[file], Some("cobol"), Some(language));
        }
    }

    #[test]
    fn the_manifest_decides_among_several() {
        let both = ["Cargo.toml", "go.mod"];
        expect(&both, None, None);
        expect(&both, Some("c"), None);
        expect(&both, Some("go"), Some(Language::Go));
        expect(&both, Some("Rust"), Some(Language::Rust));
        expect(&["README.md"], Some("rust"), None);
    }
}
