//! Volumes out to an archive and back in.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qyvold_store::RestoreLimits;
use serde_json::json;

use super::{Context, rest, transfer};
use crate::fault::{Fault, Kind};
use crate::overseer::{Message, Overseer};

/// What an archive may unpack to when no app says how much its volume may hold.
const LIMITS: RestoreLimits = RestoreLimits { bytes: 1 << 40, inodes: 1_000_000 };

/// How many things that could not be saved are named.
const SKIPPED_SHOWN: usize = 20;

/// Streams a volume as a tar archive. Of an app that runs, files may be of different moments.
pub(crate) async fn backup(
    State(context): State<Context>,
    Path(volume): Path<String>,
) -> Result<Response, Fault> {
    let permit = context.stream()?;
    let usage = {
        let (volumes, volume) = (context.volumes.clone(), volume.clone());
        super::blocking(move || Ok(volumes.usage(&volume)?)).await
    };
    usage?;
    let (mut writer, body) = transfer::written(permit);
    tokio::task::spawn_blocking(move || match context.volumes.backup(&volume, &mut writer) {
        Ok(saved) => {
            let shown: Vec<&String> = saved.skipped.iter().take(SKIPPED_SHOWN).collect();
            writer.end(&json!({
                "files": saved.files, "bytes": saved.bytes, "others": saved.others,
                "left_out": saved.skipped.len(), "skipped": shown,
            }));
        }
        // The body breaks off, and the log tells why.
        Err(error) => eprintln!("qyvold: {error}"),
    });
    Ok(archive(body))
}

/// Puts a volume back from a tar archive, in place of what is there. The app must not run.
pub(crate) async fn restore(
    State(context): State<Context>,
    Path(volume): Path<String>,
    body: Body,
) -> Result<StatusCode, Fault> {
    let owner = rest::owner(&volume);
    let asked = owner.clone();
    let limits = context
        .handle
        .ask(move |overseer| {
            let Some(app) = asked else { return Ok(LIMITS) };
            overseer.may_replace_files(&app)?;
            Ok::<_, Fault>(overseer.volume_limits(&app).unwrap_or(LIMITS))
        })
        .await??;
    let (volumes, inbox) = (context.volumes.clone(), context.handle.inbox.clone());
    let name = volume.clone();
    let restored = transfer::read(body, move |archive| {
        let rests = || {
            let Some(app) = owner else { return Ok(()) };
            let (answer, answered) = std::sync::mpsc::sync_channel(1);
            let job = move |overseer: &mut Overseer| {
                let _ = answer.send(overseer.may_replace_files(&app));
            };
            let ending = || qyvold_store::Error::Invalid("the daemon is ending".to_owned());
            inbox.send(Message::Do(Box::new(job))).map_err(|_| ending())?;
            let rests = answered.recv().map_err(|_| ending())?;
            rests.map_err(|fault| qyvold_store::Error::Invalid(fault.message))
        };
        volumes.replace(&name, archive, limits, rests)
    });
    restored.await??;
    let message = format!("the volume `{volume}` was restored");
    context.handle.ask(move |overseer| overseer.tell_of_daemon(message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A body that is a tar archive, and tells at its end what it holds.
pub(super) fn archive(body: Body) -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::TRAILER, qyvol_protocol::api::SUMMARY_TRAILER),
    ];
    (head, body).into_response()
}

impl Context {
    /// A place among those whose bodies are sent as they come.
    pub(super) fn stream(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Fault> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            Fault::new(Kind::Busy, "too many clients follow logs and events, or copy files")
                .hint("end some of them")
        })
    }
}
