//! `qyvol keygen`.

use std::process::ExitCode;

use clap::Args;
use qyv_spec::bundle::SecretKey;
use serde_json::json;
use zeroize::Zeroizing;

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::{keys, output};

/// Make a key to sign bundles with
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol keygen                        the key that `qyvol sign` uses by default
  qyvol keygen --out release --note 'Acme release key'
  qyvol keygen --out ./acme           acme.key and acme.pub in this folder

NAME.key is the secret one: keep it. NAME.pub is for those who shall trust it.")]
pub(crate) struct Keygen {
    /// The name of the key in your folder of keys, or a path without its ending
    #[arg(long, value_name = "NAME", default_value = keys::DEFAULT)]
    out: String,
    /// One line about the key, kept in both files
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Keygen {
    /// Makes the key.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let place = keys::place(&self.out)?;
        let (secret_file, public_file) = (keys::file(&place, "key"), keys::file(&place, "pub"));
        let seed = atomic::random().map_err(|error| Failure::own(format!("no random bytes: {error}")))?;
        let note = self.note.as_deref();
        let key = SecretKey::from_seed(&Zeroizing::new(seed), note).map_err(Failure::usage)?;
        let public = key.public();
        let text = public.to_text(note).map_err(Failure::usage)?;
        for file in [&secret_file, &public_file] {
            if file.symlink_metadata().is_ok() {
                return Err(Failure::refused(format!(
                    "`{}` exists, and a key is never overwritten",
                    file.display()
                ))
                .hint("name another one with `--out`"));
            }
        }
        atomic::private_folder(&atomic::split(&secret_file)?.0)?;
        atomic::write(&secret_file, key.to_text().as_bytes(), Readers::Owner, Existing::Kept)?;
        atomic::write(&public_file, text.as_bytes(), Readers::Usual, Existing::Kept)?;
        if self.json {
            output::json(&json!({
                "id": public.id().to_string(),
                "public": public.to_string(),
                "secret_file": secret_file,
                "public_file": public_file,
            }))?;
        } else {
            output::data(&format!("key     {}\npublic  {public}\n", public.id()))?;
            output::note(&format!("`{}` is secret: keep it, and keep a copy of it", secret_file.display()));
            output::note(&format!("`{}` is for those who shall trust it", public_file.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
