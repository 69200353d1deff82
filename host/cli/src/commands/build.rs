//! `qyvol build`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::manifest::Kind;
use qyvol_toolchain::{Host, Language, Optimised, Project, optimise, recognise};
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::building::{self, Shown};
use crate::failure::{Code, Failure, Result};
use crate::output;
use crate::target::folder;

/// Compile an app's program
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol build                 the app in this folder
  qyvol build tools/resize
  qyvol build --release       smaller, without the names that only debuggers read
  qyvol build --lang nim      where there are sources of several languages

Runs the language's own tools, shows each command, and puts the program where the manifest's `entrypoint` says.
`qyvol toolchain doctor` says what is missing for a language. Exit code 1: the sources do not compile.")]
pub(crate) struct Build {
    /// The folder with the manifest and the sources
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The language of the sources; by default told from their files
    #[arg(long = "lang", value_name = "LANGUAGE", value_parser = building::languages_of_either())]
    lang: Option<String>,
    /// Make the program small: strip it, and run `wasm-opt` where that is installed and helps
    #[arg(long)]
    release: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Build {
    /// Compiles the program.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let manifest_path = folder::the_manifest(&self.folder)?;
        let manifest = folder::read_manifest(&manifest_path)?;
        let entrypoint = &manifest.entrypoint;
        if entrypoint.ending() != "wasm" {
            return Err(Failure::refused(format!("the entrypoint `{entrypoint}` is not compiled"))
                .hint(format!("`qyvol run {}` runs it as it is", manifest_path.display())));
        }
        let project = Project {
            folder: building::absolute(&self.folder)?,
            name: manifest.name.as_str().to_owned(),
            release: self.release,
            component: manifest.kind == Kind::Http,
            colours: std::io::stderr().is_terminal(),
        };
        let host = Host::of_process();
        let mut shown = Shown::default();
        let built = match building::of_program(self.lang.as_deref()) {
            Some(language) => Ok(language),
            None => recognise(&self.folder, manifest.language.as_deref()),
        };
        let built = built.and_then(|language| {
            let bytes = qyvol_toolchain::build(language, &project, &host, &mut shown)?;
            Ok((language, bytes))
        });
        let (language, bytes) = match built {
            Ok(built) => built,
            Err(error) => {
                return match building::failure(error, &host) {
                    Some(failure) => Err(failure),
                    None => Ok(ExitCode::from(Code::Found as u8)),
                };
            }
        };
        let size_before = bytes.len();
        let Optimised { bytes, without } = if self.release {
            let scratch = tempfile::tempdir()
                .map_err(|error| Failure::own(format!("cannot make a temporary folder: {error}")))?;
            optimise(&bytes, scratch.path(), &host, &mut shown).map_err(|error| Failure::own(&error))?
        } else {
            Optimised { bytes, without: None }
        };
        drop(shown);
        let place = self.folder.join(entrypoint.as_str());
        atomic::write(&place, &bytes, Readers::Usual, Existing::Replaced)?;
        self.report(language, &place, bytes.len(), size_before, without.as_deref())
    }

    fn report(
        &self,
        language: Language,
        place: &Path,
        size: usize,
        before: usize,
        without: Option<&str>,
    ) -> Result<ExitCode> {
        let shown = |bytes: usize| indicatif::HumanBytes(bytes as u64);
        if self.json {
            return output::json(&json!({
                "build": 1,
                "language": language.name(),
                "program": place,
                "bytes": size,
                "bytes_before": before,
                "without": without,
            }))
            .map(|()| ExitCode::SUCCESS);
        }
        if let Some(why) = without {
            output::note(&format!("without `wasm-opt`: {why}"));
        }
        let place = place.display();
        output::note(&if size == before {
            format!("built `{place}`, {}", shown(size))
        } else {
            format!("built `{place}`, {} of {}", shown(size), shown(before))
        });
        Ok(ExitCode::SUCCESS)
    }
}
