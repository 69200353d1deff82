//! `qyvol unpack`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::bundle::encrypt::{self, Unlock};
use qyv_spec::bundle::{Bundle, TrustStore, Verdict, verify};
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::target::{Accept, bundle};
use crate::unpacking::{self, APP_FILE};
use crate::{keys, output};

/// The largest bundle that is decrypted: 64 GiB.
const BUNDLE_BYTES_MAX: u64 = 64 << 30;

/// Take the files out of a bundle
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol unpack app.qyvbin                      into the new folder app/
  qyvol unpack app.qyvbin -C /tmp/look
  qyvol unpack --decrypt app.qyvbin.age --identity key.txt     makes app.qyvbin

Everything is checked first; nobody's signature is needed, as nothing is run. The app itself is written as `.app.json`.")]
pub(crate) struct Unpack {
    /// A `.qyvbin`, or with `--decrypt` a `.qyvbin.age`
    bundle: PathBuf,
    /// Where to; by default a folder named like the bundle. It must not exist or be empty, unless `--force` is given
    #[arg(short = 'C', long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Write into a folder that is not empty, in place of the files of the same names
    #[arg(long)]
    force: bool,
    /// Decrypt: write the `.qyvbin` that is inside, and take nothing out of it
    #[arg(long)]
    decrypt: bool,
    /// A file with age keys (`AGE-SECRET-KEY-1…`) to decrypt with
    #[arg(long, value_name = "FILE", requires = "decrypt", conflicts_with = "passphrase")]
    identity: Option<PathBuf>,
    /// Decrypt with a passphrase: asked for on a terminal, otherwise the first line of standard input
    #[arg(long, requires = "decrypt")]
    passphrase: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Unpack {
    /// Takes everything out, or decrypts.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        if self.decrypt {
            return self.decrypt();
        }
        if is_encrypted(&self.bundle)? {
            return Err(Failure::refused(format!("`{}` is encrypted", self.bundle.display())).hint(format!(
                "decrypt it first: `qyvol unpack --decrypt {} --identity FILE`, or `--passphrase`",
                self.bundle.display()
            )));
        }
        let opened = bundle::read(&self.bundle)?;
        let verdict = verify(&opened.bundle, opened.app.name.as_str(), &TrustStore::default());
        if matches!(verdict, Verdict::BadSignature { .. }) {
            bundle::accepted(&verdict, &opened.app, &self.bundle, Accept::default())?;
        }
        bundle::check_whole(&opened.bundle, &opened.app)
            .map_err(|error| bundle::damaged(&self.bundle, &error))?;
        let folder = match &self.directory {
            Some(folder) => folder.clone(),
            None => PathBuf::from(stem(&self.bundle, ".qyvbin")?),
        };
        if self.force {
            unpacking::into(&opened, &folder)?;
        } else {
            unpacking::into_new(&opened, &folder)?;
        }
        let count = opened.app.files.len();
        if self.json {
            output::json(
                &json!({ "folder": folder, "name": opened.app.name.as_str(), "files": count, "app": APP_FILE }),
            )?;
        } else {
            let files = if count == 1 { "file" } else { "files" };
            output::note(&format!("unpacked {count} {files} and `{APP_FILE}` into `{}`", folder.display()));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn decrypt(&self) -> Result<ExitCode> {
        let path = &self.bundle;
        let input = File::open(path).map_err(|error| Failure::at_path("open", path, &error))?;
        let place = self.directory.clone().unwrap_or_default().join(stem(path, ".age")?);
        let unlock = self.unlock()?;
        let existing = if self.force { Existing::Replaced } else { Existing::Kept };
        let refused = |error: &dyn std::fmt::Display| {
            Failure::refused(format!("`{}` cannot be decrypted: {error}", path.display()))
        };
        atomic::write_with(&place, Readers::Owner, existing, |file| {
            encrypt::unwrap(input, file, &unlock, BUNDLE_BYTES_MAX).map_err(|error| refused(&error))?;
            let inside = file.try_clone().map_err(|error| Failure::at_path("read", &place, &error))?;
            let check = || Bundle::open(inside)?.check_stored();
            check().map_err(|error: qyv_spec::bundle::Error| refused(&error))
        })?;
        if self.json {
            output::json(&json!({ "bundle": place }))?;
        } else {
            output::note(&format!("decrypted `{}`; who signed it, `qyvol verify` says", place.display()));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn unlock(&self) -> Result<Unlock> {
        match &self.identity {
            Some(path) => keys::identities(path).map(Unlock::Keys),
            None if self.passphrase => keys::passphrase(false).map(Unlock::Passphrase),
            None => {
                Err(Failure::usage("`--decrypt` needs a key").hint("add `--identity FILE` or `--passphrase`"))
            }
        }
    }
}

fn is_encrypted(path: &Path) -> Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)
        .and_then(|file| file.take(22).read_to_end(&mut beginning))
        .map_err(|error| Failure::at_path("open", path, &error))?;
    Ok(encrypt::is_wrapped(&beginning))
}

/// The name of a file without its ending.
fn stem(path: &Path, ending: &str) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ending));
    name.filter(|stem| !stem.is_empty()).map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!("`{}` does not end in `{ending}`", path.display()))
            .hint("say where to with `-C DIR`, or name the file by its kind")
    })
}
