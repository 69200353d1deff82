//! What people read, in their language.
//!
//! Everything in the program is said in English, and translated where it leaves for a person: the English text is the
//! key, as with gettext. So the core needs to know of no language, and neither does any command: JSON, status files, the
//! daemon and its logs are made of the same texts whatever the language is. What has no translation stays English; a
//! test finds it.

mod catalogue;
mod command_line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::OnceLock;

use catalogue::Catalogue;
pub(crate) use command_line::parse;

/// The languages that the option `--lang` knows.
pub(crate) const LANGUAGES: [&str; 2] = ["en", "es"];

/// The catalogue in use; none for English, nor in the other parts that this program plays.
static CATALOGUE: OnceLock<Option<Catalogue>> = OnceLock::new();

/// Chooses the language of this process, from what was typed and from the environment.
pub(crate) fn choose() {
    let spanish = is_spanish(std::env::args_os().skip(1), |name| std::env::var_os(name));
    let _ = CATALOGUE.set(spanish.then(Catalogue::spanish));
}

/// Whether the language is Spanish: by `--lang`, else by the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set. It
/// must be known before the command line is understood, as its mistakes are told in it.
fn is_spanish(
    mut arguments: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> bool {
    // What comes after `--` is the app's.
    let mut ours = arguments.by_ref().take_while(|argument| argument != "--");
    while let Some(argument) = ours.next() {
        let said = match argument.to_str() {
            Some("--lang") => ours.next().and_then(|next| next.into_string().ok()),
            Some(text) => text.strip_prefix("--lang=").map(str::to_owned),
            None => None,
        };
        // `build` and `new` have an option of that name for the language of programs, too.
        if let Some(said) = said.filter(|said| LANGUAGES.contains(&said.as_str())) {
            return said == "es";
        }
    }
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let set = set.and_then(|value| value.into_string().ok()).unwrap_or_default();
    set.split(['_', '.', '@', '-']).next() == Some("es")
}

fn catalogue() -> Option<&'static Catalogue> {
    CATALOGUE.get()?.as_ref()
}

/// One text for people, in their language.
pub(crate) fn translated(text: &str) -> Cow<'_, str> {
    catalogue().map_or(Cow::Borrowed(text), |catalogue| catalogue.lines(text))
}

/// Whether this person's answer to a question is yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    let answer = answer.to_lowercase();
    let yes = ["y", "yes"].contains(&answer.as_str());
    yes || catalogue().is_some() && ["s", "si", "sí"].contains(&answer.as_str())
}
