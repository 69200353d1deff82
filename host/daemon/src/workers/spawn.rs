//! Starting a worker's process.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use qyvol_protocol::worker::{CONTROL_FD, ROOTS_VARIABLE, SERVICES_FD, TOKEN_VARIABLE, WORKER_ARGUMENT};
use serde::{Deserialize, Serialize};

use super::process::ProcessId;
use super::table::Purpose;
use crate::options::SOCKET_PATH_BYTES_MAX;

/// How much of what a worker has said is told when it is no more, in bytes.
const LAST_WORDS_BYTES_MAX: u64 = 2048;

/// How a worker begins to say why it cannot work.
const WORKER_CANNOT: &str = "error: the worker cannot go on: ";

/// What a worker's walls let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walls {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) write: Vec<PathBuf>,
}

/// What a later daemon must know of a worker: the file `about.json` in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) process: ProcessId,
    pub(crate) purpose: Purpose,
    /// What it was told to take for the word of its daemon: it lies where no worker's walls let one look.
    pub(crate) token: String,
}

/// A worker that was started.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
    pub(crate) about: About,
}

pub(crate) fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

pub(crate) fn services_socket(folder: &Path) -> PathBuf {
    folder.join("services.sock")
}

pub(crate) fn about_file(folder: &Path) -> PathBuf {
    folder.join("about.json")
}

/// What a worker writes on standard error.
fn stderr_file(folder: &Path) -> PathBuf {
    folder.join("stderr.log")
}

/// The end of what the worker of this folder has said on standard error, as one line; mostly nothing.
pub(crate) fn last_words(folder: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(stderr_file(folder))?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(end.saturating_sub(LAST_WORDS_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.map(|line| line.strip_prefix(WORKER_CANNOT).unwrap_or(line));
    let line = lines.collect::<Vec<_>>().join("; ");
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Starts a worker, which is `program`, with `folder` as its own, and connects to it. It need not be up yet: what is said
/// waits in its socket.
pub(crate) fn spawn(
    program: &Path,
    folder: &Path,
    purpose: &Purpose,
    cache: &Path,
    walls: &Walls,
) -> io::Result<Spawned> {
    DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
    let control = listener(&control_socket(folder))?;
    let services = listener(&services_socket(folder))?;
    let name = folder.file_name().unwrap_or_default();
    let mut command = Command::new(program);
    command.arg(WORKER_ARGUMENT).arg("--name").arg(name).arg("--cache").arg(cache);
    command.arg("--stack").arg(purpose.stack().to_string());
    if purpose.outside() {
        command.arg("--outside");
    }
    for path in &walls.read {
        command.arg("--read").arg(path);
    }
    for path in &walls.write {
        command.arg("--write").arg(path);
    }
    // Nothing of the operator's environment is an app's business, nor of the process that runs apps, but for whom its
    // requests trust.
    let token = token()?;
    command.env_clear().env(TOKEN_VARIABLE, &token).stdin(Stdio::null()).stdout(Stdio::null());
    command.envs(std::env::var_os(ROOTS_VARIABLE).map(|file| (ROOTS_VARIABLE, file)));
    command.stderr(File::create(stderr_file(folder))?);
    let (control_fd, services_fd) = (control.as_raw_fd(), services.as_raw_fd());
    // SAFETY: between fork and exec only async-signal-safe system calls are made, on descriptors that this process holds
    // open until `spawn` has returned; nothing is allocated.
    unsafe {
        command.pre_exec(move || prepare_child(control_fd, services_fd));
    }
    let child = command.spawn().map_err(|error| {
        let mend = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "; may this user execute it, and is its file system not mounted `noexec`?"
            }
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot execute `{}`: {error}{mend}", place(program)))
    })?;
    let connect = || {
        let socket = UnixStream::connect(control_socket(folder))?;
        let about = About { process: ProcessId::of(child.id())?, purpose: purpose.clone(), token };
        let text = serde_json::to_vec(&about)?;
        let (draft, place) = (folder.join("about.draft"), about_file(folder));
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, place)?;
        Ok((socket, about))
    };
    match connect() {
        Ok((socket, about)) => Ok(Spawned { child, socket, about }),
        Err(error) => {
            let mut child = child;
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Where a program is, for people: `/proc/self/exe` tells them nothing.
fn place(program: &Path) -> String {
    std::fs::read_link(program).as_deref().unwrap_or(program).display().to_string()
}

/// A word that nobody guesses.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Binds a Unix socket at `path`, in place of one that nobody serves any more.
pub(crate) fn listener(path: &Path) -> io::Result<UnixListener> {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        let why = format!(
            "the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes, and `{}` has {length}; choose a shorter \
             runtime folder with `QYVOL_RUNTIME_DIR`",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// In the child: a session of its own, so that no terminal's signal reaches it; the two sockets where it looks for them;
/// nothing else.
fn prepare_child(control: RawFd, services: RawFd) -> io::Result<()> {
    let check = |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    // SAFETY: plain system calls on numbers; no memory is passed.
    unsafe {
        check(libc::setsid())?;
        // Out of the way first: either may be in the other's place.
        let control = check(libc::fcntl(control, libc::F_DUPFD_CLOEXEC, 10))?;
        let services = check(libc::fcntl(services, libc::F_DUPFD_CLOEXEC, 10))?;
        check(libc::dup2(control, CONTROL_FD))?;
        check(libc::dup2(services, SERVICES_FD))?;
        let closed = libc::syscall(
            libc::SYS_close_range,
            SERVICES_FD + 1,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        // Without that call (Linux 5.11) it is enough that every descriptor here is closed on exec anyway.
        let _ = closed;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(program: &Path, folder: &Path) -> io::Result<Spawned> {
        let purpose = Purpose::Shared { stack: 1 << 20, outside: false };
        spawn(program, folder, &purpose, Path::new("/nowhere"), &Walls::default())
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let why = |path: &Path| started(path, &folder.path().join("w")).unwrap_err().to_string();
        let missing = why(&program);
        assert!(
            missing.contains("cannot execute") && missing.contains("/program`: No such file"),
            "{missing}"
        );
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let forbidden = why(&program);
        assert!(forbidden.contains("Permission denied") && forbidden.contains("noexec"), "{forbidden}");
    }

    #[test]
    fn what_a_worker_said_at_its_end_is_one_line_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("w");
        // A program that does not know its arguments says so and ends.
        let mut spawned = started(Path::new("/bin/sh"), &worker).unwrap();
        assert_ne!(spawned.child.wait().unwrap().code(), Some(0));
        assert!(last_words(&worker).contains("option"), "{}", last_words(&worker));
        std::fs::write(stderr_file(&worker), format!("{WORKER_CANNOT}a\tcache\n\nb\n")).unwrap();
        assert_eq!(last_words(&worker), "a cache; b");
        let long = "x".repeat(100_000);
        std::fs::write(stderr_file(&worker), format!("{long}end")).unwrap();
        let said = last_words(&worker);
        assert!(said.len() as u64 == LAST_WORDS_BYTES_MAX && said.ends_with("xend"));
        assert_eq!(last_words(&folder.path().join("none")), "");
    }
}
