//! A folder of the host before anything is done with it.

use std::io;
use std::path::{Path, PathBuf};

use cap_fs_ext::DirExt as _;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::attributes::file_id;
use super::names::component;

/// A folder of the host, opened once: what is asked of it and what [`DiskFs`](super::DiskFs) serves is the same folder,
/// whatever takes its place under its name meanwhile.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    /// Where it was when it was opened.
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`. Links are followed: it is the operator's path.
    ///
    /// # Errors
    ///
    /// The host's, when it is no folder or cannot be reached.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        Ok(Self { dir: Dir::open_ambient_dir(&path, ambient_authority())?, path })
    }

    /// Opens a folder beneath this one. No link is followed.
    ///
    /// # Errors
    ///
    /// `CrossesDevices` when `path` leads out of this folder; otherwise the host's.
    pub fn open_beneath(&self, path: &str) -> io::Result<Self> {
        let out = || io::Error::from(io::ErrorKind::CrossesDevices);
        if path.starts_with('/') {
            return Err(out());
        }
        let mut folder = self.try_clone()?;
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            let name = component(name).map_err(|_| out())?;
            folder.dir = folder.dir.open_dir_nofollow(name)?;
            folder.path.push(name);
        }
        Ok(folder)
    }

    /// Where the folder is: absolute, without links.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is no longer where it was opened.
    pub fn path(&self) -> io::Result<PathBuf> {
        let there = Dir::open_ambient_dir(&self.path, ambient_authority())?;
        if file_id(&there.dir_metadata()?) != file_id(&self.dir.dir_metadata()?) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder was moved or removed"));
        }
        Ok(self.path.clone())
    }

    /// A second hand on the same folder.
    ///
    /// # Errors
    ///
    /// The host's, when there are too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { dir: self.dir.try_clone()?, path: self.path.clone() })
    }

    pub(super) fn into_dir(self) -> Dir {
        self.dir
    }

    pub(super) fn as_dir(&self) -> &Dir {
        &self.dir
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| outside.path().join(name);
        std::fs::create_dir_all(at("root/in/deep")).unwrap();
        std::fs::create_dir(at("secret")).unwrap();
        for (target, link) in [("../secret", "out"), ("/", "top"), ("in", "near")] {
            std::os::unix::fs::symlink(target, at("root").join(link)).unwrap();
        }
        let root = Folder::open(&at("root")).unwrap();
        let known = root.path().unwrap();
        for path in ["in", "in/deep", "in/.", "./in//deep/"] {
            let beneath = root.open_beneath(path).unwrap().path().unwrap();
            assert!(beneath.starts_with(known.join("in")), "{path}");
        }
        for path in ["..", "in/../../secret", "out", "top", "near", "/", "in/../.."] {
            assert!(root.open_beneath(path).is_err(), "{path}");
        }
        assert_eq!(root.open_beneath("..").unwrap_err().kind(), io::ErrorKind::CrossesDevices);
        assert_eq!(root.open_beneath("absent").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_folder_stays_itself_and_does_not_take_another_for_itself() {
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| outside.path().join(name);
        std::fs::create_dir_all(at("one/inner")).unwrap();
        let folder = Folder::open(&at("one")).unwrap();
        std::fs::rename(at("one"), at("two")).unwrap();
        assert_eq!(folder.path().unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::create_dir(at("one")).unwrap();
        assert_eq!(folder.path().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(folder.open_beneath("inner").is_ok());
    }
}
