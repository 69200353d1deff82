//! The process: what is opened in which order, and how it ends.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use qyvold_store::{Blobs, Error, Secrets, StateFolder, Store};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::broadcast;

use crate::overseer::{Handle, INBOX_MESSAGES, Message, Opened, Overseer};
use crate::workers::spawn::listener;
use crate::{Options, api, follow, remote};

/// The most events that a follower may be behind before it has to read them from the store.
const EVENTS_BEHIND: usize = 4096;

/// The exit code of a daemon that cannot do its work.
const OWN_FAILURE: u8 = 125;

/// Looks after apps until it is told to end. Ends with 0 then, and with 125 when it cannot begin: what it found is left
/// as it was.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}

fn serve(options: Options) -> Result<(), String> {
    let state = StateFolder::open(&options.state).map_err(|error| match error {
        Error::Locked { pid: Some(pid), .. } => format!(
            "a daemon runs already on `{}`: process {pid}; `qyvol daemon status` asks it, `qyvol daemon stop` ends it",
            options.state.display()
        ),
        other => other.to_string(),
    })?;
    let store = Arc::new(Store::open(state.disk()).map_err(|error| error.to_string())?);
    let blobs = Arc::new(Blobs::open(state.disk(), &store).map_err(|error| error.to_string())?);
    let secrets = Secrets::open(state.disk(), &options.identity).map_err(|error| error.to_string())?;
    for folder in [&options.runtime, &options.workers(), &options.logs(), &options.volumes()] {
        private_folder(folder)?;
    }
    // The state is held: whoever served this socket before is gone.
    let socket = options.socket();
    let bound = listener(&socket).map_err(|error| format!("cannot serve `{}`: {error}", socket.display()))?;
    let mode = Permissions::from_mode(0o600);
    std::fs::set_permissions(&socket, mode).map_err(|error| error.to_string())?;
    let pid = std::fs::write(options.pid_file(), format!("{}\n", std::process::id()));
    pid.map_err(|error| format!("cannot write `{}`: {error}", options.pid_file().display()))?;

    let remote = options.listen.as_ref().map(|listen| remote::bind(listen, &options.remote)).transpose()?;
    let about_remote = remote.as_ref().map(|bound| bound.about.clone());

    let (inbox, messages) = sync_channel(INBOX_MESSAGES);
    #[cfg(feature = "otel")]
    let (telemetry, exporter) = crate::otel::Telemetry::of_environment().unzip();
    let handle = Handle {
        inbox,
        events: broadcast::channel(EVENTS_BEHIND).0,
        peers: Arc::default(),
        #[cfg(feature = "otel")]
        telemetry,
    };
    let opened = Opened {
        options: Arc::new(options),
        store,
        blobs,
        secrets: Arc::new(secrets),
        remote: about_remote.clone(),
    };
    watch_signals(handle.inbox.clone())?;
    let overseer = Overseer::open(&opened, handle.clone()).map_err(|fault| fault.to_string())?;
    #[cfg(feature = "otel")]
    if let Some(exporter) = exporter {
        exporter.start(handle.clone())?;
    }
    let followed = follow::start(Arc::clone(&opened.options), handle.clone())?;
    let api = api::serve(bound, opened.clone(), handle, followed, remote)?;
    eprintln!("qyvold: ready at `{}` (process {})", socket.display(), std::process::id());
    if let Some(about) = &about_remote {
        eprintln!(
            "qyvold: answers at `https://{}` too, certificate sha256:{}",
            about.address, about.certificate
        );
    }
    overseer.work(&messages);
    drop(messages);
    api.end();
    // Only now: who finds no socket finds no daemon.
    let _ = std::fs::remove_file(&socket);
    let _ = std::fs::remove_file(opened.options.pid_file());
    drop(state);
    Ok(())
}

/// Ends the daemon, and not its apps, when the system or a person says so.
fn watch_signals(inbox: SyncSender<Message>) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| error.to_string())?;
    let watch = move || {
        for _ in signals.forever() {
            if inbox.send(Message::Leave { apps: false, done: None }).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(|error| error.to_string())?;
    Ok(())
}

fn private_folder(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("cannot make `{}`: {error}", path.display()))?;
    let metadata = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_dir() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("`{0}` is open to others, or no folder; run `chmod 700 {0}`", path.display()));
    }
    Ok(())
}
