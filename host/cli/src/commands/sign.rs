//! `qyvol sign`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::bundle::SecretKey;
use serde_json::json;

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::target::bundle;
use crate::{keys, output};

/// Sign a bundle
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol sign app.qyvbin                   with the key `default`
  qyvol sign app.qyvbin --key release     with another one; both signatures are kept

Everything in the bundle is read and checked first. A second signature of one key replaces the first.")]
pub(crate) struct Sign {
    /// The bundle
    bundle: PathBuf,
    /// The name of a key in your folder of keys, or a key file
    #[arg(long, value_name = "KEY", default_value = keys::DEFAULT)]
    key: String,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Sign {
    /// Adds the signature.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let key = keys::secret(&self.key)?;
        let app = sign(&self.bundle, &key)?;
        let id = key.public().id();
        if self.json {
            output::json(
                &json!({ "bundle": self.bundle, "name": app.name.as_str(), "key": id.to_string() }),
            )?;
        } else {
            output::note(&format!("signed `{}` with key {id}", self.bundle.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn sign(path: &Path, key: &SecretKey) -> Result<qyv_spec::App> {
    let opened = bundle::read(path)?;
    bundle::check_whole(&opened.bundle, &opened.app).map_err(|error| bundle::damaged(path, &error))?;
    let trailer = opened.bundle.sign(key).map_err(|error| bundle::damaged(path, &error))?;
    let failed = |error: std::io::Error| Failure::at_path("sign", path, &error);
    // The file itself, so that a link to it stays one.
    let place = path.canonicalize().map_err(failed)?;
    let permissions = place.metadata().map_err(failed)?.permissions();
    atomic::write_with(&place, Readers::Owner, Existing::Replaced, |file| {
        let copied = File::open(&place)
            .and_then(|from| std::io::copy(&mut from.take(trailer.offset), file))
            .map_err(failed)?;
        if copied != trailer.offset {
            return Err(Failure::own(format!("`{}` changed while it was read", path.display())));
        }
        file.write_all(&trailer.bytes).and_then(|()| file.set_permissions(permissions)).map_err(failed)?;
        // What is put in its place is what was checked: the header that is signed holds the hashes of the rest.
        let signed = file.try_clone().map_err(failed)?;
        let signed = qyv_spec::bundle::Bundle::open(signed).map_err(|error| bundle::damaged(path, &error))?;
        signed.check_stored().map_err(|error| bundle::damaged(path, &error))
    })?;
    Ok(opened.app)
}
