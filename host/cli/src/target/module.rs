//! A bare `.wasm` or `.wat`: it runs with its standard streams and nothing else.

use std::path::Path;
use std::sync::Arc;

use qyv_vfs::{PackedFile, PackedFiles};

use super::{Origin, Program, Target, bare_app, read_bounded};
use crate::failure::{Failure, Result};

/// Opens a bare module.
pub(super) fn open(path: &Path) -> Result<Target> {
    let mut bytes = read_bounded(path, qyvol_engine::compile::MODULE_BYTES_MAX, "a module")?;
    if path.extension().is_some_and(|extension| extension == "wat") {
        bytes = assemble(path, &bytes)?;
    }
    let hash = qyvol_engine::hash(&bytes);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("app");
    let app = bare_app(stem, bytes.len() as u64, hash)?;
    let bytes = Arc::new(bytes);
    let program = Program::new(hash, move || Ok(bytes.to_vec()));
    Ok(Target { app, origin: Origin::Module, files: Arc::new(NoFiles), program })
}

/// Turns the text format into bytes.
pub(crate) fn assemble(path: &Path, text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text)
        .map_err(|_| Failure::refused(format!("`{}` is not UTF-8 text", path.display())))?;
    match wat::Parser::new().parse_str(Some(path), text) {
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(Failure::refused(format!("`{}` cannot be assembled:\n{error}\n", path.display()))),
    }
}

/// The packaged files of a module without a manifest.
struct NoFiles;

impl PackedFiles for NoFiles {
    fn len(&self) -> usize {
        0
    }

    fn file(&self, _: usize) -> PackedFile<'_> {
        PackedFile { path: "", size: 0, modified: 0 }
    }

    fn read_at(&self, _: usize, _: u64, _: &mut [u8]) -> qyv_vfs::Result<usize> {
        Err(qyv_vfs::Error::IO)
    }
}
