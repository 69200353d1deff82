//! Taking files out of a bundle into a folder.
//!
//! The paths in a bundle cannot climb; what could lead elsewhere are links that lie in the folder already. Every folder is
//! therefore opened one by one from the one above it, and a link is never followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use qyv_spec::bundle::{Bundle, ChunkCache};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::atomic::{self, Draft, Existing, Readers, Workshop};
use crate::failure::{Failure, Result};
use crate::target::bundle::Opened;

/// The name of the app's description beside its files. Hidden files are never packaged, so it is free.
pub(crate) const APP_FILE: &str = ".app.json";

/// Fills a folder that does not exist or is empty: it holds everything afterwards, or is as it was.
pub(crate) fn into_new(opened: &Opened, folder: &Path) -> Result<()> {
    let failed = |error: io::Error| Failure::at_path("unpack into", folder, &error);
    if folder.is_dir() {
        Workshop::sweep(folder).map_err(failed)?;
    }
    let there = atomic::is_empty_folder(folder).map_err(failed)?;
    if there == Some(false) {
        return Err(Failure::refused(format!("`{}` exists and is not empty", folder.display()))
            .hint("name another folder with `-C DIR`, or write over what is there with `--force`"));
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    let fill = || {
        let workshop = Workshop::new(folder).map_err(failed)?;
        write_all(opened, &atomic::folder(workshop.path())?, folder)?;
        workshop.deliver(folder).map_err(failed)
    };
    fill().inspect_err(|_| {
        if there.is_none() {
            let _ = std::fs::remove_dir(folder);
        }
    })
}

/// Writes into a folder in which there may be something, each file whole or not at all.
pub(crate) fn into(opened: &Opened, folder: &Path) -> Result<()> {
    let root = atomic::folder(folder)?;
    write_all(opened, &root, folder)
}

/// `shown` is what the folder is called in messages.
fn write_all(opened: &Opened, root: &OwnedFd, shown: &Path) -> Result<()> {
    let mut cache = ChunkCache::new(1);
    let mut buffer = vec![0; 1 << 20];
    for file in opened.bundle.files() {
        let place = shown.join(file.path);
        let failed = |error: io::Error| Failure::at_path("write", &place, &error);
        let (above, name) = file.path.rsplit_once('/').unwrap_or(("", file.path));
        let above = descend(root, above).map_err(failed)?;
        let mut draft = Draft::new(above.as_fd(), Readers::Usual).map_err(failed)?;
        copy(&opened.bundle, file.index, draft.file(), &mut buffer, &mut cache).map_err(failed)?;
        draft.keep(OsStr::new(name), Existing::Replaced).map_err(failed)?;
    }
    let place = shown.join(APP_FILE);
    let failed = |error: io::Error| Failure::at_path("write", &place, &error);
    let mut draft = Draft::new(root.as_fd(), Readers::Usual).map_err(failed)?;
    draft.file().write_all(&opened.app.to_json()).map_err(failed)?;
    draft.keep(OsStr::new(APP_FILE), Existing::Replaced).map_err(failed)
}

fn copy(
    bundle: &Bundle<File>,
    index: usize,
    output: &mut File,
    buffer: &mut [u8],
    cache: &mut ChunkCache,
) -> io::Result<()> {
    let mut offset = 0;
    loop {
        let count = bundle.read_at(index, offset, buffer, cache).map_err(io::Error::other)?;
        if count == 0 {
            return Ok(());
        }
        output.write_all(&buffer[..count])?;
        offset += count as u64;
    }
}

/// Opens the folder at `path` beneath `root`, making what is missing, following no link.
fn descend(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    let mut folder = root.try_clone()?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                io::Error::other(format!("`{name}` is a link or a file, not a folder"))
            }
            error => error.into(),
        })?;
    }
    Ok(folder)
}
