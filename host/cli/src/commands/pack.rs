//! `qyvol pack`.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::App;
use qyv_spec::app::Hash;
use qyv_spec::bundle::encrypt::{self, Lock, Recipient};
use qyv_spec::bundle::{Bundle, SecretKey, WriteError};
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::packing::Packing;
use crate::target::{self, Found, bundle, folder};
use crate::{keys, output};

/// Pack an app into one file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol pack app.qyv                       makes app.qyvbin in this folder
  qyvol pack . --list                      only shows what would be packed
  qyvol pack app.qyv --sign default        packs and signs
  qyvol pack app.qyv --encrypt-to age1…    makes app.qyvbin.age

The same files make the same bundle, byte for byte. A `.wat` program is assembled and packed as the `.wasm` of that name.")]
pub(crate) struct Pack {
    /// A `.qyv` file, or a folder with one
    app: PathBuf,
    /// Where to write the bundle; by default the manifest's name with `.qyvbin`, in this folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show the files that would be packed, and write nothing
    #[arg(long)]
    list: bool,
    /// Sign with this key: its name in your folder of keys, or a key file
    #[arg(long, value_name = "KEY", num_args = 1)]
    sign: Vec<String>,
    /// Encrypt for the holder of this age key (`age1…`)
    #[arg(long, value_name = "RECIPIENT", num_args = 1.., value_parser = recipient, conflicts_with = "passphrase")]
    encrypt_to: Vec<Recipient>,
    /// Encrypt with a passphrase: asked for on a terminal, otherwise the first line of standard input
    #[arg(long)]
    passphrase: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

fn recipient(text: &str) -> std::result::Result<Recipient, String> {
    text.parse().map_err(|error| format!("{error}; write an age key that begins with `age1`"))
}

impl Pack {
    /// Packs the app.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let manifest = match target::find(&self.app)? {
            Found::Manifest(manifest) => manifest,
            Found::Bundle => return Err(refused(&self.app, "a bundle already")),
            Found::Module => return Err(refused(&self.app, "a bare module")),
        };
        let project = folder::project(&manifest)?;
        for pattern in project.manifest.selection().patterns {
            if !project.files.iter().any(|file| pattern.matches(&file.path)) {
                output::warning(&format!("`{pattern}` in `files` takes no file"));
            }
        }
        let packing = Packing::new(&project)?;
        if self.list {
            self.show(&packing.app)?;
            return Ok(ExitCode::SUCCESS);
        }
        let keys: Vec<SecretKey> = self.sign.iter().map(|name| keys::secret(name)).collect::<Result<_>>()?;
        let lock = self.lock()?;
        let path = self.output.clone().unwrap_or_else(|| default_output(&manifest, lock.is_some()));
        let existing = Existing::Replaced;
        let id = match &lock {
            None => atomic::write_with(&path, Readers::Usual, existing, |file| {
                write(&packing, file, &keys, &path)
            })?,
            Some(lock) => atomic::write_with(&path, Readers::Usual, existing, |file| {
                // Nameless, or gone when this process is: the plain bundle is nobody's to find.
                let mut plain = atomic::beside(&path)?;
                let id = write(&packing, plain.file(), &keys, &path)?;
                let failed = |error: &dyn std::fmt::Display| Failure::own(format!("cannot encrypt: {error}"));
                plain.file().seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
                encrypt::wrap(plain.file(), file, lock).map_err(|error| failed(&error))?;
                Ok(id)
            })?,
        };
        self.report(&packing.app, &path, &id, &keys)
    }

    fn lock(&self) -> Result<Option<Lock>> {
        Ok(if self.passphrase {
            Some(Lock::Passphrase(keys::passphrase(true)?))
        } else if self.encrypt_to.is_empty() {
            None
        } else {
            Some(Lock::Keys(self.encrypt_to.clone()))
        })
    }

    fn show(&self, app: &App) -> Result<()> {
        if self.json {
            let files: Vec<_> = app
                .files
                .iter()
                .map(|file| json!({ "path": file.path.as_str(), "size": file.size, "blake3": file.blake3.to_string() }))
                .collect();
            return output::json(&json!({ "name": app.name.as_str(), "files": files }));
        }
        output::data(&file_list(app))
    }

    fn report(&self, app: &App, path: &Path, id: &[u8; 32], keys: &[SecretKey]) -> Result<ExitCode> {
        let size = path.metadata().map_err(|error| Failure::at_path("open", path, &error))?.len();
        if self.json {
            let keys: Vec<String> = keys.iter().map(|key| key.public().id().to_string()).collect();
            output::json(&json!({
                "bundle": path,
                "name": app.name.as_str(),
                "version": app.version.to_string(),
                "id": Hash(*id).to_string(),
                "files": app.files.len(),
                "bytes": size,
                "keys": keys,
            }))?;
        } else {
            let (count, size) = (app.files.len(), indicatif::HumanBytes(size));
            let files = if count == 1 { "file" } else { "files" };
            output::note(&format!(
                "packed `{}`: {} {}, {count} {files}, {size}",
                path.display(),
                app.name,
                app.version
            ));
            for key in keys {
                output::note(&format!("signed with key {}", key.public().id()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the bundle, and reads all of it back.
fn write(packing: &Packing<'_>, file: &mut File, keys: &[SecretKey], path: &Path) -> Result<[u8; 32]> {
    let id = packing.write(file, keys).map_err(|error| match error {
        WriteError::Output(error) => Failure::at_path("write", path, &error),
        WriteError::Input { .. } => Failure::own(error),
        _ => Failure::refused(error),
    })?;
    let written = file.try_clone().map_err(|error| Failure::at_path("read", path, &error))?;
    let check = || {
        let bundle = Bundle::open(written)?;
        let app = bundle.app()?;
        bundle::check_whole(&bundle, &app)
    };
    check().map_err(|error| {
        Failure::own(format!("the bundle is not what was to be packed: {error}"))
            .hint("a file was changed while it was packed: pack again")
    })?;
    Ok(id)
}

/// A line for each file: its size, its path.
pub(crate) fn file_list(app: &App) -> String {
    let line = |file: &qyv_spec::app::PackagedFile| format!("{:>12}  {}\n", file.size, file.path);
    app.files.iter().map(line).collect()
}

fn default_output(manifest: &Path, encrypted: bool) -> PathBuf {
    let mut name = manifest.file_stem().unwrap_or_default().to_owned();
    name.push(if encrypted { ".qyvbin.age" } else { ".qyvbin" });
    PathBuf::from(name)
}

fn refused(path: &Path, what: &str) -> Failure {
    Failure::refused(format!("`{}` is {what}", path.display()))
        .hint("a bundle is packed from a `.qyv` manifest; `qyvol new NAME` makes an app with one")
}
