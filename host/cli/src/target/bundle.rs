//! An app in a `.qyvbin`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qyv_spec::App;
use qyv_spec::bundle::{Bundle, ChunkCache, Source, TrustStore, Verdict, verify};
use qyvol_launch::BundleFiles;

use super::{Accept, Origin, Program, Target};
use crate::failure::{Failure, Result};

/// A bundle whose header was checked, with the app in it.
pub(crate) struct Opened {
    pub(crate) bundle: Bundle<File>,
    pub(crate) app: App,
}

/// Reads a bundle and the app in it, and checks that they agree and that no stored byte was changed. Says nothing of who
/// signed it.
pub(crate) fn read(path: &Path) -> Result<Opened> {
    let file = File::open(path).map_err(|error| Failure::at_path("open", path, &error))?;
    let open = || {
        let bundle = Bundle::open(file)?;
        let app = bundle.app()?;
        // All of it, now: a program that was compiled before is not read again, and a guest reads its files late.
        bundle.check_stored()?;
        Ok(Opened { bundle, app })
    };
    open().map_err(|error: qyv_spec::bundle::Error| damaged(path, &error))
}

/// What is said of a bundle that is damaged, or none.
pub(crate) fn damaged(path: &Path, error: &qyv_spec::bundle::Error) -> Failure {
    let failure = Failure::refused(format!("`{}` cannot be used: {error}", path.display()));
    failure.hint("fetch it again from where it came from; a bundle that was changed is never used")
}

/// Reads everything, and holds every file against the hash that the app names.
pub(crate) fn check_whole<S: Source>(bundle: &Bundle<S>, app: &App) -> qyv_spec::bundle::Result<()> {
    bundle.check_contents()?;
    let mut cache = ChunkCache::new(1);
    let mut buffer = vec![0; 1 << 20];
    for named in &app.files {
        let path = named.path.as_str();
        let differs = || qyv_spec::bundle::Error::AppFile { path: path.to_owned() };
        let index = bundle.find(path).ok_or_else(differs)?;
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        loop {
            let count = bundle.read_at(index, offset, &mut buffer, &mut cache)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            offset += count as u64;
        }
        if named.blake3.0 != *hasher.finalize().as_bytes() {
            return Err(differs());
        }
    }
    Ok(())
}

/// Where the keys that this user trusts are kept.
pub(crate) fn trust_store_path() -> Result<PathBuf> {
    Ok(crate::folders::config()?.join("trust"))
}

/// The keys that this user trusts.
pub(crate) fn trust_store() -> Result<TrustStore> {
    let path = trust_store_path()?;
    match std::fs::read_to_string(&path) {
        Ok(text) => TrustStore::from_text(&text).map_err(|error| {
            Failure::refused(format!("the trust store `{}` cannot be used: {error}", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(TrustStore::default()),
        Err(error) => Err(Failure::at_path("read", &path, &error)),
    }
}

/// Opens an app whose bundle is at `path`, when its signatures allow it.
pub(super) fn open(path: &Path, accept: Accept) -> Result<Target> {
    let Opened { bundle, app } = read(path)?;
    let verdict = verify(&bundle, app.name.as_str(), &trust_store()?);
    accepted(&verdict, &app, path, accept)?;
    let bundle = Arc::new(bundle);
    let module = bundle
        .entrypoint_module(&app)
        .map_err(|error| Failure::refused(format!("`{}` cannot run: {error}", path.display())))?;
    let hash =
        app.files.iter().find(|file| file.path == app.entrypoint).map(|file| file.blake3.0).ok_or_else(
            || Failure::refused(format!("`{}` does not name its program's hash", path.display())),
        )?;
    let reader = Arc::clone(&bundle);
    let program = Program::new(hash, move || reader.read_module(module).map_err(Failure::refused));
    let files = Arc::new(BundleFiles::new(bundle));
    Ok(Target { app, origin: Origin::Bundle(verdict), files, program })
}

/// Refuses what nobody vouches for here, with the reason.
pub(crate) fn accepted(verdict: &Verdict, app: &App, path: &Path, accept: Accept) -> Result<()> {
    let shown = path.display();
    match verdict {
        Verdict::Trusted { .. } => Ok(()),
        Verdict::Unsigned if accept.unsigned => Ok(()),
        Verdict::Unsigned => Err(Failure::refused(format!("`{shown}` is not signed"))
            .hint(format!("sign it with `qyvol sign {shown}`, or run it once with `--allow-unsigned`"))),
        Verdict::Unbound { keys } => {
            let keys: Vec<_> = keys.iter().map(|key| key.id().to_string()).collect();
            let failure = Failure::refused(format!(
                "`{shown}` is signed by a key that you do not trust for `{}`: {}",
                app.name,
                keys.join(", ")
            ));
            Err(failure.hint(format!("if you trust it: `qyvol trust add {shown} --name {}`", app.name)))
        }
        Verdict::Revoked { key } => {
            Err(Failure::refused(format!("`{shown}` is signed by a key that was revoked: {}", key.id()))
                .hint("ask its publisher for a bundle that is signed by a new key"))
        }
        Verdict::BadSignature { key } => Err(Failure::refused(format!(
            "`{shown}` was changed after it was signed: a signature of key {key} does not fit"
        ))
        .hint("fetch it again from where it came from")),
    }
}
