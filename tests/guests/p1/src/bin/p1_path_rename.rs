//! Renaming: what is replaced, what is refused, and that nothing is half done.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(files, directories, across, links, slashes, wrong);

fn files() {
    put(ROOT, "a", b"a");
    put(ROOT, "b", b"bb");
    assert_eq!(path_rename(ROOT, "a", ROOT, "c"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "a"), Err(NOENT));
    let open = open(ROOT, "b", 0, rights::READ).unwrap();
    assert_eq!(path_rename(ROOT, "c", ROOT, "b"), Ok(()));
    expect_contents(ROOT, "b", b"a");
    assert_eq!(fd_filestat_get(open).unwrap().size, 2, "an open file keeps what it had");
    assert_eq!(fd_close(open), Ok(()));
    assert_eq!(path_rename(ROOT, "b", ROOT, "b"), Ok(()));
    expect_contents(ROOT, "b", b"a");
    assert_eq!(path_rename(ROOT, "absent", ROOT, "b"), Err(NOENT));
    assert_eq!(path_rename(ROOT, "b", ROOT, "no/b"), Err(NOENT));
    assert_eq!(path_rename(ROOT, "b", ROOT, ""), Err(NOENT));
    // Two names of one file: nothing happens, both stay.
    assert_eq!(path_link(ROOT, 0, "b", ROOT, "b2"), Ok(()));
    assert_eq!(path_rename(ROOT, "b", ROOT, "b2"), Ok(()));
    expect_contents(ROOT, "b", b"a");
    expect_contents(ROOT, "b2", b"a");
}

fn directories() {
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "dir/sub"), Ok(()));
    put(ROOT, "dir/sub/file", b"deep");
    assert_eq!(path_create_directory(ROOT, "empty"), Ok(()));
    assert_eq!(path_rename(ROOT, "b", ROOT, "empty"), Err(ISDIR));
    assert_eq!(path_rename(ROOT, "empty", ROOT, "b"), Err(NOTDIR));
    assert_eq!(path_rename(ROOT, "empty", ROOT, "dir"), Err(NOTEMPTY));
    assert_eq!(path_rename(ROOT, "dir", ROOT, "dir/sub/in"), Err(INVAL));
    let itself = path_rename(ROOT, "dir", ROOT, "dir/sub");
    assert!(matches!(itself, Err(INVAL | NOTEMPTY)), "{itself:?}");
    let handle = open_dir(ROOT, "dir/sub").unwrap();
    assert_eq!(path_rename(ROOT, "dir", ROOT, "empty"), Ok(()));
    expect_contents(ROOT, "empty/sub/file", b"deep");
    expect_contents(handle, "file", b"deep");
    assert_eq!(path_filestat_get(ROOT, 0, "dir"), Err(NOENT));
    assert_eq!(fd_close(handle), Ok(()));
    let up = path_rename(ROOT, "empty/sub", ROOT, "empty");
    assert!(matches!(up, Err(NOTEMPTY | EXIST)), "{up:?}");
}

fn across() {
    assert_eq!(path_create_directory(ROOT, "one"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "two"), Ok(()));
    let (one, two) = (open_dir(ROOT, "one").unwrap(), open_dir(ROOT, "two").unwrap());
    put(one, "moving", b"m");
    assert_eq!(path_rename(one, "moving", two, "moved"), Ok(()));
    expect_contents(ROOT, "two/moved", b"m");
    assert_eq!(path_rename(two, "moved", one, "../out"), Err(NOTCAPABLE));
    assert_eq!(path_rename(two, "../one", two, "in"), Err(NOTCAPABLE));
    expect_contents(two, "moved", b"m");
    assert_eq!((fd_close(one), fd_close(two)), (Ok(()), Ok(())));
}

fn links() {
    // A link is renamed and replaced itself, whatever it points at.
    assert_eq!(path_symlink("b", ROOT, "soft"), Ok(()));
    assert_eq!(path_rename(ROOT, "soft", ROOT, "soft2"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "soft2").unwrap().filetype, filetype::SYMBOLIC_LINK);
    put(ROOT, "over", b"over");
    assert_eq!(path_rename(ROOT, "over", ROOT, "soft2"), Ok(()));
    expect_contents(ROOT, "soft2", b"over");
    expect_contents(ROOT, "b", b"a");
}

fn slashes() {
    assert_eq!(path_rename(ROOT, "b/", ROOT, "c"), Err(NOTDIR));
    assert_eq!(path_rename(ROOT, "b", ROOT, "c/"), Err(NOTDIR));
    expect_contents(ROOT, "b", b"a");
    assert_eq!(path_rename(ROOT, "one/", ROOT, "uno/"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "uno").unwrap().filetype, filetype::DIRECTORY);
    for path in [".", "./.", "/"] {
        assert!(path_rename(ROOT, path, ROOT, "x").is_err(), "from `{path}`");
        assert!(path_rename(ROOT, "uno", ROOT, path).is_err(), "to `{path}`");
    }
}

fn wrong() {
    assert_eq!(path_rename(NO_FD, "b", ROOT, "x"), Err(BADF));
    assert_eq!(path_rename(ROOT, "b", NO_FD, "x"), Err(BADF));
    let name = b"b".as_ptr() as u32;
    // SAFETY: the host reads at most, and must not even that.
    unsafe {
        assert_eq!(done(raw::path_rename(ROOT, BAD_POINTER, 100, ROOT, name, 1)), Err(FAULT));
        assert_eq!(done(raw::path_rename(ROOT, name, 1, ROOT, BAD_POINTER, 100)), Err(FAULT));
    }
    expect_contents(ROOT, "b", b"a");
}
