//! `deploy --watch`: deploys again when files change.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Deploy, Image, Outcome, image};
use crate::client::Client;
use crate::failure::{Code, Result};
use crate::{output, settle};

/// How often files are looked at. What changes is deployed when it has not changed for as long: a build writes in steps.
const PERIOD: Duration = Duration::from_millis(300);

/// How a file looked: its number, size and time.
type Seen = (PathBuf, Option<(u64, u64, i64, i64)>);

/// Deploys, and again after each change, until Ctrl-C. A mistake in a file is told, and mended by the next change.
pub(super) fn watch(deploy: &Deploy, client: &Client, mut images: Vec<Image>) -> Result<ExitCode> {
    let interrupted = Ok(ExitCode::from(Code::Interrupted as u8));
    let mut seen = look(&images);
    if deploy_and_tell(deploy, client, &images)? {
        return interrupted;
    }
    loop {
        if client.pause(PERIOD)? {
            return interrupted;
        }
        let now = look(&images);
        if now == seen {
            continue;
        }
        seen = now;
        loop {
            if client.pause(PERIOD)? {
                return interrupted;
            }
            let later = look(&images);
            if later == seen {
                break;
            }
            seen = later;
        }
        match image::all(&deploy.paths) {
            Err(failure) => output::failure(&failure),
            Ok(new) => {
                let same = new
                    .iter()
                    .map(|image| image.bundle.hash)
                    .eq(images.iter().map(|image| image.bundle.hash));
                images = new;
                seen = look(&images);
                if !same && deploy_and_tell(deploy, client, &images)? {
                    return interrupted;
                }
            }
        }
    }
}

/// Deploys once; `true` after Ctrl-C. That an app fails is no reason to stop watching it.
fn deploy_and_tell(deploy: &Deploy, client: &Client, images: &[Image]) -> Result<bool> {
    match deploy.deploy(client, images) {
        Ok(Outcome::Up(_)) => {}
        Ok(Outcome::Down(failed)) => output::failure(&settle::tell_failures(client, &failed)),
        Ok(Outcome::Interrupted) => return Ok(true),
        Err(failure) => output::failure(&failure),
    }
    Ok(false)
}

fn look(images: &[Image]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for path in images.iter().flat_map(|image| &image.watched) {
        let metadata = std::fs::metadata(path).ok();
        let looks = metadata.map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec()));
        seen.push((path.clone(), looks));
    }
    seen
}
