//! The bundles of what is deployed: one that is there, or one that is made of a manifest in place or of a bare module.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qyv_spec::App;

use crate::client::Bundle;
use crate::failure::{Failure, Result};
use crate::packing::Packing;
use crate::target::{self, Accept, Found, bundle, folder};

/// One app, ready to be sent.
pub(crate) struct Image {
    pub(crate) app: App,
    pub(crate) bundle: Bundle,
    /// For a manifest in place, its folder, absolute.
    pub(crate) folder: Option<String>,
    /// The manifest or bundle, absolute, when it is a file of this host.
    pub(crate) manifest: Option<String>,
    /// Whether a bundle came from elsewhere, so that a signature must vouch for it.
    pub(crate) foreign: bool,
    /// The files and folders whose change may change the app.
    pub(crate) watched: Vec<PathBuf>,
}

/// Where bundles are written that are made of manifests and modules, one after another: however many they are, one file
/// without a name is open.
#[derive(Default)]
pub(crate) struct Spool {
    file: Option<Arc<File>>,
    end: u64,
}

/// The end of a spool, as a file that begins there.
struct End<'a> {
    file: &'a File,
    start: u64,
    at: u64,
    bytes: u64,
}

impl Write for End<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.start + self.at)?;
        self.at += count as u64;
        self.bytes = self.bytes.max(self.at);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for End<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The apps of all paths. A folder stands for all its manifests.
pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    let mut names = BTreeSet::new();
    let mut spool = Spool::default();
    for path in paths {
        let manifests = if path.is_dir() { folder::manifests(path)? } else { Vec::new() };
        let found = match manifests.len() {
            // What is wrong with it is said as for one.
            0 => vec![image(path, &mut spool)?],
            _ => manifests.iter().map(|manifest| of_manifest(manifest, &mut spool)).collect::<Result<_>>()?,
        };
        for image in found {
            if !names.insert(image.app.name.clone()) {
                let message = format!("two of the apps are called `{}`", image.app.name);
                return Err(Failure::refused(message).hint("give one of them another `name`"));
            }
            images.push(image);
        }
    }
    Ok(images)
}

/// The app of one path.
pub(crate) fn image(path: &Path, spool: &mut Spool) -> Result<Image> {
    match target::find(path)? {
        Found::Manifest(manifest) => of_manifest(&manifest, spool),
        Found::Bundle => of_bundle(path),
        Found::Module => of_module(path, spool),
    }
}

fn of_manifest(manifest: &Path, spool: &mut Spool) -> Result<Image> {
    let project = folder::project(manifest)?;
    let packing = Packing::new(&project)?;
    let root = project.place()?;
    let mut watched = vec![manifest.to_owned(), root.clone()];
    for file in &project.files {
        watched.push(file.place.clone());
        // Files that come and go.
        watched.extend(file.place.parent().map(Path::to_owned));
    }
    watched.sort();
    watched.dedup();
    let folder = root.into_os_string().into_string();
    let folder =
        folder.map_err(|root| Failure::refused(format!("`{}` is not UTF-8", Path::new(&root).display())))?;
    Ok(Image { manifest: absolute(manifest), ..packed(&packing, Some(folder), watched, spool)? })
}

fn of_module(path: &Path, spool: &mut Spool) -> Result<Image> {
    let target = target::open(path, Accept::default())?;
    let packing = Packing::bare(target.app, target.program.bytes()?);
    packed(&packing, None, vec![path.to_owned()], spool)
}

fn of_bundle(path: &Path) -> Result<Image> {
    let app = bundle::read(path)?.app;
    let failed = |error| Failure::at_path("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let bundle = Bundle::of(&Arc::new(file), 0, bytes).map_err(failed)?;
    let watched = vec![path.to_owned()];
    Ok(Image { app, bundle, folder: None, manifest: absolute(path), foreign: true, watched })
}

fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

/// Writes the bundle of an app.
fn packed(
    packing: &Packing<'_>,
    folder: Option<String>,
    watched: Vec<PathBuf>,
    spool: &mut Spool,
) -> Result<Image> {
    let failed = |error: &dyn std::fmt::Display| Failure::own(format!("cannot pack the app: {error}"));
    let file = match &spool.file {
        Some(file) => Arc::clone(file),
        None => Arc::new(tempfile::tempfile().map_err(|error| failed(&error))?),
    };
    let mut end = End { file: &file, start: spool.end, at: 0, bytes: 0 };
    packing.write_quickly(&mut end).map_err(|error| failed(&error))?;
    let bundle = Bundle::of(&file, end.start, end.bytes).map_err(|error| failed(&error))?;
    *spool = Spool { end: end.start + end.bytes, file: Some(file) };
    Ok(Image { app: packing.app.clone(), bundle, folder, manifest: None, foreign: false, watched })
}
