//! Being the daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use qyvold::remote::Listen;

use super::Settings;
use crate::failure::{Failure, Result};
use crate::folders;
use crate::run::grants::HOST_POLICY;

/// The most time that compiling one program may take.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(300);

/// Looks after apps until it is told to end.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    let config = absolute(&folders::config()?)?;
    let manifests = settings.manifests.clone().map_or_else(folders::manifests, Ok)?;
    let options = qyvold::Options {
        state: absolute(&folders::state()?)?,
        runtime: absolute(&folders::runtime()?)?,
        cache: absolute(&folders::cache()?)?,
        trust: config.join("trust"),
        policies: vec![PathBuf::from(HOST_POLICY), config.join("policy.yaml")],
        manifests: absolute(&manifests)?,
        listen: listen(settings)?,
        remote: folders::remote()?,
        identity: config.join("secrets.identity"),
        compile_timeout: COMPILE_TIMEOUT,
    };
    Ok(qyvold::run(options))
}

/// Where clients of other hosts are answered.
fn listen(settings: &Settings) -> Result<Option<Listen>> {
    let Some(address) = settings.listen else { return Ok(None) };
    let certificate = match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificate), Some(key)) => Some((absolute(certificate)?, absolute(key)?)),
        _ => None,
    };
    Ok(Some(Listen { address, certificate }))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::at_path("find", path, &error))
}
