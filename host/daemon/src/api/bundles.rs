//! A deployment that comes with its bundles: an archive of the format of tar, first the request, then the bundles.
//!
//! They are written as they come, become safe together, and are known to the database by the transaction that deploys them.

use std::collections::BTreeSet;
use std::io::Read;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use qyv_spec::app::Hash;
use qyvol_protocol::api::{BODY_BYTES_MAX, DEPLOY_REQUEST_FILE, DeployRequest, Deployed};
use qyvold_store::Arrived;
use tar::Archive;

use super::blobs::{BUNDLE_BYTES_MAX, check_bundle};
use super::{Context, apps, transfer};
use crate::clock::wall_ms;
use crate::fault::{Fault, Kind};
use crate::overseer::Opened;

/// How much of a bundle is written at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) async fn deploy(State(context): State<Context>, body: Body) -> Result<Json<Deployed>, Fault> {
    let opened = context.opened.clone();
    let (request, arrived) = transfer::read(body, move |input| take(&opened, input)).await??;
    apps::deploy_request(context, request, Some(arrived)).await
}

/// Takes in the bundles that are not stored yet.
fn take(opened: &Opened, input: &mut impl Read) -> Result<(DeployRequest, Arrived), Fault> {
    let cut = |error: std::io::Error| {
        Fault::invalid(format!("the archive of the deployment cannot be read: {error}")).hint("send it again")
    };
    let mut archive = Archive::new(input);
    // What formats of tar add for long names and the like has no place here, and would have no bound.
    let mut entries = archive.entries().map_err(cut)?.raw(true);
    let first = entries.next().ok_or_else(|| Fault::invalid("the archive of the deployment is empty"))?;
    let request = request(first.map_err(cut)?)?;
    let mut wanted: BTreeSet<Hash> = request.apps.iter().map(|app| app.bundle).collect();
    let mut batch = opened.blobs.batch();
    for entry in entries {
        let mut entry = entry.map_err(cut)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let hash: Option<Hash> = name.parse().ok().filter(|_| entry.header().entry_type().is_file());
        let hash = hash.filter(|hash| wanted.remove(hash)).ok_or_else(|| {
            Fault::invalid(format!("`{name}` is no bundle of the deployment, or is there twice"))
                .hint("each file after the first is called by the BLAKE3 of a bundle that the request names")
        })?;
        if opened.blobs.stored(&opened.store, &hash)?.is_some() {
            continue;
        }
        let mut intake = opened.blobs.begin(hash, BUNDLE_BYTES_MAX)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match entry.read(&mut piece).map_err(cut)? {
                0 => break,
                count => intake.write(&piece[..count])?,
            }
        }
        let app = check_bundle(&intake)?;
        batch.add(intake, &app)?;
    }
    Ok((request, batch.arrive(wall_ms())?))
}

fn request(mut entry: tar::Entry<'_, impl Read>) -> Result<DeployRequest, Fault> {
    if &*entry.path_bytes() != DEPLOY_REQUEST_FILE.as_bytes() {
        return Err(Fault::invalid(format!("the archive does not begin with `{DEPLOY_REQUEST_FILE}`")));
    }
    if entry.size() > BODY_BYTES_MAX as u64 {
        let message = format!("`{DEPLOY_REQUEST_FILE}` is larger than {BODY_BYTES_MAX} bytes");
        return Err(Fault::new(Kind::TooLarge, message));
    }
    let mut json = Vec::new();
    entry.read_to_end(&mut json).map_err(Fault::invalid)?;
    serde_json::from_slice(&json)
        .map_err(|error| Fault::invalid(format!("`{DEPLOY_REQUEST_FILE}` is not what it should be: {error}")))
}
