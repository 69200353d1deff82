//! The events, as they happen and from where a client has left off.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use qyv_spec::service::Name;
use qyvol_protocol::api::Event;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::stream::{PARTS, Parts};
use super::{Context, blocking, input};
use crate::fault::{Fault, Kind};

/// Events that are read from the store at once.
const BATCH: usize = 500;

/// How often something is sent when nothing happens, so that a connection that is dead is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Follow {
    since: Option<u64>,
    app: Option<Name>,
}

pub(crate) async fn follow(
    State(context): State<Context>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fault> {
    let Follow { since, app } = input::query(&uri)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let permit = Arc::clone(&context.streams).try_acquire_owned().map_err(|_| {
        Fault::new(Kind::Busy, "too many clients follow logs and events").hint("end some of them")
    })?;
    let (sender, receiver) = mpsc::channel(PARTS);
    // Subscribed before the store is asked: nothing falls between.
    let live = context.handle.events.subscribe();
    let store = Arc::clone(&context.opened.store);
    let from = match since.or(last) {
        Some(from) => from,
        None => blocking(move || Ok(store.last_event()?)).await?,
    };
    tokio::spawn(async move {
        let _ = send(&context, from, app.as_ref(), live, &sender).await;
    });
    let body = Parts { receiver, _permit: permit }.body();
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, body).into_response())
}

/// Sends events with a number above `seen`, until the client has gone.
async fn send(
    context: &Context,
    mut seen: u64,
    app: Option<&Name>,
    mut live: tokio::sync::broadcast::Receiver<Arc<Event>>,
    client: &mpsc::Sender<Bytes>,
) -> Result<(), Fault> {
    let gone = |_| Fault::internal("the client has gone");
    // A number without an event: a client that is cut off before the first one knows where to go on.
    client.send(format!(": events\nid: {seen}\n\n").into()).await.map_err(gone)?;
    loop {
        // From the store first, and again whenever more has happened than is held for a slow client.
        loop {
            let store = Arc::clone(&context.opened.store);
            let events = blocking(move || Ok(store.events(seen, BATCH)?)).await?;
            let Some(last) = events.last() else { break };
            seen = last.id;
            for event in &events {
                if let Some(text) = text(event, app) {
                    client.send(text).await.map_err(gone)?;
                }
            }
        }
        loop {
            match tokio::time::timeout(KEEP_ALIVE, live.recv()).await {
                Ok(Ok(event)) if event.id > seen => {
                    seen = event.id;
                    if let Some(text) = text(&event, app) {
                        client.send(text).await.map_err(gone)?;
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(_))) => break,
                Ok(Err(RecvError::Closed)) => return Ok(()),
                Err(_) => client.send(Bytes::from_static(b":\n\n")).await.map_err(gone)?,
            }
        }
    }
}

fn text(event: &Event, app: Option<&Name>) -> Option<Bytes> {
    if app.is_some() && event.app.as_ref() != app {
        return None;
    }
    let json = serde_json::to_string(event).ok()?;
    Some(format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.kind).into())
}
