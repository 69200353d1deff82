//! What the languages of apps are built with: the list is `qyvol-toolchain`'s, so that CI installs what users do.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use qyvol_toolchain::{Host, Language, Observer, install as install_tools, missing, wasm_opt};

use super::{Missing, debian};

/// Says which commands are run; what they print goes to standard error.
struct Said;

impl Observer for Said {
    fn runs(&mut self, line: &str) {
        println!("setup: {line}");
    }

    fn waits(&mut self, _: Duration) {}

    fn printed(&mut self, bytes: &[u8]) {
        // A closed standard error is no reason to fail.
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    fn notes(&mut self, text: &str) {
        println!("setup: {text}");
    }
}

/// Installs what languages need and is not there.
pub(super) fn install() -> Vec<Missing> {
    let host = Host::of_process();
    let lacks = |language: &Language| !missing(*language, &host, Path::new(".")).is_empty();
    let lacking: Vec<Language> = Language::ALL.into_iter().filter(lacks).collect();
    if !lacking.is_empty()
        && let Err(error) = install_tools(&lacking, &host, &mut Said)
    {
        println!("setup: {error}");
    }
    let left = |language: Language| {
        missing(language, &host, Path::new(".")).into_iter().map(move |part| Missing {
            what: format!(
                "{}: {} ({})",
                language.title(),
                part.trouble().unwrap_or_default(),
                part.mend_line(&Host::of_process())
            ),
            consequence: "apps in that language are not built, so `tests` fails in CI",
        })
    };
    let mut left: Vec<Missing> = Language::ALL.into_iter().flat_map(left).collect();
    if !wasm_opt(&host).is_found()
        && let Err(error) = debian::install_packages("binaryen")
    {
        left.push(Missing {
            what: format!("`wasm-opt` ({error:#})"),
            consequence: "nothing tests `build --release` with it",
        });
    }
    left
}
