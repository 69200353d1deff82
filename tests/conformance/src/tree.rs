//! Folders of the host: copies, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

/// Everything below `root`, by path relative to it; links are not followed.
pub(crate) fn snapshot(root: &Path) -> io::Result<BTreeMap<PathBuf, Entry>> {
    let mut entries = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            let value = if kind.is_dir() {
                folders.push(path.clone());
                Entry::Directory
            } else if kind.is_symlink() {
                Entry::Link(fs::read_link(&path)?)
            } else {
                Entry::File(fs::read(&path)?)
            };
            entries.insert(path.strip_prefix(root).unwrap_or(&path).to_path_buf(), value);
        }
    }
    Ok(entries)
}

/// Copies everything below `from` into the folder `to`, which is made.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    // A map sorted by path has every folder before what is in it.
    for (path, entry) in snapshot(from)? {
        let path = to.join(path);
        match entry {
            Entry::Directory => fs::create_dir(path)?,
            Entry::File(contents) => fs::write(path, contents)?,
            Entry::Link(target) => symlink(target, path)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_and_a_change_is_seen() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/file"), "x").unwrap();
        symlink("../nowhere", from.join("a/link")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(snapshot(&from).unwrap(), snapshot(&to).unwrap());
        fs::write(to.join("a/b/file"), "y").unwrap();
        assert_ne!(snapshot(&from).unwrap(), snapshot(&to).unwrap());
    }
}
