//! The parts of a language's tools: what is there, what is not, and what mends it.

use std::path::{Path, PathBuf};

use crate::languages::tools;
use crate::run::{Run, ask};
use crate::{Error, Host, Language, Observer, Result, Version, apt};

/// One thing that a language needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called.
    pub name: &'static str,
    /// Which version is needed, or pinned; empty when any does.
    pub wanted: String,
    /// Whether it is there.
    pub state: State,
    /// What it is good for when builds can do without it.
    pub optional: Option<&'static str>,
    /// How it comes here.
    pub mend: Mend,
}

/// Whether a part is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Found {
        /// Where.
        path: PathBuf,
        /// Which, when it says so.
        version: Option<Version>,
    },
    /// It is there and too old.
    Old {
        /// Where.
        path: PathBuf,
        /// Which.
        version: Version,
    },
    /// It is not.
    Absent,
}

/// How a part comes to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Packages of Debian and its kin.
    Packages(&'static [&'static str]),
    /// A program that is here already, and its arguments.
    Command(&'static [&'static str]),
    /// Files of Maven's central repository, which `install` fetches and checks.
    Jars(Language),
    /// Nothing here can do it: what a person does.
    ByHand(&'static str),
}

impl Part {
    /// Whether it is there, and new enough.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        matches!(self.state, State::Found { .. })
    }

    /// What is wrong with it, in a few words; nothing when it is there.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.state {
            State::Found { .. } => None,
            State::Old { path, version } => {
                Some(format!("`{}` is version {version}; {} is needed", path.display(), self.wanted))
            }
            State::Absent if self.wanted.is_empty() => Some(format!("`{}` is not installed", self.name)),
            State::Absent => Some(format!("`{}` ({}) is not installed", self.name, self.wanted)),
        }
    }

    /// Whether what mends it is a command, and no sentence.
    #[must_use]
    pub fn is_mended_by_command(&self, host: &Host) -> bool {
        match self.mend {
            Mend::Packages(_) => host.find("apt-get").is_some(),
            Mend::Command(_) | Mend::Jars(_) => true,
            Mend::ByHand(_) => false,
        }
    }

    /// The command, or the sentence, that mends it.
    #[must_use]
    pub fn mend_line(&self, host: &Host) -> String {
        match &self.mend {
            Mend::Packages(names) => apt::line(host, names),
            Mend::Command(words) => words.join(" "),
            Mend::Jars(language) => format!("qyvol toolchain install {language}"),
            Mend::ByHand(what) => (*what).to_owned(),
        }
    }
}

/// Everything that a language needs, for builds in `folder`.
#[must_use]
pub fn parts(language: Language, host: &Host, folder: &Path) -> Vec<Part> {
    tools(language).parts(host, folder)
}

/// What a language needs and is not there, for builds in `folder`.
#[must_use]
pub fn missing(language: Language, host: &Host, folder: &Path) -> Vec<Part> {
    let needed = |part: &Part| !part.is_found() && part.optional.is_none();
    parts(language, host, folder).into_iter().filter(needed).collect()
}

/// Installs what languages need, by the package managers that bring it. Every command is shown.
///
/// # Errors
///
/// When a command fails, or something is missing after all of them: then it is named with what a person can do.
pub fn install(languages: &[Language], host: &Host, observer: &mut dyn Observer) -> Result<()> {
    let here = Path::new(".");
    // Packages first, and all at once: what comes after may be run by programs that they bring.
    let mut packages: Vec<&str> = Vec::new();
    for part in languages.iter().flat_map(|language| parts(*language, host, here)) {
        if let (false, Mend::Packages(names)) = (part.is_found(), part.mend) {
            packages.extend(names.iter().filter(|name| !packages.contains(name)).collect::<Vec<_>>());
        }
    }
    if !packages.is_empty() {
        apt::install(host, &packages, observer)?;
    }
    for language in languages {
        for part in parts(*language, host, here).iter().filter(|part| !part.is_found()) {
            match &part.mend {
                Mend::Command([program, arguments @ ..]) => {
                    // What is not there is named below.
                    let Some(program) = host.find(program) else { continue };
                    let run = Run::new(host, program).args(arguments.iter());
                    let line = run.line().to_owned();
                    run.on_terminal(observer).map_err(|_| Error::Install { line })?;
                }
                Mend::Jars(language) => tools(*language).fetch(host, observer)?,
                Mend::Command([]) | Mend::Packages(_) | Mend::ByHand(_) => {}
            }
        }
        let parts = missing(*language, host, here);
        if !parts.is_empty() {
            return Err(Error::Missing { language: *language, parts });
        }
    }
    Ok(())
}

/// Looks for the first of `names` that is there, asks it for its version, and holds that against the least one.
pub(crate) fn program(host: &Host, names: &[&str], arguments: &[&str], least: Version) -> State {
    let mut old = None;
    for path in names.iter().filter_map(|name| host.find(name)) {
        let version = ask(host, &path, arguments).as_deref().and_then(Version::find);
        match version {
            Some(version) if version < least => old = old.or(Some(State::Old { path, version })),
            Some(version) => return State::Found { path, version: Some(version) },
            // It is no program of that kind, or is broken.
            None => {}
        }
    }
    old.unwrap_or(State::Absent)
}

/// A file or folder that must be there.
pub(crate) fn file(path: PathBuf) -> State {
    if path.exists() { State::Found { path, version: None } } else { State::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;

    #[test]
    fn on_an_empty_machine_everything_is_missing_and_says_how_to_mend_it() {
        let (folder, host) = machine(&[]);
        for language in Language::ALL {
            let parts = missing(language, &host, folder.path());
            assert!(!parts.is_empty(), "{language}");
            for part in parts {
                let trouble = part.trouble().unwrap();
                assert!(trouble.contains("is not installed"), "{language}: {trouble}");
                assert!(!part.mend_line(&host).is_empty(), "{language}: {trouble}");
            }
        }
    }

    #[test]
    fn the_first_program_that_is_new_enough_is_taken() {
        let (_folder, host) = machine(&[
            ("a", "echo a 3.1"),
            ("b", "echo b 22.1.8"),
            ("c", "exit 1"),
            ("d", "echo no version"),
        ]);
        let found = |names: &[&str]| program(&host, names, &["--version"], Version(16, 0, 0));
        let State::Found { version, .. } = found(&["x", "a", "b"]) else { panic!() };
        assert_eq!(version, Some(Version(22, 1, 8)));
        let State::Old { version, .. } = found(&["c", "a"]) else { panic!() };
        assert_eq!(version, Version(3, 1, 0));
        assert_eq!(found(&["c", "d", "x"]), State::Absent);
    }
}
