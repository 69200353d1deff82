//! The part of this program that deploys the manifests of the folder that the daemon follows.
//!
//! The daemon starts it, and it does as `qyvol deploy FILE` of each file would, but that it asks nobody: what was not
//! granted before, or by the policy, is a problem of that file, which the daemon shows.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use qyv_spec::grants::Grants;
use qyv_spec::service::Name;
use qyvol_protocol::api::{DeployApp, DeployRequest};
use qyvol_protocol::followed::{Ask, FOLLOWED_BYTES_MAX, Placed, Told};

use crate::client::{Bundle, Client};
use crate::commands::deploy::image::{self, Image, Spool};
use crate::failure::{Failure, Result};
use crate::target::folder::read_manifest;

/// Does what the daemon asks for on standard input.
pub(crate) fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            crate::output::failure(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// A file whose app is to be deployed.
struct Ready {
    file: String,
    image: Image,
    watched: Vec<String>,
}

fn work() -> Result<()> {
    let mut asked = Vec::new();
    std::io::stdin().take(FOLLOWED_BYTES_MAX).read_to_end(&mut asked).map_err(Failure::own)?;
    let ask: Ask = serde_json::from_slice(&asked).map_err(Failure::own)?;
    let client = Client::local()?;
    let mut ready: Vec<Ready> = Vec::new();
    let mut names: BTreeMap<Name, String> = BTreeMap::new();
    let mut spool = Spool::default();
    for file in ask.files {
        let image = match image::image(Path::new(&file), &mut spool) {
            Ok(image) => image,
            Err(failure) => {
                tell(&file, None, Vec::new(), Some(&failure))?;
                continue;
            }
        };
        let watched = watched(&file, &image);
        let name = image.app.name.clone();
        let checked = believe(&watched).and_then(|()| alone(&name, &file, &names, &ask.deployed));
        if let Err(failure) = checked {
            tell(&file, Some(&name), watched, Some(&failure))?;
        } else if is_deployed(&image, &file, &ask.deployed) {
            tell(&file, Some(&name), watched, None)?;
        } else {
            names.insert(name, file.clone());
            ready.push(Ready { file, image, watched });
        }
    }
    deploy(&client, ready)
}

/// Deploys all at once, so that they find each other. When that is refused, each on its own, and again for as long as this
/// makes others possible.
fn deploy(client: &Client, mut ready: Vec<Ready>) -> Result<()> {
    let together: Vec<&Ready> = ready.iter().collect();
    if together.len() > 1 && put(client, &together).is_ok() {
        return ready
            .iter()
            .try_for_each(|one| tell(&one.file, Some(&one.image.app.name), one.watched.clone(), None));
    }
    loop {
        let before = ready.len();
        let mut failed = Vec::new();
        for one in ready {
            match put(client, &[&one]) {
                Ok(()) => tell(&one.file, Some(&one.image.app.name), one.watched, None)?,
                Err(failure) => failed.push((one, failure)),
            }
        }
        if failed.len() == before || failed.is_empty() {
            return failed.into_iter().try_for_each(|(one, failure)| {
                tell(&one.file, Some(&one.image.app.name), one.watched, Some(&failure))
            });
        }
        ready = failed.into_iter().map(|(one, _)| one).collect();
    }
}

fn put(client: &Client, ready: &[&Ready]) -> Result<()> {
    let mut apps = Vec::new();
    for Ready { file, image, .. } in ready {
        apps.push(DeployApp {
            bundle: image.bundle.hash,
            folder: image.folder.clone(),
            grants: Grants::default(),
            directories: Vec::new(),
            env: BTreeMap::new(),
            args: Vec::new(),
            kind: None,
            replicas: None,
            allow_unsigned: !image.foreign,
            manifest: Some(file.clone()),
        });
    }
    let bundles: Vec<&Bundle> = ready.iter().map(|one| &one.image.bundle).collect();
    client.deploy(&DeployRequest { apps, force: false }, &bundles).map(drop)
}

/// Whether that very image of the file is what is deployed: an app that was stopped stays so.
fn is_deployed(image: &Image, file: &str, deployed: &BTreeMap<Name, Placed>) -> bool {
    deployed
        .get(&image.app.name)
        .is_some_and(|placed| placed.file == file && placed.image == image.bundle.hash)
}

/// Refuses a second file for an app.
fn alone(
    name: &Name,
    file: &str,
    names: &BTreeMap<Name, String>,
    deployed: &BTreeMap<Name, Placed>,
) -> Result<()> {
    let deployed = deployed.get(name).map(|placed| &placed.file);
    match names.get(name).or(deployed).filter(|other| *other != file) {
        None => Ok(()),
        Some(other) => Err(Failure::refused(format!("the app `{name}` is that of `{other}` already"))
            .hint("give one of them another `name`, or take one of the files away")),
    }
}

/// What belongs to the app besides its manifest. The folder itself does when files are chosen by patterns.
fn watched(file: &str, image: &Image) -> Vec<String> {
    let folder = Path::new(file).parent();
    let patterns = || read_manifest(Path::new(file)).is_ok_and(|manifest| manifest.files.is_some());
    let whole = image.foreign || patterns();
    let belongs =
        |path: &&PathBuf| path.as_path() != Path::new(file) && (whole || Some(path.as_path()) != folder);
    image.watched.iter().filter(belongs).filter_map(|path| Some(path.to_str()?.to_owned())).collect()
}

/// Whether only this user and root could have written what is packaged. It is looked at after it was read.
fn believe(watched: &[String]) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    for path in watched {
        let found =
            std::fs::metadata(path).map_err(|error| Failure::at_path("look at", Path::new(path), &error))?;
        if (found.uid() != own && found.uid() != 0) || found.mode() & 0o022 != 0 {
            return Err(Failure::refused(format!("`{path}`, which it packages, may be written by others"))
                .hint(format!("if it is meant to: `chown {own} {path} && chmod go-w {path}`")));
        }
    }
    Ok(())
}

/// Says what became of a file.
fn tell(file: &str, app: Option<&Name>, watched: Vec<String>, failure: Option<&Failure>) -> Result<()> {
    let told = Told {
        file: file.to_owned(),
        app: app.cloned(),
        watched,
        problem: failure.map(|failure| failure.message.trim_end().to_owned()),
        hint: failure.and_then(|failure| failure.hints.first().cloned()),
    };
    let mut line = serde_json::to_vec(&told).map_err(Failure::own)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line).and_then(|()| output.flush()).map_err(Failure::own)
}
