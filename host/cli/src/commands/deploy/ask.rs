//! The question of a first deployment. The daemon decides; what is asked here is only what would make it decide otherwise.

use qyv_spec::grants::{Allow, Bind, Policy, Refusal, Setting, decide};
use qyv_spec::service::Name;
use qyvol_protocol::api::{AppDetail, DeployRequest};

use super::Image;
use super::request::has_slot;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::run::grants::consent;

/// What the person at the terminal grants to each app.
///
/// # Errors
///
/// The daemon's refusal, when there is no terminal, the answer is no, or no answer could change it.
pub(super) fn answered(
    client: &Client,
    images: &[Image],
    request: &DeployRequest,
    refusal: Failure,
) -> Result<Vec<Vec<Allow>>> {
    let deployment: Vec<Name> = images
        .iter()
        .flat_map(|image| image.app.services.iter().map(|service| service.name.clone()))
        .collect();
    let mut wanted = Vec::new();
    for (image, asked) in images.iter().zip(&request.apps) {
        let mut grants = asked.grants.clone();
        // What was answered before stays granted.
        if let Ok(before) = client.get::<AppDetail>(&format!("/v1/apps/{}", image.app.name)) {
            grants.allow.extend(before.grants.allow);
            // A slot that was bound before may be gone, or bound anew.
            let bound = |bind: &Bind| {
                has_slot(&image.app, bind) && asked.grants.bind.iter().all(|new| new.slot != bind.slot)
            };
            grants.bind.extend(before.grants.bind.into_iter().filter(bound));
        }
        let setting = Setting { deployment: &deployment, folder: image.folder.as_deref() };
        let missing = decide(&image.app, &grants, &Policy::default(), &setting).err().unwrap_or_default();
        match askable(&missing) {
            Some(allows) => wanted.push(allows),
            None => return Err(refusal),
        }
    }
    if wanted.iter().all(Vec::is_empty) {
        return Err(refusal);
    }
    for (image, wanted) in images.iter().zip(&wanted).filter(|(_, wanted)| !wanted.is_empty()) {
        if !consent(&image.app.name, wanted)? {
            return Err(refusal);
        }
    }
    Ok(wanted)
}

/// What would answer everything that is missing; `None` when something is that no answer gives, such as a path.
fn askable(missing: &[Refusal]) -> Option<Vec<Allow>> {
    missing.iter().map(|refusal| refusal.request.as_ref()?.narrowest()).collect()
}
