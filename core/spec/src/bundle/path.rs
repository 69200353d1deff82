//! Paths of packaged files, and names of modules.

use alloc::string::String;
use core::cmp::Ordering;

use super::error::{Error, PathError};
use super::limits::{MAX_COMPONENT_BYTES, MAX_PATH_BYTES};

/// Checks that `path` is relative, normalised and harmless on every host: UTF-8, components joined by single slashes,
/// none of them `.` or `..`, no control character (a terminal would obey it) and no backslash (Windows would descend).
///
/// # Errors
///
/// Why it is refused.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(PathError::Character);
    }
    for component in path.split('/') {
        match component {
            "" => return Err(PathError::EmptyComponent),
            "." => return Err(PathError::Dot),
            ".." => return Err(PathError::DotDot),
            name if name.len() > MAX_COMPONENT_BYTES => return Err(PathError::ComponentTooLong),
            _ => {}
        }
    }
    Ok(())
}

/// The order of paths in a bundle: by components, each by its bytes. Whatever is in a folder follows directly after
/// the place of a file with the folder's name, which is what makes `check_neighbours` enough.
pub fn compare_paths(left: &str, right: &str) -> Ordering {
    left.split('/').cmp(right.split('/'))
}

/// Checks two paths that follow each other: no duplicate, no disorder, no file that is also a folder.
pub(crate) fn check_neighbours(left: &str, right: &str) -> Result<(), Error> {
    match compare_paths(left, right) {
        Ordering::Equal => return Err(Error::DuplicatePath { path: String::from(right) }),
        Ordering::Greater => return Err(Error::PathOrder { path: String::from(right) }),
        Ordering::Less => {}
    }
    if right.strip_prefix(left).is_some_and(|rest| rest.starts_with('/')) {
        return Err(Error::FileIsFolder { path: String::from(left) });
    }
    Ok(())
}

/// Reads a path from the bytes of a header.
pub(crate) fn parse_path(bytes: &[u8]) -> Result<&str, Error> {
    let refused = |reason| Error::Path { path: String::from_utf8_lossy(bytes).into_owned(), reason };
    let path = core::str::from_utf8(bytes).map_err(|_| refused(PathError::NotUtf8))?;
    check_path(path).map_err(refused)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_are_refused() {
        let long = "a/".repeat(2048) + "b";
        for (path, reason) in [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::Absolute),
            ("../up", PathError::DotDot),
            ("a/../b", PathError::DotDot),
            ("a/..", PathError::DotDot),
            ("./a", PathError::Dot),
            ("a//b", PathError::EmptyComponent),
            ("a/", PathError::EmptyComponent),
            ("a\0b", PathError::Character),
            ("a\x1b[2Jb", PathError::Character),
            ("a\\..\\b", PathError::Character),
            (&"x".repeat(256), PathError::ComponentTooLong),
            (&long, PathError::TooLong),
        ] {
            assert_eq!(check_path(path), Err(reason), "{path:?}");
        }
        for path in ["a", "a/b.wasm", "..a", "a/...", "ñandú/über", &"x".repeat(255)] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn a_file_stands_directly_before_what_its_name_holds() {
        let mut paths = ["a-b", "a/b", "a", "a!/c", "b"];
        paths.sort_by(|left, right| compare_paths(left, right));
        assert_eq!(paths, ["a", "a/b", "a!/c", "a-b", "b"]);
        assert_eq!(check_neighbours("a", "a/b"), Err(Error::FileIsFolder { path: "a".into() }));
        assert_eq!(check_neighbours("a", "a"), Err(Error::DuplicatePath { path: "a".into() }));
        assert_eq!(check_neighbours("b", "a"), Err(Error::PathOrder { path: "a".into() }));
        assert_eq!(check_neighbours("a/b", "a!/c"), Ok(()));
    }
}
