//! Files of an app, in and out: its packaged files, and its volume at `/data`. Nothing else that it may see is its own.

use std::fs::File;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use qyv_spec::bundle::Bundle;
use qyv_vfs::{Attributes, Budget, FileType, Vfs};
use qyvol_fs::Folder;
use qyvol_launch::archive::{self, Copied, CopyError, beneath_root, look};
use qyvol_launch::{BundleFiles, Tree};
use qyvol_protocol::api::FileInfo;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Context, blocking, input, transfer, volumes};
use crate::fault::{Fault, Kind};
use crate::overseer::{FilesOf, Overseer};

/// Memory for the tables of a tree: the packaged files are read from the bundle, and none are in memory.
const TREE_BYTES_MAX: u64 = 64 << 20;

/// Where an app finds its volume.
const VOLUME: &str = "data";

/// How many things that were left out are named.
const SKIPPED_SHOWN: usize = 20;

/// Which file, of which replica.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    path: String,
    #[serde(default)]
    slot: u32,
}

/// What a path names.
pub(crate) async fn stat(
    State(context): State<Context>,
    Path(app): Path<String>,
    uri: Uri,
) -> Result<Json<FileInfo>, Fault> {
    let (path, files) = find(&context, &app, &uri).await?;
    // It is there from the first start on, and copies can come before.
    if path == VOLUME && files.volume.as_ref().is_some_and(|volume| !volume.is_dir()) {
        return Ok(Json(FileInfo { kind: "folder".to_owned(), size: 0 }));
    }
    let about = blocking(move || found(&mut tree(&files)?, &app, &path, &files)).await?;
    let kind = match about.kind {
        FileType::Regular => "file",
        FileType::Directory => "folder",
        FileType::Symlink => "link",
    };
    Ok(Json(FileInfo { kind: kind.to_owned(), size: about.size }))
}

/// Streams a file, or a folder with all that is in it, as a tar archive.
pub(crate) async fn get(
    State(context): State<Context>,
    Path(app): Path<String>,
    uri: Uri,
) -> Result<Response, Fault> {
    let (path, files) = find(&context, &app, &uri).await?;
    let permit = context.stream()?;
    let (mut writer, body) = transfer::written(permit);
    let (found, is_found) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let opened = tree(&files).and_then(|mut vfs| {
            self::found(&mut vfs, &app, &path, &files)?;
            Ok(vfs)
        });
        let (answer, vfs) = match opened {
            Ok(vfs) => (Ok(()), Some(vfs)),
            Err(fault) => (Err(fault), None),
        };
        let waits = found.send(answer).is_ok();
        let Some(mut vfs) = vfs.filter(|_| waits) else { return };
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("root");
        match archive::pack(&mut vfs, &path, name, &mut writer) {
            Ok(copied) => writer.end(&summary(&copied)),
            // The body breaks off, and the log tells why.
            Err(error) => eprintln!("qyvold: a copy of `{path}` broke off: {error}"),
        }
    });
    is_found.await.map_err(Fault::internal)??;
    Ok(volumes::archive(body))
}

/// Puts what is in a tar archive into a folder of the volume.
pub(crate) async fn put(
    State(context): State<Context>,
    Path(app): Path<String>,
    uri: Uri,
    body: Body,
) -> Result<Json<serde_json::Value>, Fault> {
    let (path, files) = find(&context, &app, &uri).await?;
    if path.split('/').next() != Some(VOLUME) {
        return Err(Fault::refused(format!("`/{path}` is packaged, and cannot be changed"))
            .hint("only the volume, at `/data`, is written; a change of packaged files is a new revision"));
    }
    let Some(volume) = files.volume.clone() else { return Err(no_volume(&app, Kind::Refused)) };
    let identity = volume.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let copied = transfer::read(body, move |archive| -> Result<Copied, Fault> {
        context.volumes.create(&identity)?;
        let mut vfs = tree(&files)?;
        if found(&mut vfs, &app, &path, &files)?.kind != FileType::Directory {
            return Err(Fault::new(Kind::Conflict, format!("`/{path}` is no folder")));
        }
        let copied = archive::unpack(&mut vfs, &path, None, archive);
        // What came before a failure stays, and is as durable.
        let synced = File::open(&volume).and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
        let copied = copied?;
        synced.map_err(Fault::internal)?;
        Ok(copied)
    });
    Ok(Json(summary(&copied.await??)))
}

/// What is at a path of an app; when there is nothing, why.
fn found(vfs: &mut Vfs, app: &str, path: &str, files: &FilesOf) -> Result<Attributes, Fault> {
    look(vfs, path).map_err(|error| {
        if !matches!(error, CopyError::Tree { source: qyv_vfs::Error::NOENT, .. }) {
            return error.into();
        }
        let in_volume = path.split('/').next() == Some(VOLUME);
        match &files.volume {
            None if in_volume => no_volume(app, Kind::NotFound),
            Some(volume) if in_volume && !volume.is_dir() => {
                Fault::new(Kind::NotFound, format!("`{app}` has stored nothing yet: there is no `/{path}`"))
                    .hint("its volume is made when it first starts, or something is copied to it")
            }
            _ => Fault::new(Kind::NotFound, format!("`{app}` has no `/{path}`"))
                .hint(format!("`qyvol cp {app}:/ - | tar t` lists what it has")),
        }
    })
}

fn no_volume(app: &str, kind: Kind) -> Fault {
    Fault::new(kind, format!("`{app}` has no volume, and so no `/{VOLUME}`"))
        .hint("`permissions: { fs: read-write }` in its manifest gives it one, from its next deploy on")
}

fn summary(copied: &Copied) -> serde_json::Value {
    let shown: Vec<&String> = copied.skipped.iter().take(SKIPPED_SHOWN).collect();
    json!({ "files": copied.files, "bytes": copied.bytes, "left_out": copied.skipped.len(), "skipped": shown })
}

/// The path beneath the root of the app's files, and where those are.
async fn find(context: &Context, app: &str, uri: &Uri) -> Result<(String, FilesOf), Fault> {
    let Which { path, slot } = input::query(uri)?;
    let name = input::app(app)?;
    let path = beneath_root(&path)
        .ok_or_else(|| Fault::invalid(format!("`{path}` is no absolute path without `..`")))?;
    let asked = path.clone();
    let job = move |overseer: &mut Overseer| overseer.files_of(&name, slot, &asked);
    Ok((path, context.handle.ask(job).await??))
}

/// The files of an app as it sees them: what is packaged, and the volume, held to its limits.
fn tree(files: &FilesOf) -> Result<Vfs, Fault> {
    let failed =
        |error: &dyn std::fmt::Display| Fault::internal(format!("cannot open the app's files: {error}"));
    let bundle = File::open(&files.bundle).map_err(|error| failed(&error))?;
    let bundle = Bundle::open(bundle).map_err(|error| failed(&error))?;
    let memory = Budget::new(TREE_BYTES_MAX);
    let mut tree = Tree::new(&files.limits, &memory);
    tree.packaged(Arc::new(BundleFiles::new(Arc::new(bundle))), None).map_err(|error| failed(&error))?;
    if let Some(path) = files.volume.as_ref().filter(|path| path.is_dir()) {
        let folder = Folder::open(path).map_err(|error| failed(&error))?;
        tree.volume("/data", &folder, path).map_err(|error| failed(&error))?;
    }
    Ok(tree.build().map_err(|error| failed(&error))?.vfs)
}

impl From<CopyError> for Fault {
    fn from(error: CopyError) -> Self {
        use qyv_vfs::Error as E;
        let kind = match &error {
            CopyError::Tree { source: E::NOENT, .. } => Kind::NotFound,
            CopyError::Tree { source: E::NOSPC | E::FBIG, .. } => Kind::TooLarge,
            CopyError::Tree { .. } => Kind::Refused,
            CopyError::Refused { .. } | CopyError::Stream(_) => Kind::Invalid,
        };
        Self::new(kind, error)
    }
}
