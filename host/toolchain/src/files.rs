//! The files of a project.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The most files of a project that are looked at.
const FILES_MAX: usize = 10_000;
/// How deep folders are looked into.
const DEPTH_MAX: usize = 16;

/// The files beneath `folder` whose names end in one of `endings`, sorted. Hidden files and folders are left out, and links
/// are not followed into folders.
///
/// # Errors
///
/// When there are too many files.
pub(crate) fn with_endings(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut seen = 0;
    walk(folder, 0, &mut seen, &mut |path| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if endings.contains(&ending) {
            found.push(path);
        }
    })?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, seen: &mut usize, visit: &mut dyn FnMut(PathBuf)) -> Result<()> {
    // A folder that is not there has no files.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        *seen += 1;
        if *seen > FILES_MAX {
            let what = format!("`{}` holds more than {FILES_MAX} files", folder.display());
            return Err(Error::sources(what, "keep the sources in a folder of their own"));
        }
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => walk(&entry.path(), depth + 1, seen, visit)?,
            Ok(kind) if kind.is_dir() => {}
            _ => visit(entry.path()),
        }
    }
    Ok(())
}

/// Whether files directly in `folder` have this ending.
pub(crate) fn has_ending(folder: &Path, ending: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|found| found == ending))
}

/// Makes a folder with those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::system("make", folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_in_order_and_hidden_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["b.c", "a.c", "deep/er/c.cpp", ".hidden/d.c", ".e.c", "readme.md", "c"] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("round")).unwrap();
        let found = with_endings(folder.path(), &["c", "cpp"]).unwrap();
        assert_eq!(found, [at("a.c"), at("b.c"), at("deep/er/c.cpp")]);
        assert!(with_endings(&at("absent"), &["c"]).unwrap().is_empty());
        assert!(has_ending(folder.path(), "md") && !has_ending(folder.path(), "cpp"));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_owned();
        for _ in 0..=DEPTH_MAX + 1 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.c"), "").unwrap();
        assert!(with_endings(folder.path(), &["c"]).unwrap().is_empty());
        for number in 0..=FILES_MAX {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert!(matches!(with_endings(folder.path(), &["c"]), Err(Error::Sources { .. })));
    }
}
