//! How programs are made from sources: which languages there are, what each needs on this machine, how that is installed,
//! how a folder of sources becomes one `.wasm`, and what a new project looks like.
//!
//! A language is a module with the same few functions ([`language::Language`] picks among them). Nothing here knows an
//! engine, a manifest or a terminal: commands that are run and what they print go to an [`Observer`].

mod apt;
mod build;
mod error;
mod files;
mod host;
mod language;
mod languages;
mod module;
mod optimise;
mod part;
mod recognise;
mod run;
mod template;
mod version;

pub use build::{Project, build};
pub use error::{Error, Result};
pub use host::Host;
pub use language::{Language, UnknownLanguage};
pub use optimise::{Optimised, optimise, wasm_opt};
pub use part::{Mend, Part, State, install, missing, parts};
pub use recognise::recognise;
pub use run::Observer;
pub use template::{TemplateFile, template};
pub use version::Version;

#[cfg(test)]
mod testing;
