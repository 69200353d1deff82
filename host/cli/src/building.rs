//! Building programs: what the tools say and do, shown on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use indicatif::{ProgressBar, ProgressStyle};
use qyvol_toolchain::{Error, Host, Language, Observer, Part};

use crate::failure::{Failure, Result};
use crate::{language, output};

/// How long a tool may say nothing before that is shown.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// The names of languages that may be typed, with aliases that are not shown.
pub(crate) fn languages() -> PossibleValuesParser {
    PossibleValuesParser::new(Language::ALL.map(value))
}

/// The same where `--lang` is the language of a program and the one of messages: a word of the latter stays that.
pub(crate) fn languages_of_either() -> PossibleValuesParser {
    let messages = language::LANGUAGES.map(|name| PossibleValue::new(name).hide(true));
    PossibleValuesParser::new(Language::ALL.map(value).into_iter().chain(messages))
}

fn value(language: Language) -> PossibleValue {
    PossibleValue::new(language.name()).aliases(language.aliases())
}

/// The language of a program among what `--lang` may say.
pub(crate) fn of_program(said: Option<&str>) -> Option<Language> {
    said.and_then(|word| word.parse().ok())
}

/// Shows commands, what they print, and that they still run.
#[derive(Default)]
pub(crate) struct Shown {
    line: String,
    bar: Option<ProgressBar>,
}

impl Observer for Shown {
    fn runs(&mut self, line: &str) {
        self.clear();
        line.clone_into(&mut self.line);
        output::note(&format!("$ {line}"));
    }

    fn waits(&mut self, elapsed: Duration) {
        if elapsed < SHOWN_AFTER || !std::io::stderr().is_terminal() {
            return;
        }
        let program = self.line.split(' ').find(|word| !word.contains('=')).unwrap_or_default().to_owned();
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        bar.set_message(format!("{program} … {} s", elapsed.as_secs()));
        bar.tick();
    }

    fn printed(&mut self, bytes: &[u8]) {
        self.clear();
        // The compiler's own words, as they are. A closed standard error is no reason to fail.
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    fn notes(&mut self, text: &str) {
        self.clear();
        output::note(text);
    }
}

impl Shown {
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What a failure of the tools is to who typed the command; `None` when a compiler has said everything that there is to say.
pub(crate) fn failure(error: Error, host: &Host) -> Option<Failure> {
    Some(match error {
        Error::Compile { .. } => return None,
        Error::Silent { .. } | Error::Broken { .. } | Error::Install { .. } => Failure::found(&error),
        Error::Missing { language, ref parts } => {
            let failure = missing(Failure::not_found(&error), parts, host);
            if parts.len() > 1 {
                failure.hint(format!("`qyvol toolchain install {language}` installs what it can"))
            } else {
                failure
            }
        }
        Error::Sources { what, mend } => Failure::refused(what).hint(mend),
        Error::Hash { .. } => Failure::refused(&error).hint("remove the file and install again"),
        Error::System { .. } => Failure::own(&error),
    })
}

/// A failure with what is missing and how each comes here.
fn missing(mut failure: Failure, parts: &[Part], host: &Host) -> Failure {
    for part in parts {
        let trouble = part.trouble().unwrap_or_default();
        let mend = part.mend_line(host);
        failure = failure.hint(if part.is_mended_by_command(host) {
            format!("{trouble}: `{mend}`")
        } else {
            format!("{trouble}: {mend}")
        });
    }
    failure
}

/// The folder of a project, made absolute.
pub(crate) fn absolute(folder: &std::path::Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|error| Failure::at_path("open", folder, &error))
}
