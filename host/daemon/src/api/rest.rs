//! The daemon itself, the network, volumes, secrets, use.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use qyv_spec::manifest::EnvName;
use qyv_spec::service::Name;
use qyvol_protocol::api::{Info, NetService, SecretInfo, UsageRow, Volume};
use qyvold_store::SECRET_BYTES_MAX;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{Context, blocking, input};
use crate::fault::{Fault, Kind};
use crate::overseer::{Handle, Message, Overseer};

/// How long workers may take to say what was used.
const USAGE: Duration = Duration::from_secs(1);

pub(crate) async fn info(State(context): State<Context>) -> Result<Json<Info>, Fault> {
    context.handle.ask(|overseer| overseer.info()).await.map(Json)
}

pub(crate) async fn usage(State(context): State<Context>) -> Result<Json<Vec<UsageRow>>, Fault> {
    used(&context.handle).await.map(Json)
}

/// What instances have used: of a worker that does not answer, what it last said.
pub(crate) async fn used(handle: &Handle) -> Result<Vec<UsageRow>, Fault> {
    let answered = handle.ask(Overseer::ask_usage).await?;
    let _ = tokio::time::timeout(USAGE, answered).await;
    handle.ask(|overseer| overseer.usage_rows()).await
}

pub(crate) async fn net(State(context): State<Context>) -> Result<Json<Vec<NetService>>, Fault> {
    context.handle.ask(|overseer| overseer.net()).await.map(Json)
}

/// The app that a volume belongs to: `app`, or `app.slot`.
pub(super) fn owner(volume: &str) -> Option<Name> {
    volume.split('.').next()?.parse().ok()
}

pub(crate) async fn volumes(State(context): State<Context>) -> Result<Json<Vec<Volume>>, Fault> {
    let apps = context.handle.ask(|overseer| overseer.summaries()).await?;
    let list = blocking(move || {
        let mut list = Vec::new();
        for volume in context.volumes.list()? {
            let usage = context.volumes.usage(&volume)?;
            let app = owner(&volume).filter(|name| apps.iter().any(|summary| summary.app == *name));
            list.push(Volume { app, bytes: usage.bytes, inodes: usage.inodes, volume });
        }
        Ok(list)
    });
    list.await.map(Json)
}

pub(crate) async fn remove_volume(
    State(context): State<Context>,
    Path(volume): Path<String>,
) -> Result<StatusCode, Fault> {
    if let Some(app) = owner(&volume) {
        let asked = app.clone();
        if context.handle.ask(move |overseer| overseer.has_app(&asked)).await? {
            return Err(Fault::new(
                Kind::Conflict,
                format!("the volume `{volume}` belongs to `{app}`, which is deployed"),
            )
            .hint(format!("remove both with `qyvol rm --volumes {app}`")));
        }
    }
    blocking(move || Ok(context.volumes.remove(&volume)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the volumes of an app that is gone.
pub(crate) fn remove_volumes_of(context: &Context, app: &Name) -> Result<(), Fault> {
    for volume in context.volumes.list()? {
        if owner(&volume).as_ref() == Some(app) {
            context.volumes.remove(&volume)?;
        }
    }
    Ok(())
}

fn secret_name(text: &str) -> Result<EnvName, Fault> {
    text.parse().map_err(|invalid: qyv_spec::Invalid| Fault::invalid(invalid.message))
}

pub(crate) async fn secrets(State(context): State<Context>) -> Result<Json<Vec<SecretInfo>>, Fault> {
    let secrets = context.opened.secrets.clone();
    let entries = blocking(move || Ok(secrets.list()?)).await?;
    let info = move |overseer: &mut Overseer| {
        let info = |entry: qyvold_store::SecretEntry| SecretInfo {
            used_by: overseer.users_of_secret(entry.name.as_str()),
            name: entry.name.to_string(),
            set: entry.set,
        };
        entries.into_iter().map(info).collect()
    };
    context.handle.ask(info).await.map(Json)
}

/// Sets a secret to the bytes of the body. Apps see it at their next start.
pub(crate) async fn set_secret(
    State(context): State<Context>,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, Fault> {
    let name = secret_name(&name)?;
    let value = to_bytes(body, SECRET_BYTES_MAX)
        .await
        .map_err(|_| Fault::new(Kind::TooLarge, format!("a secret has at most {SECRET_BYTES_MAX} bytes")))?;
    let secrets = context.opened.secrets.clone();
    blocking(move || Ok(secrets.set(&name, &value)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove_secret(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<StatusCode, Fault> {
    let name = secret_name(&name)?;
    let asked = name.to_string();
    let users = context.handle.ask(move |overseer| overseer.users_of_secret(&asked)).await?;
    if !users.is_empty() {
        return Err(Fault::new(
            Kind::Conflict,
            format!("the secret `{name}` is handed to `{}`", users.join("`, `")),
        )
        .hint("remove those apps first"));
    }
    let secrets = context.opened.secrets.clone();
    blocking(move || Ok(secrets.remove(&name)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How the daemon ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    /// With its apps: they are stopped, and start again with the next daemon.
    #[serde(default)]
    apps: bool,
}

pub(crate) async fn stop(State(context): State<Context>, uri: Uri) -> Result<StatusCode, Fault> {
    let Stop { apps } = input::query(&uri)?;
    let (done, ended) = oneshot::channel();
    let message = Message::Leave { apps, done: Some(done) };
    context
        .handle
        .inbox
        .try_send(message)
        .map_err(|_| Fault::new(Kind::Busy, "the daemon has too much to do"))?;
    let _ = ended.await;
    Ok(StatusCode::NO_CONTENT)
}
