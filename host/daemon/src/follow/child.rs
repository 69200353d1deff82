//! The process that reads manifests, packs them and deploys them over the API.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use qyvol_protocol::followed::{Ask, FOLLOWED_ARGUMENT, FOLLOWED_BYTES_MAX, Told};

use crate::Options;

/// How long nothing may be heard of it: a file may lie on a disk that does not answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Has the files deployed; `told` hears of each of them, once.
pub(super) fn deploy(options: &Options, ask: &Ask, told: &mut dyn FnMut(Told)) {
    let mut left: BTreeSet<&str> = ask.files.iter().map(String::as_str).collect();
    let ended = match spawn(options, ask) {
        Err(error) => format!("cannot start the process that deploys it: {error}"),
        Ok((mut child, lines)) => {
            let why = loop {
                match lines.recv_timeout(PATIENCE) {
                    Ok(line) => {
                        if left.remove(line.file.as_str()) {
                            told(line);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        break format!("reading it takes more than {} s", PATIENCE.as_secs());
                    }
                    Err(RecvTimeoutError::Disconnected) => break String::new(),
                }
            };
            if !why.is_empty() {
                let _ = child.kill();
            }
            match child.wait() {
                _ if !why.is_empty() => why,
                Ok(status) => format!("the process that deploys it ended with {status}"),
                Err(error) => error.to_string(),
            }
        }
    };
    for file in left {
        told(Told {
            file: file.to_owned(),
            app: None,
            watched: Vec::new(),
            problem: Some(ended.clone()),
            hint: Some("the daemon's log may tell more".to_owned()),
        });
    }
}

fn spawn(options: &Options, ask: &Ask) -> std::io::Result<(Child, Receiver<Told>)> {
    let mut command = Command::new("/proc/self/exe");
    // It speaks with this daemon, whatever other hosts the daemon's own surroundings name.
    command.arg(FOLLOWED_ARGUMENT).env("QYVOL_RUNTIME_DIR", &options.runtime).env_remove("QYVOL_HOST");
    command.env("NO_COLOR", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("it has no streams"));
    };
    let (sender, lines) = sync_channel(16);
    let question = serde_json::to_vec(ask)?;
    let read = move || {
        // It answers when it has read all: neither waits for the other.
        let asked = stdin.write_all(&question);
        drop((stdin, asked));
        for line in BufReader::new(stdout.take(FOLLOWED_BYTES_MAX)).lines().map_while(Result::ok) {
            let Ok(told) = serde_json::from_str(&line) else { return };
            if sender.send(told).is_err() {
                return;
            }
        }
    };
    match thread::Builder::new().name("followed".into()).spawn(read) {
        Ok(_) => Ok((child, lines)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}
