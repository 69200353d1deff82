//! The bundles of what is deployed: one that is there, or one that is made of a manifest in place or of a bare module.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use qyv_spec::App;
use qyv_spec::app::Hash;

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::packing::Packing;
use crate::target::{self, Accept, Found, bundle, folder};

/// One app, ready to be sent.
pub(crate) struct Image {
    pub(crate) app: App,
    /// The hash of the whole file.
    pub(crate) hash: Hash,
    bytes: u64,
    file: File,
    /// For a manifest in place, its folder, absolute.
    pub(crate) folder: Option<String>,
    /// The manifest or bundle, absolute, when it is a file of this host.
    pub(crate) manifest: Option<String>,
    /// Whether a bundle came from elsewhere, so that a signature must vouch for it.
    pub(crate) foreign: bool,
    /// The files and folders whose change may change the app.
    pub(crate) watched: Vec<PathBuf>,
}

/// The apps of all paths. A folder stands for all its manifests.
pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    for path in paths {
        let manifests = if path.is_dir() { folder::manifests(path)? } else { Vec::new() };
        let found = match manifests.len() {
            // What is wrong with it is said as for one.
            0 => vec![image(path)?],
            _ => manifests.iter().map(|manifest| of_manifest(manifest)).collect::<Result<_>>()?,
        };
        for image in found {
            if images.iter().any(|other| other.app.name == image.app.name) {
                let message = format!("two of the apps are called `{}`", image.app.name);
                return Err(Failure::refused(message).hint("give one of them another `name`"));
            }
            images.push(image);
        }
    }
    Ok(images)
}

/// The app of one path.
pub(crate) fn image(path: &Path) -> Result<Image> {
    match target::find(path)? {
        Found::Manifest(manifest) => of_manifest(&manifest),
        Found::Bundle => of_bundle(path),
        Found::Module => of_module(path),
    }
}

fn of_manifest(manifest: &Path) -> Result<Image> {
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
    Ok(Image { manifest: absolute(manifest), ..packed(&packing, Some(folder), watched)? })
}

fn of_module(path: &Path) -> Result<Image> {
    let target = target::open(path, Accept::default())?;
    let packing = Packing::bare(target.app, target.program.bytes()?);
    packed(&packing, None, vec![path.to_owned()])
}

fn of_bundle(path: &Path) -> Result<Image> {
    let app = bundle::read(path)?.app;
    let file = File::open(path).map_err(|error| Failure::at_path("open", path, &error))?;
    let image = sealed(app, file, None, true, vec![path.to_owned()]);
    let image = image.map_err(|error| Failure::at_path("read", path, &error))?;
    Ok(Image { manifest: absolute(path), ..image })
}

fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

/// Writes the bundle of an app to a file without a name.
fn packed(packing: &Packing<'_>, folder: Option<String>, watched: Vec<PathBuf>) -> Result<Image> {
    let failed = |error: &dyn std::fmt::Display| Failure::own(format!("cannot pack the app: {error}"));
    let mut file = tempfile::tempfile().map_err(|error| failed(&error))?;
    packing.write_quickly(&mut file).map_err(|error| failed(&error))?;
    sealed(packing.app.clone(), file, folder, false, watched).map_err(|error| failed(&error))
}

fn sealed(
    app: App,
    mut file: File,
    folder: Option<String>,
    foreign: bool,
    watched: Vec<PathBuf>,
) -> std::io::Result<Image> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let bytes = hasher.update_reader(&file)?.count();
    let hash = Hash(*hasher.finalize().as_bytes());
    Ok(Image { app, hash, bytes, file, folder, manifest: None, foreign, watched })
}

impl Image {
    /// Sends the bundle, unless the daemon has it.
    pub(crate) fn upload(&self, client: &Client) -> Result<()> {
        let path = format!("/v1/blobs/{}", self.hash);
        if client.has(&path)? { Ok(()) } else { client.put_file(&path, self.file()?, self.bytes) }
    }

    /// The file, from its start.
    fn file(&self) -> Result<File> {
        let mut file = self.file.try_clone().map_err(Failure::own)?;
        file.seek(SeekFrom::Start(0)).map_err(Failure::own)?;
        Ok(file)
    }
}
