//! Bundles on their way in, and those that are kept.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures_core::Stream as _;
use qyv_spec::app::Hash;
use qyv_spec::bundle::Bundle;
use qyvol_protocol::api::{Image, Pruned};
use qyvold_store::{Collected, Intake};
use tokio::sync::mpsc;

use super::{Context, blocking};
use crate::candidate::BlobSource;
use crate::clock::wall_ms;
use crate::fault::{Fault, Kind};
use crate::overseer::Opened;

/// The most bytes of a bundle.
pub(super) const BUNDLE_BYTES_MAX: u64 = 16 << 30;

/// Parts of a bundle that wait for the disk.
const PARTS: usize = 8;

fn hash(text: &str) -> Result<Hash, Fault> {
    text.parse().map_err(|_| Fault::invalid(format!("`{text}` is not a BLAKE3 in hexadecimal digits")))
}

/// Whether a bundle is there. Begins its time of grace anew, so that it is still there at the deploy.
pub(crate) async fn head(
    State(context): State<Context>,
    Path(text): Path<String>,
) -> Result<StatusCode, Fault> {
    let (hash, opened) = (hash(&text)?, context.opened);
    let known = blocking(move || Ok(opened.blobs.renew(&opened.store, &hash, wall_ms())?)).await?;
    Ok(if known { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

/// Takes a bundle in. What is no whole bundle of that hash is not kept.
pub(crate) async fn put(
    State(context): State<Context>,
    Path(text): Path<String>,
    body: Body,
) -> Result<StatusCode, Fault> {
    let (hash, opened) = (hash(&text)?, context.opened);
    let known = {
        let opened = opened.clone();
        blocking(move || Ok(opened.blobs.renew(&opened.store, &hash, wall_ms())?)).await?
    };
    if known {
        return Ok(StatusCode::OK);
    }
    let (parts, received) = mpsc::channel(PARTS);
    let taken = tokio::task::spawn_blocking(move || take(&opened, hash, received));
    let mut stream = Box::pin(body.into_data_stream());
    // Ends early when the disk has refused something: what is said of it is in `taken`.
    while let Some(part) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let broken = part.is_err();
        if parts.send(part.ok()).await.is_err() || broken {
            break;
        }
    }
    drop(parts);
    taken.await.map_err(Fault::internal)??;
    Ok(StatusCode::CREATED)
}

/// Writes the parts; `None` among them is a connection that broke.
fn take(
    opened: &Opened,
    hash: Hash,
    mut parts: mpsc::Receiver<Option<axum::body::Bytes>>,
) -> Result<(), Fault> {
    let mut intake: Intake = opened.blobs.begin(hash, BUNDLE_BYTES_MAX)?;
    while let Some(part) = parts.blocking_recv() {
        let part = part.ok_or_else(|| Fault::invalid("the upload was cut off").hint("upload it again"))?;
        intake.write(&part)?;
    }
    let app = check_bundle(&intake)?;
    Ok(intake.finish(&opened.store, &app, wall_ms())?)
}

/// Refuses what is no whole bundle; tells for people what is in it.
pub(super) fn check_bundle(intake: &Intake) -> Result<String, Fault> {
    let read = || -> qyv_spec::bundle::Result<String> {
        let bundle = Bundle::open(BlobSource(intake.file()))?;
        let app = bundle.app()?;
        bundle.check_stored()?;
        Ok(format!("{} {}", app.name, app.version))
    };
    read().map_err(|error| {
        Fault::invalid(format!("this is no whole bundle: {error}")).hint("make it anew with `qyvol pack`")
    })
}

pub(crate) async fn images(State(context): State<Context>) -> Result<Json<Vec<Image>>, Fault> {
    let opened = context.opened;
    let list = blocking(move || {
        let mut users = std::collections::BTreeMap::<Hash, Vec<String>>::new();
        for app in opened.store.apps()? {
            for (_, revision) in opened.store.revisions(&app.name)? {
                let of = users.entry(revision.request.bundle).or_default();
                if of.last().map(String::as_str) != Some(app.name.as_str()) {
                    of.push(app.name.to_string());
                }
            }
        }
        let image = |(hash, blob): (Hash, qyvold_store::BlobRecord)| Image {
            image: hash,
            size: blob.size,
            app: blob.app,
            stored: blob.stored,
            used_by: users.remove(&hash).unwrap_or_default(),
        };
        Ok(opened.store.blobs()?.into_iter().map(image).collect())
    });
    list.await.map(Json)
}

/// Removes one bundle that nothing needs.
pub(crate) async fn remove(
    State(context): State<Context>,
    Path(text): Path<String>,
) -> Result<Json<Pruned>, Fault> {
    let (hash, opened) = (hash(&text)?, context.opened);
    blocking(move || {
        if let Some(Collected { blobs, bytes }) = opened.blobs.remove(&opened.store, &hash)? {
            return Ok(Json(Pruned { images: blobs, bytes }));
        }
        let mut users = Vec::new();
        for app in opened.store.apps()? {
            if opened.store.revisions(&app.name)?.iter().any(|(_, kept)| kept.request.bundle == hash) {
                users.push(app.name.to_string());
            }
        }
        if users.is_empty() {
            return Err(Fault::new(Kind::Conflict, format!("the bundle `{text}` is being deployed"))
                .hint("try again in a moment"));
        }
        Err(Fault::new(Kind::Conflict, format!("the bundle `{text}` is used by `{}`", users.join("`, `")))
            .hint("now, or by an earlier revision that is kept; `qyvol rm` the app, and it is free"))
    })
    .await
}

pub(crate) async fn prune(State(context): State<Context>) -> Result<Json<Pruned>, Fault> {
    let opened = context.opened;
    let Collected { blobs, bytes } =
        blocking(move || Ok(opened.blobs.collect(&opened.store, wall_ms(), 0)?)).await?;
    Ok(Json(Pruned { images: blobs, bytes }))
}
