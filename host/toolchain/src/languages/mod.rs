//! The languages, a module each.

mod c;
mod go;
mod kotlin;
mod nim;
mod rust;

use std::path::{Path, PathBuf};

use crate::build::Project;
use crate::part::Part;
use crate::{Host, Language, Observer, Result};

/// What every language has.
pub(crate) trait Tools: Sync {
    /// Everything that is needed, for builds in `folder`.
    fn parts(&self, host: &Host, folder: &Path) -> Vec<Part>;
    /// Fetches what no package manager of the system brings, and checks it.
    fn fetch(&self, _: &Host, _: &mut dyn Observer) -> Result<()> {
        Ok(())
    }
    /// Whether a folder has sources of the language.
    fn recognises(&self, folder: &Path) -> bool;
    /// Builds a program, and says where it is. What is needed was found before.
    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf>;
    /// The files of a new project: where, and with which text. `@NAME@` stands for the app's name in both.
    fn template(&self) -> &'static [(&'static str, &'static str)];
}

/// The tools of a language.
pub(crate) fn tools(language: Language) -> &'static dyn Tools {
    match language {
        Language::Rust => &rust::Rust,
        Language::C => &c::C,
        Language::Nim => &nim::Nim,
        Language::Kotlin => &kotlin::Kotlin,
        Language::Go => &go::Go,
    }
}
