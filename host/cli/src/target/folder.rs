//! A manifest that is run, checked or packed in its folder.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use qyv_spec::app::{FILES_MAX, PackagedFile};
use qyv_spec::manifest::RelativePath;
use qyv_spec::yaml::MANIFEST_BYTES_MAX;
use qyv_spec::{App, Manifest};
use qyv_vfs::{Access, FileType, Node, OpenOptions, PackedFiles, Vfs};
use qyvol_fs::{DiskFs, DiskFsOptions, Folder};

use super::{Origin, Program, Target, packaged, read_bounded, resolve};
use crate::failure::{Failure, Result};

/// The most entries of a folder that are looked at for files to package.
const ENTRIES_MAX: usize = 1_000_000;
/// How deep folders are looked into.
const DEPTH_MAX: usize = 64;

/// A manifest with the files of its folder.
pub(crate) struct Project {
    pub(crate) app: App,
    pub(crate) manifest: Manifest,
    folder: Folder,
    /// The packaged files, in the order of `app.files`.
    pub(crate) files: Vec<ProjectFile>,
}

/// One packaged file on this host.
#[derive(Clone)]
pub(crate) struct ProjectFile {
    pub(crate) path: RelativePath,
    /// The file itself, with every link resolved, within the folder.
    pub(crate) place: PathBuf,
    /// The same, beneath the folder.
    beneath: String,
    /// Which file it was when it was chosen.
    inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
}

impl Project {
    /// Where the manifest's folder is now, with every link resolved.
    pub(crate) fn place(&self) -> Result<PathBuf> {
        self.folder
            .path()
            .map_err(|error| Failure::own(format!("cannot find the manifest's folder: {error}")))
    }
}

/// The one manifest of a folder.
pub(crate) fn the_manifest(folder: &Path) -> Result<PathBuf> {
    let found = manifests(folder)?;
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::not_found(format!("`{}` holds no `.qyv` manifest", folder.display()))
            .hint("`qyvol new NAME` makes an app with one")),
        many => {
            let names: Vec<_> = many.iter().map(|path| format!("`{}`", path.display())).collect();
            Err(Failure::refused(format!("`{}` holds {} manifests", folder.display(), many.len()))
                .hint(format!("name one of {}", names.join(", "))))
        }
    }
}

/// The manifests of a folder, sorted by name.
pub(crate) fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::at_path("open", folder, &error))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "qyv") && path.is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// Reads and checks the manifest at `path`.
pub(crate) fn read_manifest(path: &Path) -> Result<Manifest> {
    let bytes = read_bounded(path, MANIFEST_BYTES_MAX as u64, "a manifest")?;
    let name = path.display().to_string();
    Manifest::from_yaml_bytes(&bytes, &name)
        .map_err(|errors| Failure::refused(crate::output::manifest_errors(&errors)))
}

/// Reads the manifest at `path` and the files that it packages.
pub(crate) fn project(path: &Path) -> Result<Project> {
    let manifest = read_manifest(path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let opened = Folder::open(parent).map_err(|error| Failure::at_path("open", parent, &error))?;
    let folder = opened.path().map_err(|error| Failure::at_path("find", parent, &error))?;
    let selection = manifest.selection();
    let mut files = Vec::new();
    let mut visit = |relative: RelativePath, place: PathBuf, metadata: &fs::Metadata| {
        if selection.takes(&relative) {
            if files.len() >= FILES_MAX {
                return Err(Failure::refused(format!("more than {FILES_MAX} files would be packaged"))
                    .hint("narrow `files` in the manifest"));
            }
            let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
            let nanoseconds = u64::try_from(metadata.mtime_nsec()).unwrap_or(0);
            let modified = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
            let Some(beneath) = place.strip_prefix(&folder).ok().and_then(Path::to_str).map(str::to_owned)
            else {
                return Err(Failure::refused(format!("`{}` is not UTF-8", place.display())));
            };
            let (inode, size) = (metadata.ino(), metadata.len());
            files.push(ProjectFile { path: relative, place, beneath, inode, size, modified });
        }
        Ok(())
    };
    if selection.patterns.is_empty() {
        // Nothing else is taken, so that nothing else of the folder is looked at: it may hold a thousand other apps.
        for path in selection.named.iter().chain([&selection.entrypoint]) {
            visit_one(&folder, path, &mut visit)?;
        }
    } else {
        walk(&folder, &folder, "", 0, &mut 0, &mut visit)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let described = files.iter().map(describe).collect::<Result<Vec<_>>>()?;
    let app = resolve(&manifest, described, path)?;
    Ok(Project { app, manifest, folder: opened, files })
}

/// Opens an app whose manifest is at `path`.
pub(super) fn open(path: &Path) -> Result<Target> {
    let project = project(path)?;
    let entry = project
        .app
        .files
        .iter()
        .zip(&project.files)
        .find(|(file, _)| file.path == project.app.entrypoint)
        .ok_or_else(|| Failure::not_found(format!("`{}` does not exist", project.app.entrypoint)))?;
    let (hash, place, size) = (entry.0.blake3.0, entry.1.place.clone(), entry.1.size);
    let text = project.app.entrypoint.ending() == "wat";
    let (hash, program) = if text {
        let bytes = super::module::assemble(&place, &read_bounded(&place, size, "a module")?)?;
        let hash = qyvol_engine::hash(&bytes);
        (hash, Program::new(hash, move || Ok(bytes.clone())))
    } else {
        let most = qyvol_engine::compile::MODULE_BYTES_MAX;
        (hash, Program::new(hash, move || read_bounded(&place, most, "a module")))
    };
    debug_assert_eq!(program.hash, hash);
    let files = FolderFiles::new(&project.folder, project.files)?;
    Ok(Target { app: project.app, origin: Origin::Folder(project.folder), files: Arc::new(files), program })
}

fn describe(file: &ProjectFile) -> Result<PackagedFile> {
    let fail = |error: std::io::Error| Failure::at_path("read", &file.place, &error);
    let mut hasher = blake3::Hasher::new();
    let opened = File::open(&file.place).map_err(fail)?;
    let read = hasher.update_reader(opened.take(file.size)).map_err(fail)?.count();
    if read != file.size {
        return Err(Failure::own(format!("`{}` changed while it was read", file.place.display())));
    }
    packaged(file.path.as_str(), file.size, *hasher.finalize().as_bytes())
}

/// Visits the file at `path` beneath `root`, when [`walk`] would: no part of the path is hidden, no folder on it is a link.
fn visit_one(
    root: &Path,
    path: &RelativePath,
    visit: &mut dyn FnMut(RelativePath, PathBuf, &fs::Metadata) -> Result<()>,
) -> Result<()> {
    let mut folder = root.to_owned();
    let (folders, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        folder.push(part);
        if part.starts_with('.') || !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
    }
    let found = folder.join(name).canonicalize().ok().filter(|place| place.starts_with(root));
    match found.and_then(|place| Some((fs::metadata(&place).ok()?, place))) {
        Some((metadata, place)) if metadata.is_file() && !name.starts_with('.') => {
            visit(path.clone(), place, &metadata)
        }
        _ => Ok(()),
    }
}

/// Visits the regular files beneath `folder`. A link is followed when what it names lies in `root`.
fn walk(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    looked_at: &mut usize,
    visit: &mut dyn FnMut(RelativePath, PathBuf, &fs::Metadata) -> Result<()>,
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Failure::refused(format!("`{}` lies deeper than {DEPTH_MAX} folders", folder.display())));
    }
    let entries = fs::read_dir(folder).map_err(|error| Failure::at_path("open", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::at_path("list", folder, &error))?;
        *looked_at += 1;
        if *looked_at > ENTRIES_MAX {
            return Err(Failure::refused(format!(
                "`{}` holds more than {ENTRIES_MAX} files",
                root.display()
            )));
        }
        // Hidden files are never packaged, and names that are no UTF-8 cannot be named by a guest.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        // The folder has no link in its path: only the entry itself may be one.
        let kind = entry.file_type();
        let place = match &kind {
            Ok(kind) if kind.is_file() || kind.is_dir() => folder.join(&name),
            _ => match entry.path().canonicalize() {
                Ok(place) => place,
                Err(_) => continue,
            },
        };
        if !place.starts_with(root) {
            continue;
        }
        let Ok(metadata) = fs::metadata(&place) else { continue };
        let relative = format!("{prefix}{name}");
        if metadata.is_dir() {
            // A link to a folder could lead round in a circle.
            if kind.is_ok_and(|kind| kind.is_dir()) {
                walk(root, &place, &format!("{relative}/"), depth + 1, looked_at, visit)?;
            }
        } else if metadata.is_file()
            && let Ok(relative) = relative.parse()
        {
            visit(relative, place, &metadata)?;
        }
    }
    Ok(())
}

/// The packaged files, read where they lie.
///
/// They are opened beneath the folder by whoever runs the app, while the app may already change folders within it. So no
/// path leads out of the folder, and what is opened must be the very file that was chosen.
struct FolderFiles {
    files: Vec<ProjectFile>,
    folder: Mutex<OpenFolder>,
}

struct OpenFolder {
    vfs: Vfs,
    root: Node,
    /// The file that was read last: programs read one file from its start to its end.
    last: Option<(usize, Node)>,
}

impl FolderFiles {
    fn new(folder: &Folder, files: Vec<ProjectFile>) -> Result<Self> {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::own(format!("cannot serve the manifest's folder: {error}"))
        };
        let disk = folder
            .try_clone()
            .and_then(|folder| DiskFs::new(folder, DiskFsOptions::default()))
            .map_err(|error| fail(&error))?;
        let mut vfs = Vfs::new();
        let root = vfs
            .mount("/", Box::new(disk), Access::ReadOnly)
            .and_then(|()| vfs.open_root("/"))
            .map_err(|error| fail(&error))?;
        Ok(Self { files, folder: Mutex::new(OpenFolder { vfs, root, last: None }) })
    }
}

impl OpenFolder {
    fn open(&mut self, index: usize, file: &ProjectFile) -> qyv_vfs::Result<Node> {
        if let Some((number, node)) = self.last
            && number == index
        {
            return Ok(node);
        }
        let options = OpenOptions { read: true, ..OpenOptions::default() };
        let (node, kind) = self.vfs.open(self.root, &file.beneath, false, &options)?;
        let same = self.vfs.attributes(node).is_ok_and(|now| now.inode == file.inode);
        if kind != FileType::Regular || !same {
            self.vfs.close(node);
            return Err(qyv_vfs::Error::IO);
        }
        if let Some((_, before)) = self.last.replace((index, node)) {
            self.vfs.close(before);
        }
        Ok(node)
    }
}

impl PackedFiles for FolderFiles {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn file(&self, index: usize) -> qyv_vfs::PackedFile<'_> {
        let file = &self.files[index];
        qyv_vfs::PackedFile { path: file.path.as_str(), size: file.size, modified: file.modified }
    }

    fn read_at(&self, index: usize, offset: u64, into: &mut [u8]) -> qyv_vfs::Result<usize> {
        let file = self.files.get(index).ok_or(qyv_vfs::Error::IO)?;
        // The size is the one that was announced, even if the file has grown since.
        let left = usize::try_from(file.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = into.len().min(left);
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let node = folder.open(index, file).map_err(|_| qyv_vfs::Error::IO)?;
        folder.vfs.read_at(node, offset, &mut [&mut into[..want]]).map_err(|_| qyv_vfs::Error::IO)
    }
}
