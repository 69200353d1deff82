//! Creating and removing directories and files, trailing slashes included.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(create_and_remove, files, slashes, in_use, wrong);

fn create_and_remove() {
    assert_eq!(path_create_directory(ROOT, "a"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "a"), Err(EXIST));
    assert_eq!(path_create_directory(ROOT, "a/b"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "no/b"), Err(NOENT));
    assert_eq!(path_filestat_get(ROOT, 0, "a/b").unwrap().filetype, filetype::DIRECTORY);
    assert_eq!(path_remove_directory(ROOT, "a"), Err(NOTEMPTY));
    assert_eq!(path_unlink_file(ROOT, "a/b"), Err(ISDIR));
    assert_eq!(path_remove_directory(ROOT, "a/b"), Ok(()));
    assert_eq!(path_remove_directory(ROOT, "a/b"), Err(NOENT));
    assert_eq!(path_remove_directory(ROOT, "a"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "a"), Err(NOENT));
}

fn files() {
    put(ROOT, "file", b"x");
    assert_eq!(path_create_directory(ROOT, "file"), Err(EXIST));
    assert_eq!(path_create_directory(ROOT, "file/below"), Err(NOTDIR));
    assert_eq!(path_remove_directory(ROOT, "file"), Err(NOTDIR));
    assert_eq!(path_unlink_file(ROOT, "file/"), Err(NOTDIR));
    assert_eq!(path_unlink_file(ROOT, "file"), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "file"), Err(NOENT));
}

fn slashes() {
    assert_eq!(path_create_directory(ROOT, "dir/"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "dir/"), Err(EXIST));
    assert_eq!(path_remove_directory(ROOT, "dir//"), Ok(()));
    for path in ["", "/", "/abs"] {
        assert!(path_create_directory(ROOT, path).is_err(), "create `{path}`");
        assert!(path_remove_directory(ROOT, path).is_err(), "remove `{path}`");
        assert!(path_unlink_file(ROOT, path).is_err(), "unlink `{path}`");
    }
    for path in [".", "./", "./."] {
        assert!(path_create_directory(ROOT, path).is_err(), "create `{path}`");
        assert!(path_remove_directory(ROOT, path).is_err(), "remove `{path}`");
        assert!(path_unlink_file(ROOT, path).is_err(), "unlink `{path}`");
    }
}

fn in_use() {
    assert_eq!(path_create_directory(ROOT, "used"), Ok(()));
    let dir = open_dir(ROOT, "used").unwrap();
    assert_eq!(path_remove_directory(ROOT, "used"), Ok(()));
    assert_eq!(fd_filestat_get(dir).unwrap().filetype, filetype::DIRECTORY);
    let made = open(dir, "x", oflags::CREAT, rights::BOTH);
    assert_eq!(made, Err(NOENT), "nothing can be made in a removed directory");
    assert_eq!(path_create_directory(dir, "x"), Err(NOENT));
    assert_eq!(fd_close(dir), Ok(()));
}

fn wrong() {
    put(ROOT, "plain", b"");
    let file = open(ROOT, "plain", 0, rights::READ).unwrap();
    for (fd, expected) in [(NO_FD, BADF), (file, NOTDIR)] {
        for result in
            [path_create_directory(fd, "x"), path_remove_directory(fd, "x"), path_unlink_file(fd, "x")]
        {
            assert!(result == Err(expected) || (fd == file && result == Err(NOTCAPABLE)), "{result:?}");
        }
    }
    // SAFETY: the host reads at most, and must not even that.
    unsafe {
        assert_eq!(done(raw::path_create_directory(ROOT, BAD_POINTER, 100)), Err(FAULT));
        assert_eq!(done(raw::path_remove_directory(ROOT, BAD_POINTER, 100)), Err(FAULT));
        assert_eq!(done(raw::path_unlink_file(ROOT, BAD_POINTER, 100)), Err(FAULT));
    }
}
