//! `qyvol new`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use qyv_spec::Name;
use qyvol_toolchain::{Language, template};
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::building;
use crate::failure::{Failure, Result};
use crate::output;

/// Make the folder of a new app
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol new hello && cd hello && qyvol build && qyvol run .
  qyvol new --lang go ~/src/tool")]
pub(crate) struct New {
    /// The folder to make; its last part is the app's name
    name: PathBuf,
    /// The language of the program; by default Rust
    #[arg(long = "lang", alias = "language", value_name = "LANGUAGE", value_parser = building::languages_of_either())]
    lang: Option<String>,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
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
        let language = building::of_program(self.lang.as_deref()).unwrap_or(Language::Rust);
        for file in template(language, name.as_str()) {
            let place = folder.join(&file.path);
            atomic::write(&place, file.text.as_bytes(), Readers::Usual, Existing::Kept)?;
            files.push(file.path);
        }
        let shown = folder.display();
        if self.json {
            output::json(
                &json!({ "name": name.as_str(), "language": language.name(), "folder": folder, "files": files }),
            )?;
        } else {
            output::note(&format!("made `{shown}`: {}", files.join(", ")));
            output::hint(&format!("`cd {shown}`, then `qyvol build` and `qyvol run .`"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
