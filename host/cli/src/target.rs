//! What APP names: a manifest in its folder, a bundle, or a bare module.

pub(crate) mod bundle;
pub(crate) mod folder;
pub(crate) mod module;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qyv_spec::{App, Manifest};
use qyv_vfs::PackedFiles;
use qyvol_fs::Folder;

use crate::failure::{Failure, Result};

/// An app that was found, with everything that is needed to run it.
pub(crate) struct Target {
    pub(crate) app: App,
    pub(crate) origin: Origin,
    /// Its packaged files, as the guest sees them at `/`.
    pub(crate) files: Arc<dyn PackedFiles>,
    /// Its program.
    pub(crate) program: Program,
}

/// Where an app came from, which decides what it may ask for.
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub(crate) enum Origin {
    /// A bare module, without a manifest: it asks for nothing.
    Module,
    /// A manifest that is run in place: its folder.
    Folder(Folder),
    /// A bundle, and who vouches for it.
    Bundle(qyv_spec::bundle::Verdict),
}

/// Portable bytes: their hash, and how to come by them.
pub(crate) struct Program {
    pub(crate) hash: [u8; 32],
    read: Box<dyn Fn() -> Result<Vec<u8>> + Send>,
}

impl Program {
    pub(crate) fn new(hash: [u8; 32], read: impl Fn() -> Result<Vec<u8>> + Send + 'static) -> Self {
        Self { hash, read: Box::new(read) }
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        (self.read)()
    }
}

/// How a bundle that needs one is opened, and what is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accept {
    /// Bundles that nobody signed.
    pub(crate) unsigned: bool,
}

/// What kind of app a path names.
pub(crate) enum Found {
    /// A manifest at this path, which is the given one or lies in the given folder.
    Manifest(PathBuf),
    Bundle,
    Module,
}

/// Opens what `path` names, to run it.
///
/// # Errors
///
/// As [`find`], and when it does not hold together or is not vouched for.
pub(crate) fn open(path: &Path, accept: Accept) -> Result<Target> {
    match find(path)? {
        Found::Manifest(manifest) => folder::open(&manifest),
        Found::Bundle => bundle::open(path, accept),
        Found::Module => module::open(path),
    }
}

/// Finds what `path` names: a `.qyv`, `.qyvbin`, `.wasm`, `.wat`, or a folder with one manifest.
///
/// # Errors
///
/// 127 when there is nothing; 126 when it is nothing that can run.
pub(crate) fn find(path: &Path) -> Result<Found> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::at_path("open", path, &error))?;
    if metadata.is_dir() {
        return folder::the_manifest(path).map(Found::Manifest);
    }
    if !metadata.is_file() {
        return Err(Failure::refused(format!("`{}` is neither a file nor a folder", path.display())));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("qyv") => Ok(Found::Manifest(path.to_owned())),
        Some("qyvbin") => Ok(Found::Bundle),
        Some("wasm" | "wat") => Ok(Found::Module),
        Some("cwasm") => Err(Failure::refused(format!("`{}` is native code", path.display()))
            .hint("native code is never loaded from outside; run the `.wasm` it was made from")),
        Some("age") => Err(Failure::refused(format!("`{}` is encrypted", path.display()))
            .hint(format!("decrypt it first: `qyvol unpack --decrypt {}`", path.display()))),
        // A name says little; the first bytes decide.
        _ => match beginning(path)? {
            b if b.starts_with(b"\0asm") => Ok(Found::Module),
            b if b.starts_with(&qyv_spec::bundle::limits::MAGIC) => Ok(Found::Bundle),
            b if b.starts_with(b"\x7fELF") => {
                Err(Failure::refused(format!("`{}` is native code, no WebAssembly", path.display())))
            }
            _ => Err(Failure::refused(format!("`{}` is no app that is known by its name", path.display()))
                .hint("an app is a `.qyv`, `.qyvbin`, `.wasm` or `.wat` file, or a folder with one `.qyv`")),
        },
    }
}

fn beginning(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut bytes))
        .map_err(|error| Failure::at_path("read", path, &error))?;
    Ok(bytes)
}

/// Reads a whole file that must not be larger than `most` bytes.
pub(crate) fn read_bounded(path: &Path, most: u64, what: &str) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| Failure::at_path("open", path, &error))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let too_large =
        || Failure::refused(format!("`{}` is larger than {what} may be ({most} bytes)", path.display()));
    if length > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| Failure::at_path("read", path, &error))?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// The app that a bare module is: nothing but its program.
fn bare_app(stem: &str, size: u64, hash: [u8; 32]) -> Result<App> {
    let name: String = stem
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let name = name.trim_matches('-');
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { "app" };
    let text = format!("name: {name}\nentrypoint: main.wasm\n");
    let manifest = Manifest::from_yaml(&text, "main.wasm").map_err(Failure::own)?;
    resolve(&manifest, vec![packaged("main.wasm", size, hash)?], Path::new(stem))
}

pub(crate) fn packaged(path: &str, size: u64, hash: [u8; 32]) -> Result<qyv_spec::app::PackagedFile> {
    let path = path.parse().map_err(Failure::refused)?;
    Ok(qyv_spec::app::PackagedFile { path, size, blake3: qyv_spec::app::Hash(hash) })
}

/// Resolves a manifest with its files, or says everything that is wrong.
pub(crate) fn resolve(
    manifest: &Manifest,
    files: Vec<qyv_spec::app::PackagedFile>,
    place: &Path,
) -> Result<App> {
    manifest.resolve(files).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(|problem| format!("  {problem}\n")).collect();
        Failure::refused(format!("`{}` cannot run:\n{}", place.display(), list.concat()))
    })
}

/// Writes a file so that it is there whole or not at all, for its owner alone.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::atomic::write(path, bytes, crate::atomic::Readers::Owner, crate::atomic::Existing::Replaced)
}
