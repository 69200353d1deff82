//! The manifests that the daemon deploys by itself.

use axum::Json;
use axum::extract::State;
use qyvol_protocol::api::Manifests;

use super::Context;
use crate::fault::Fault;
use crate::follow;

pub(crate) async fn manifests(State(context): State<Context>) -> Result<Json<Manifests>, Fault> {
    let mut manifests = context.followed.manifests();
    let place = follow::place(&context.opened.options.manifests);
    let deployed = context.handle.ask(move |overseer| overseer.placed(&place)).await?;
    for file in &mut manifests.files {
        // Somebody has deployed it by hand since, with what it was refused for.
        if deployed.iter().any(|app| app.placed.file == file.file && app.deployed > file.time) {
            (file.problem, file.hint) = (None, None);
        }
    }
    Ok(Json(manifests))
}
