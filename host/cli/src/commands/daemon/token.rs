//! `qyvol daemon token`.

use std::process::ExitCode;

use serde_json::json;

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::{folders, output};

/// Prints what a client of another host needs, as lines for a shell.
pub(super) fn token(new: bool, json: bool) -> Result<ExitCode> {
    let folder = folders::remote()?;
    let made = if new { qyvold::remote::new_token(&folder) } else { qyvold::remote::token(&folder) };
    let token = made.map_err(Failure::own)?;
    let file = std::path::absolute(folder.join("token")).map_err(Failure::own)?;
    let remote = Client::local()?.running()?.and_then(|info| info.remote);
    if json {
        output::json(&json!({ "daemon_token": 1, "token": token, "file": file, "remote": remote }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(remote) = remote else {
        output::data(&format!("export QYVOL_HOST_TOKEN={}\n", quoted(&file.display().to_string())))?;
        output::note(
            "the daemon does not listen over TCP: `qyvol daemon start --listen ADDRESS:PORT` lets it",
        );
        return Ok(ExitCode::SUCCESS);
    };
    let text = format!(
        "export QYVOL_HOST=https://{}\nexport QYVOL_HOST_TOKEN={}\nexport QYVOL_HOST_CERT=sha256:{}\n",
        remote.address,
        quoted(&file.display().to_string()),
        remote.certificate,
    );
    output::data(&text)?;
    output::note("on another host, copy the token to a file that only you may read, and name that one");
    Ok(ExitCode::SUCCESS)
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
