//! Apps: deployed, looked at, started, stopped, removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Uri;
use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyvol_protocol::api::{
    AppDetail, AppSummary, DEPLOY_APPS_MAX, DeployApp, DeployRequest, Deployed, Rollback, Scale,
};
use qyvold_store::Arrived;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::{Context, blocking, input};
use crate::candidate;
use crate::fault::{Fault, Kind};
use crate::follow;
use crate::overseer::{Opened, Overseer};
use crate::sources::Sources;

pub(crate) async fn deploy(State(context): State<Context>, body: Body) -> Result<Json<Deployed>, Fault> {
    let request: DeployRequest = input::json(body).await?;
    deploy_request(context, request, None).await
}

/// Deploys apps, perhaps of bundles that have just arrived. On its own: a client that goes away does not leave it half done.
pub(super) async fn deploy_request(
    context: Context,
    request: DeployRequest,
    arrived: Option<Arrived>,
) -> Result<Json<Deployed>, Fault> {
    if request.apps.is_empty() || request.apps.len() > DEPLOY_APPS_MAX {
        return Err(Fault::invalid(format!("a deployment has 1 to {DEPLOY_APPS_MAX} apps")));
    }
    let (apps, arrived) = (request.apps, arrived.map(Arc::new));
    let deployment = tokio::spawn(async move {
        let deployed = deploy_all(&context, apps, request.force, arrived.clone()).await;
        if let (Err(_), Some(arrived)) = (&deployed, arrived) {
            // Kept for a while: what was asked may be asked again, with more grants. That they are not is no other failure.
            let store = Arc::clone(&context.opened.store);
            let _ = blocking(move || Ok(store.write(|change| arrived.keep(change))?)).await;
        }
        deployed
    });
    deployment.await.map_err(Fault::internal)?.map(Json)
}

async fn deploy_all(
    context: &Context,
    apps: Vec<DeployApp>,
    force: bool,
    arrived: Option<Arc<Arrived>>,
) -> Result<Deployed, Fault> {
    let (opened, here) = (context.opened.clone(), arrived.clone());
    let read = move || {
        let missing = missing(&opened, &apps, here.as_deref())?;
        if !missing.is_empty() {
            let message = format!("{} of the deployment's bundles are not stored", missing.len());
            let fault = Fault::new(Kind::NotFound, message);
            return Err(fault.hint("send them along: `/v1/deploy/bundles`").missing(missing));
        }
        let sources = Sources::read(&opened.options)?;
        let read = |mut request: DeployApp| {
            let file = request.manifest.take();
            request.manifest = file.and_then(|file| follow::file_within(&opened.options.manifests, &file));
            candidate::read(&opened.blobs, &sources.trust, request)
        };
        let candidates = apps.into_iter().map(read).collect::<Result<Vec<_>, Fault>>()?;
        Ok((candidates, sources))
    };
    let (candidates, sources) = blocking(read).await?;
    let deploy =
        move |overseer: &mut Overseer| overseer.deploy(candidates, force, sources, arrived.as_deref());
    context.handle.ask(deploy).await?
}

/// The bundles that are neither stored nor have arrived.
fn missing(opened: &Opened, apps: &[DeployApp], arrived: Option<&Arrived>) -> Result<Vec<Hash>, Fault> {
    let named: BTreeSet<Hash> = apps.iter().map(|app| app.bundle).collect();
    let mut missing = Vec::new();
    for hash in named {
        let here = arrived.is_some_and(|arrived| arrived.has(&hash));
        if !here && opened.blobs.stored(&opened.store, &hash)?.is_none() {
            missing.push(hash);
        }
    }
    Ok(missing)
}

pub(crate) async fn list(State(context): State<Context>) -> Result<Json<Vec<AppSummary>>, Fault> {
    context.handle.ask(|overseer| overseer.summaries()).await.map(Json)
}

pub(crate) async fn detail(
    State(context): State<Context>,
    Path(app): Path<String>,
) -> Result<Json<AppDetail>, Fault> {
    let name = input::app(&app)?;
    context.handle.ask(move |overseer| overseer.detail(&name)).await?.map(Json)
}

/// Does something to an app and answers with what it is then.
async fn act(
    context: &Context,
    app: &str,
    act: impl FnOnce(&mut Overseer, &Name) -> Result<(), Fault> + Send + 'static,
) -> Result<Json<AppDetail>, Fault> {
    let name = input::app(app)?;
    let job = move |overseer: &mut Overseer| {
        act(overseer, &name)?;
        overseer.detail(&name)
    };
    context.handle.ask(job).await?.map(Json)
}

pub(crate) async fn start(
    State(context): State<Context>,
    Path(app): Path<String>,
) -> Result<Json<AppDetail>, Fault> {
    act(&context, &app, Overseer::start_app).await
}

pub(crate) async fn stop(
    State(context): State<Context>,
    Path(app): Path<String>,
) -> Result<Json<AppDetail>, Fault> {
    act(&context, &app, Overseer::stop_app).await
}

pub(crate) async fn restart(
    State(context): State<Context>,
    Path(app): Path<String>,
) -> Result<Json<AppDetail>, Fault> {
    act(&context, &app, Overseer::restart_app).await
}

pub(crate) async fn kill(
    State(context): State<Context>,
    Path(app): Path<String>,
) -> Result<Json<AppDetail>, Fault> {
    act(&context, &app, Overseer::kill_app).await
}

pub(crate) async fn scale(
    State(context): State<Context>,
    Path(app): Path<String>,
    body: Body,
) -> Result<Json<AppDetail>, Fault> {
    let Scale { replicas } = input::json(body).await?;
    act(&context, &app, move |overseer, name| overseer.scale_app(name, replicas)).await
}

/// Deploys an earlier revision anew: it gets a number of its own, so that what comes after is always higher.
pub(crate) async fn rollback(
    State(context): State<Context>,
    Path(app): Path<String>,
    body: Body,
) -> Result<Json<Deployed>, Fault> {
    let Rollback { revision } = input::json(body).await?;
    let name = input::app(&app)?;
    let record = context.handle.ask(move |overseer| overseer.earlier(&name, revision)).await??;
    deploy_all(&context, vec![record.request], true, None).await.map(Json)
}

/// How an app is removed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remove {
    /// Its volumes too.
    #[serde(default)]
    volumes: bool,
}

/// Stops an app, waits until nothing of it runs, and forgets it; and its volumes, when that was asked.
pub(crate) async fn remove(
    State(context): State<Context>,
    Path(app): Path<String>,
    uri: Uri,
) -> Result<Json<serde_json::Value>, Fault> {
    let Remove { volumes } = input::query(&uri)?;
    let name = input::app(&app)?;
    // On its own, so that a client that goes away does not leave it half done.
    let removal = tokio::spawn(async move {
        let mut events = context.handle.events.subscribe();
        let job = {
            let name = name.clone();
            move |overseer: &mut Overseer| overseer.remove_app(&name)
        };
        context.handle.ask(job).await??;
        loop {
            let asked = name.clone();
            if !context.handle.ask(move |overseer| overseer.has_app(&asked)).await? {
                break;
            }
            match events.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Fault::internal("the daemon is ending")),
            }
        }
        if volumes {
            blocking(move || super::rest::remove_volumes_of(&context, &name)).await?;
        }
        Ok(())
    });
    removal.await.map_err(Fault::internal)??;
    Ok(Json(serde_json::json!({})))
}
