//! Starting the daemon in the background.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use qyvol_protocol::api::Info;

use super::Settings;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::{folders, output};

/// How long a daemon may take until it answers: it reads its state and takes over the workers of the one before.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the socket of another daemon, which was started at the same moment, is waited for.
const OTHER_PATIENCE: Duration = Duration::from_secs(3);

/// A log that is larger is begun anew, and the one before kept, in bytes.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// How much of the log is shown when the daemon does not start, in bytes.
const SHOWN_BYTES: u64 = 2048;

/// Where a daemon that was started in the background writes what it has to say.
pub(crate) fn log_file() -> Result<PathBuf> {
    Ok(folders::state()?.join("daemon.log"))
}

/// The daemon, which is started when none runs.
pub(crate) fn ensure(client: &Client) -> Result<()> {
    match client.running()? {
        Some(_) => Ok(()),
        None if client.is_remote() => Err(Failure::own(format!("no daemon answers at `{}`", client.place()))
            .hint("start it on that host: `qyvol daemon start --listen ADDRESS:PORT`")),
        None => start(client, &Settings::default()).map(drop),
    }
}

/// Starts the daemon as a process of its own session and waits until it answers.
pub(crate) fn start(client: &Client, settings: &Settings) -> Result<Info> {
    let log = log_file()?;
    let folder = folders::state()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Failure::at_path("make", &folder, &error))?;
    if log.metadata().is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        let old = log.with_extension("log.old");
        std::fs::rename(&log, &old).map_err(|error| Failure::at_path("rename", &log, &error))?;
    }
    let output = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&log)
        .map_err(|error| Failure::at_path("open", &log, &error))?;
    let begun = output.metadata().map_or(0, |metadata| metadata.len());
    let program = std::env::current_exe()
        .map_err(|error| Failure::own(format!("cannot find this program's own file: {error}")))?;
    let mut command = Command::new(&program);
    command.args(["daemon", "run"]);
    // Its folder is another one.
    let paths = [
        ("--manifests", &settings.manifests),
        ("--tls-cert", &settings.tls_cert),
        ("--tls-key", &settings.tls_key),
    ];
    for (option, path) in paths {
        if let Some(path) = path {
            let path = std::path::absolute(path).map_err(|error| Failure::at_path("find", path, &error))?;
            command.arg(option).arg(path);
        }
    }
    if let Some(address) = settings.listen {
        command.arg("--listen").arg(address.to_string());
    }
    let errors = output.try_clone().map_err(Failure::own)?;
    // Its folder is the root: it holds nobody's mount.
    command.current_dir("/").stdin(Stdio::null()).stdout(output).stderr(errors);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed, and `setsid` is one; it allocates nothing.
    // It cannot fail there, where the process leads no group yet.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into)) };
    let mut child = command.spawn().map_err(|error| Failure::at_path("start", &program, &error))?;
    let clock = Instant::now();
    let mut ended = None;
    loop {
        // A daemon that is about to listen may refuse for a moment.
        if let Ok(Some(info)) = client.running() {
            let log = log.display();
            output::note(&format!("started the daemon, process {}; its log is `{log}`", info.pid));
            return Ok(info);
        }
        match child.try_wait() {
            // Two were started at once, and the other one was faster.
            Ok(Some(status)) if ended.is_none() => ended = Some((Instant::now(), status)),
            _ => {}
        }
        if let Some((when, status)) = ended
            && when.elapsed() > OTHER_PATIENCE
        {
            return Err(Failure::own(format!("the daemon did not start ({status}):\n{}", tail(&log, begun))));
        }
        if clock.elapsed() > PATIENCE {
            let message = format!("the daemon does not answer after {} s", PATIENCE.as_secs());
            return Err(Failure::own(message).hint(format!("its log tells why: `{}`", log.display())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The end of what was logged since `begun`, which ends with a newline.
fn tail(log: &Path, begun: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(begun.max(end.saturating_sub(SHOWN_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let said = read().map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()).unwrap_or_default();
    let said = if said.is_empty() { format!("it said nothing in `{}`", log.display()) } else { said };
    let lines: Vec<String> = said.lines().map(|line| format!("  {line}\n")).collect();
    lines.concat()
}
