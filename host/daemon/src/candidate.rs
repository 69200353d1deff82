//! A bundle that somebody wants to be deployed, read and resolved, before anything is decided.

use std::path::Path;

use qyv_spec::App;
use qyv_spec::app::Hash;
use qyv_spec::bundle::{Bundle, Source as BundleSource, TrustStore, Verdict, verify};
use qyv_spec::manifest::{Kind, Mode, Restart, Source};
use qyvol_protocol::api::DeployApp;
use qyvold_store::{Blobs, DiskFile};

use crate::fault::Fault;

/// What was asked for, with what the bundle says.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The app, with the life cycle that was asked for.
    pub(crate) app: App,
    /// The BLAKE3 of its program.
    pub(crate) module: Hash,
    pub(crate) verdict: Verdict,
    /// The request; every path of the host in it is absolute and without links.
    pub(crate) request: DeployApp,
    /// Where the folders beside an in-place manifest are, and whether they may be changed.
    pub(crate) beside: Vec<(String, Mode)>,
}

/// Bytes of a blob, for the reader of bundles.
pub(crate) struct BlobSource<'a>(pub(crate) &'a dyn DiskFile);

impl BundleSource for BlobSource<'_> {
    fn len(&self) -> Result<u64, String> {
        self.0.len().map_err(|error| error.to_string())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        self.0.read_at(offset, buffer).map_err(|error| error.to_string())
    }
}

/// Reads what `request` names. Opens files of the host and may wait for them.
pub(crate) fn read(blobs: &Blobs, trust: &TrustStore, request: DeployApp) -> Result<Candidate, Fault> {
    let file = blobs.open_blob(&request.bundle)?;
    let unusable = |error: &dyn std::fmt::Display| {
        Fault::refused(format!("bundle `{}` cannot be used: {error}", request.bundle))
    };
    let bundle = Bundle::open(BlobSource(&*file)).map_err(|error| unusable(&error))?;
    let mut app = bundle.app().map_err(|error| unusable(&error))?;
    bundle.entrypoint_module(&app).map_err(|error| unusable(&error))?;
    let program = app.files.iter().find(|file| file.path == app.entrypoint);
    let module = program.map(|file| file.blake3).ok_or_else(|| unusable(&"it does not name its program"))?;
    let verdict = verify(&bundle, app.name.as_str(), trust);
    if let Some(kind) = request.kind {
        set_kind(&mut app, kind);
    }
    let (request, beside) = resolve(request, &app)?;
    Ok(Candidate { app, module, verdict, request, beside })
}

/// Gives an app another life cycle. The restart that its own one brings by default goes with it.
fn set_kind(app: &mut App, kind: Kind) {
    let default = |kind| match kind {
        Kind::Service | Kind::Http | Kind::Web => Restart::OnFailure,
        Kind::Command | Kind::Gui => Restart::Never,
    };
    if app.restart == default(app.kind) {
        app.restart = default(kind);
    }
    app.kind = kind;
}

fn resolve(mut request: DeployApp, app: &App) -> Result<(DeployApp, Vec<(String, Mode)>), Fault> {
    for directory in &mut request.directories {
        directory.host = folder(&directory.host)?;
    }
    for bind in &mut request.grants.bind {
        bind.path = folder(&bind.path)?;
    }
    let mut beside = Vec::new();
    if let Some(root) = &mut request.folder {
        *root = folder(root)?;
        for mount in &app.fs {
            let Some(Source::Folder(path)) = &mount.source else { continue };
            let place = folder(&format!("{root}/{path}"))?;
            if !Path::new(&place).starts_with(&*root) {
                return Err(Fault::refused(format!("`{path}` leads out of the manifest's folder"))
                    .hint("declare a slot in its place and bind it with `--bind`"));
            }
            beside.push((place, mount.mode));
        }
    }
    Ok((request, beside))
}

/// Where a folder of the host is.
fn folder(path: &str) -> Result<String, Fault> {
    if !path.starts_with('/') {
        return Err(Fault::invalid(format!("`{path}` is not an absolute path")));
    }
    let failed = |error: &dyn std::fmt::Display| Fault::refused(format!("cannot show `{path}`: {error}"));
    let place = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
    if !place.is_dir() {
        return Err(failed(&"it is not a folder"));
    }
    place.into_os_string().into_string().map_err(|_| failed(&"its name is not UTF-8"))
}
