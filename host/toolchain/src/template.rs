//! What a new project looks like.

use crate::Language;
use crate::languages::tools;

/// One file of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Where, beneath the project's folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The files of a new project in `language` for an app that is called `name`.
#[must_use]
pub fn template(language: Language, name: &str) -> Vec<TemplateFile> {
    let filled = |text: &str| {
        text.replace("@NAME@", name)
            .replace("@LANGUAGE@", language.name())
            .replace("@TITLE@", language.title())
    };
    let files = tools(language).template().iter();
    files.map(|(path, text)| TemplateFile { path: filled(path), text: filled(text) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_a_manifest_sources_and_nothing_unfilled() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            let files = template(language, "hello");
            for file in &files {
                assert!(
                    ["@NAME@", "@LANGUAGE@", "@TITLE@"].iter().all(|hole| !file.text.contains(hole)),
                    "{language}: {}",
                    file.path
                );
                assert!(file.text.ends_with('\n') && !file.path.contains('@'), "{language}: {}", file.path);
                let path = folder.path().join(&file.path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, &file.text).unwrap();
            }
            let text = |path: &str| &files.iter().find(|file| file.path == path).unwrap().text;
            assert!(text("hello.qyv").contains(&format!("language: {language}")));
            assert!(text("README.md").contains("qyvol build") && text(".gitignore").contains("hello.wasm"));
            assert_eq!(crate::recognise(folder.path(), None).unwrap(), language);
        }
    }
}
