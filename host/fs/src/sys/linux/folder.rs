//! A folder of the host before anything is done with it.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::attributes::file_id;
use super::resolve;
use crate::sys::component::component;

const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder of the host, opened once: what is asked of it, what [`DiskFs`](crate::DiskFs) serves and what
/// [`landlock`](crate::landlock) keeps is the same folder, whatever takes its place under its name meanwhile.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

impl Folder {
    /// Opens the folder at `path`. Links are followed: it is the operator's path.
    ///
    /// # Errors
    ///
    /// The host's, when it is no folder or cannot be reached.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { fd: rustix::fs::open(path, FLAGS, Mode::empty())? })
    }

    /// Opens a folder beneath this one. Links that stay beneath it are followed where the kernel can tell (`openat2`,
    /// Linux 5.6), and none elsewhere.
    ///
    /// # Errors
    ///
    /// `CrossesDevices` when `path` leads out of this folder; otherwise the host's.
    pub fn open_beneath(&self, path: &str) -> io::Result<Self> {
        match resolve::beneath(self.fd.as_fd(), path, FLAGS, Mode::empty()) {
            Ok(fd) => Ok(Self { fd }),
            // Kernels before 5.6; some container filters.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path),
            Err(errno) => Err(errno.into()),
        }
    }

    /// One component after the other, following no link.
    fn walk(&self, path: &str) -> io::Result<Self> {
        if path.starts_with('/') {
            return Err(Errno::XDEV.into());
        }
        let mut folder = self.try_clone()?;
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            let name = component(name).map_err(|_| Errno::XDEV)?;
            folder.fd = rustix::fs::openat(&folder.fd, name, FLAGS | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Where the folder is now: absolute, without links.
    ///
    /// # Errors
    ///
    /// `NotFound` when it was removed, or lies where this process sees no path to it; the host's without `/proc`.
    pub fn path(&self) -> io::Result<PathBuf> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))?;
        // The kernel adds words to a path that leads nowhere any more, which may be another folder's name.
        let there = rustix::fs::stat(&path)?;
        if file_id(&there) != file_id(&rustix::fs::fstat(&self.fd)?) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder was moved or removed"));
        }
        Ok(path)
    }

    /// A second hand on the same folder.
    ///
    /// # Errors
    ///
    /// The host's, when there are too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_with_or_without_the_kernels_help() {
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| outside.path().join(name);
        std::fs::create_dir_all(at("root/in/deep")).unwrap();
        std::fs::create_dir(at("secret")).unwrap();
        for (target, link) in
            [("../secret", "out"), ("/", "top"), ("in", "near"), ("/proc/self/cwd", "magic")]
        {
            std::os::unix::fs::symlink(target, at("root").join(link)).unwrap();
        }
        let root = Folder::open(&at("root")).unwrap();
        let known = root.path().unwrap();
        for open in [Folder::open_beneath, Folder::walk] {
            for path in ["in", "in/deep", "in/.", "./in//deep/"] {
                let beneath = open(&root, path).unwrap().path().unwrap();
                assert!(beneath.starts_with(known.join("in")), "{path}");
            }
            for path in ["..", "in/../../secret", "out", "top", "magic", "/", "in/../.."] {
                assert!(open(&root, path).is_err(), "{path}");
            }
            assert_eq!(open(&root, "absent").unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(root.open_beneath("out").unwrap_err().kind(), io::ErrorKind::CrossesDevices);
        assert_eq!(root.open_beneath("near").unwrap().path().unwrap(), known.join("in"));
        assert!(root.walk("near").is_err());
    }

    #[test]
    fn a_folder_stays_itself_and_tells_where_it_is() {
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| outside.path().join(name);
        std::fs::create_dir(at("one")).unwrap();
        let folder = Folder::open(&at("one")).unwrap();
        std::fs::rename(at("one"), at("two")).unwrap();
        std::fs::create_dir(at("one")).unwrap();
        assert_eq!(folder.path().unwrap(), at("two").canonicalize().unwrap());
        std::fs::remove_dir(at("two")).unwrap();
        // What the kernel now calls the folder is another one.
        std::fs::create_dir(at("two (deleted)")).unwrap();
        assert_eq!(folder.path().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
