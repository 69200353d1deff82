//! `qyvol new`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use qyv_spec::Name;
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::output;

/// Make the folder of a new app
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol new hello && cd hello && qyvol build && qyvol run .
  qyvol new ~/src/tool")]
pub(crate) struct New {
    /// The folder to make; its last part is the app's name
    name: PathBuf,
    /// The language of the program
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// The languages that `new` and `build` know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust, built by cargo
    #[default]
    Rust,
}

impl Language {
    /// The files of a new app: where, and with which text; `@NAME@` stands for the app's name in both.
    const fn template(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[
                ("@NAME@.qyv", include_str!("../templates/rust/manifest.qyv.txt")),
                ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.txt")),
                ("src/main.rs", include_str!("../templates/rust/main.rs.txt")),
                (".gitignore", include_str!("../templates/rust/gitignore.txt")),
                ("README.md", include_str!("../templates/rust/README.md.txt")),
            ],
        }
    }
}

impl New {
    /// Makes the folder.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let folder = &self.name;
        let name: Name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .parse()
            .map_err(Failure::usage)?;
        if atomic::is_empty_folder(folder).map_err(|error| Failure::at_path("make", folder, &error))?
            == Some(false)
        {
            return Err(Failure::refused(format!("`{}` exists and is not empty", folder.display()))
                .hint("name a folder that does not exist yet"));
        }
        let mut files = Vec::new();
        for (path, text) in self.language.template() {
            let filled = |text: &str| text.replace("@NAME@", name.as_str());
            let path = filled(path);
            let place = folder.join(&path);
            atomic::write(&place, filled(text).as_bytes(), Readers::Usual, Existing::Kept)?;
            files.push(path);
        }
        let shown = folder.display();
        if self.json {
            output::json(&json!({ "name": name.as_str(), "folder": folder, "files": files }))?;
        } else {
            output::note(&format!("made `{shown}`: {}", files.join(", ")));
            output::hint(&format!("`cd {shown}`, then `qyvol build` and `qyvol run .`"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
