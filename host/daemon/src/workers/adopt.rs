//! Workers that have outlived the daemon that started them.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use qyvol_protocol::channel;
use qyvol_protocol::worker::{DRAIN_SECONDS, FromWorker, Hello, ToWorker, VERSION, Welcome};

use super::process::Process;
use super::spawn::{About, about_file, control_socket};

/// How long a worker may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A worker that answered.
#[derive(Debug)]
pub(crate) struct Survivor {
    pub(crate) folder: PathBuf,
    pub(crate) about: About,
    pub(crate) process: Process,
    pub(crate) socket: UnixStream,
    pub(crate) welcome: Welcome,
}

/// How long one that speaks another version has to stop its instances and end, before it is killed.
const DRAINED: Duration = Duration::from_secs(DRAIN_SECONDS + 2);

/// Greets every worker that has a folder in `folder`. One that speaks another version is left to end, and one that does not
/// answer is killed: its instances start anew elsewhere. Returns when nothing runs but what is returned.
pub(crate) fn survivors(folder: &Path, lease: u64) -> io::Result<Vec<Survivor>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        folders.push(entry?.path());
    }
    let greeted = thread::scope(|scope| {
        let greet: Vec<_> =
            folders.iter().map(|folder| scope.spawn(move || (folder, greet(folder, lease)))).collect();
        greet.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let mut survivors = Vec::new();
    for (folder, greeted) in greeted {
        match greeted {
            Some(survivor) => survivors.push(survivor),
            None => std::fs::remove_dir_all(folder)?,
        }
    }
    Ok(survivors)
}

fn greet(folder: &Path, lease: u64) -> Option<Survivor> {
    let about: About = serde_json::from_slice(&std::fs::read(about_file(folder)).ok()?).ok()?;
    let process = Process::of_other(about.process).ok()?;
    match speak(folder, lease, &about.token) {
        Ok(Greeted::Welcome(socket, welcome)) => {
            Some(Survivor { folder: folder.to_owned(), about, process, socket, welcome: *welcome })
        }
        Ok(Greeted::Refused) => {
            process.end(DRAINED);
            None
        }
        Err(_) => {
            process.end(Duration::ZERO);
            None
        }
    }
}

/// How a worker answers.
enum Greeted {
    Welcome(UnixStream, Box<Welcome>),
    /// It speaks another version, and is about to end.
    Refused,
}

fn speak(folder: &Path, lease: u64, token: &str) -> io::Result<Greeted> {
    let socket = UnixStream::connect(control_socket(folder))?;
    socket.set_read_timeout(Some(ANSWER))?;
    socket.set_write_timeout(Some(ANSWER))?;
    channel::send(
        &socket,
        &ToWorker::Hello(Hello { version: VERSION, lease, token: token.to_owned() }),
        &[],
    )?;
    match channel::receive(&socket)?.map(|received| received.message) {
        Some(FromWorker::Welcome(welcome)) if welcome.version == VERSION => {
            Ok(Greeted::Welcome(socket, Box::new(welcome)))
        }
        Some(FromWorker::Refused { ends: true, .. }) => Ok(Greeted::Refused),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
