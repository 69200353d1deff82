//! Opening: what is created, emptied, followed, refused, and with which rights.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(creation, truncation, directories, links, names, handed_rights, flags, wrong);

use oflags::{CREAT, DIRECTORY, EXCL, TRUNC};

fn close(fd: Result<Fd>) {
    assert_eq!(fd_close(fd.unwrap()), Ok(()));
}

fn creation() {
    assert_eq!(open(ROOT, "new", 0, rights::READ), Err(NOENT));
    close(open(ROOT, "new", CREAT, rights::BOTH));
    close(open(ROOT, "new", CREAT, rights::BOTH));
    assert_eq!(open(ROOT, "new", CREAT | EXCL, rights::BOTH), Err(EXIST));
    assert_eq!(open(ROOT, "no/new", CREAT, rights::BOTH), Err(NOENT));
    assert_eq!(open(ROOT, "new/below", CREAT, rights::BOTH), Err(NOTDIR));
    assert_eq!(open(ROOT, "new/", 0, rights::READ), Err(NOTDIR));
    let slash = open(ROOT, "slash/", CREAT, rights::BOTH);
    assert!(matches!(slash, Err(ISDIR | NOTDIR | NOENT | INVAL)), "{slash:?}");
    assert_eq!(path_filestat_get(ROOT, 0, "slash"), Err(NOENT));
}

fn truncation() {
    put(ROOT, "full", b"0123456789");
    close(open(ROOT, "full", TRUNC, rights::BOTH));
    assert_eq!(path_filestat_get(ROOT, 0, "full").unwrap().size, 0);
    assert_eq!(open(ROOT, "absent", TRUNC, rights::BOTH), Err(NOENT));
}

fn directories() {
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    close(open(ROOT, "dir", DIRECTORY, 0));
    close(open(ROOT, "dir/", DIRECTORY, 0));
    close(open(ROOT, "dir/.", DIRECTORY, 0));
    close(open(ROOT, "dir/..", DIRECTORY, 0));
    close(open(ROOT, ".", DIRECTORY, 0));
    assert_eq!(open(ROOT, "full", DIRECTORY, 0), Err(NOTDIR));
    let write = open(ROOT, "dir", 0, rights::FD_READ | rights::FD_WRITE);
    assert_eq!(write, Err(ISDIR));
    let create = open(ROOT, "dir", CREAT, rights::BOTH);
    assert!(matches!(create, Err(ISDIR)), "{create:?}");
    let both = open(ROOT, "fresh", CREAT | DIRECTORY, 0);
    assert!(matches!(both, Err(INVAL | NOTDIR | NOENT)), "{both:?}");
    // A path starts where the descriptor is.
    let dir = open_dir(ROOT, "dir").unwrap();
    put(dir, "inner", b"inner");
    expect_contents(ROOT, "dir/inner", b"inner");
    expect_contents(dir, "./././inner", b"inner");
    assert_eq!(open(dir, "..", DIRECTORY, 0), Err(NOTCAPABLE));
    assert_eq!(fd_close(dir), Ok(()));
}

fn links() {
    assert_eq!(path_symlink("dir/inner", ROOT, "link"), Ok(()));
    assert_eq!(open(ROOT, "link", 0, rights::READ), Err(LOOP));
    close(path_open(ROOT, FOLLOW, b"link", 0, rights::READ, 0, 0));
    assert_eq!(path_open(ROOT, FOLLOW, b"link", CREAT | EXCL, rights::BOTH, 0, 0), Err(EXIST));
    // A dangling link is followed by a creation, unless it is exclusive.
    assert_eq!(path_symlink("made", ROOT, "dangling"), Ok(()));
    assert_eq!(path_open(ROOT, FOLLOW, b"dangling", 0, rights::READ, 0, 0), Err(NOENT));
    assert_eq!(path_open(ROOT, FOLLOW, b"dangling", CREAT | EXCL, rights::BOTH, 0, 0), Err(EXIST));
    close(path_open(ROOT, FOLLOW, b"dangling", CREAT, rights::BOTH, 0, 0));
    assert_eq!(path_filestat_get(ROOT, 0, "made").unwrap().filetype, filetype::REGULAR_FILE);
    // Links in the middle are always followed.
    assert_eq!(path_symlink("dir", ROOT, "way"), Ok(()));
    expect_contents(ROOT, "way/inner", b"inner");
}

fn names() {
    assert_eq!(open(ROOT, "", 0, rights::READ), Err(NOENT));
    assert_eq!(open(ROOT, "/", 0, 0), Err(NOTCAPABLE));
    assert_eq!(open(ROOT, "a\0b", CREAT, rights::BOTH), Err(INVAL));
    assert_eq!(path_open(ROOT, 0, b"\xff\xfe", CREAT, rights::BOTH, 0, 0), Err(ILSEQ));
    let long = [b'n'; 256];
    assert_eq!(path_open(ROOT, 0, &long, CREAT, rights::BOTH, 0, 0), Err(NAMETOOLONG));
    close(path_open(ROOT, 0, &long[..255], CREAT, rights::BOTH, 0, 0));
    assert_eq!(path_unlink_file(ROOT, core::str::from_utf8(&long[..255]).unwrap()), Ok(()));
    let mut deep = [b'/'; 5_000];
    for at in (0..deep.len()).step_by(2) {
        deep[at] = b'.';
    }
    assert_eq!(path_open(ROOT, 0, &deep, 0, rights::READ, 0, 0), Err(NAMETOOLONG));
    close(path_open(ROOT, 0, &deep[..4_001], DIRECTORY, 0, 0, 0));
    for name in ["ünïcode", "with space", "quote\"", "back\\slash", "line\nbreak", "...", "-rf", "日本語"]
    {
        put(ROOT, name, name.as_bytes());
        expect_contents(ROOT, name, name.as_bytes());
        assert_eq!(path_unlink_file(ROOT, name), Ok(()));
    }
}

fn handed_rights() {
    let dir = path_open(
        ROOT,
        0,
        b"dir",
        DIRECTORY,
        rights::PATH_OPEN | rights::FD_READDIR,
        rights::READ | rights::FD_READDIR,
        0,
    )
    .unwrap();
    close(open(dir, "inner", 0, rights::FD_READ));
    let stat = fd_fdstat_get(dir).unwrap();
    if stat.inheriting & rights::FD_WRITE == 0 {
        let write = path_open(dir, 0, b"inner", 0, rights::FD_WRITE, 0, 0);
        assert_eq!(write, Err(NOTCAPABLE), "a right that is not handed down cannot be had");
    }
    assert_eq!(fd_fdstat_set_rights(dir, stat.rights & !rights::PATH_OPEN, stat.inheriting), Ok(()));
    assert_eq!(open(dir, "inner", 0, rights::FD_READ), Err(NOTCAPABLE));
    assert_eq!(fd_close(dir), Ok(()));
}

fn flags() {
    let file = path_open(ROOT, 0, b"full", 0, rights::BOTH, 0, fdflags::APPEND | fdflags::NONBLOCK).unwrap();
    assert_eq!(u32::from(fd_fdstat_get(file).unwrap().flags), fdflags::APPEND | fdflags::NONBLOCK);
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_open(ROOT, 0, b"full", 1 << 12, rights::BOTH, 0, 0), Err(INVAL));
    assert_eq!(path_open(ROOT, 0, b"full", 0, rights::BOTH, 0, 1 << 12), Err(INVAL));
}

fn wrong() {
    assert_eq!(open(NO_FD, "full", 0, rights::READ), Err(BADF));
    let file = open(ROOT, "full", 0, rights::READ).unwrap();
    let below = open(file, "full", 0, rights::READ);
    assert!(matches!(below, Err(NOTDIR | NOTCAPABLE)), "{below:?}");
    assert_eq!(fd_close(file), Ok(()));
    let mut fd = 0_u32;
    let (name, fd) = (b"full".as_ptr() as u32, &raw mut fd as u32);
    // SAFETY: the good addresses are those of the values above; the host must not write to the bad one.
    unsafe {
        let refused = done(raw::path_open(ROOT, 0, BAD_POINTER, 4, 0, 0, 0, 0, fd));
        assert_eq!(refused, Err(FAULT));
        let refused = done(raw::path_open(ROOT, 0, name, u32::MAX, 0, 0, 0, 0, fd));
        assert!(matches!(refused, Err(FAULT | NAMETOOLONG)), "{refused:?}");
        // No descriptor may leak: the table holds far fewer than this.
        for _ in 0..2_000 {
            let refused = done(raw::path_open(ROOT, 0, name, 4, 0, 0, 0, 0, BAD_POINTER));
            assert_eq!(refused, Err(FAULT));
        }
    }
    close(open(ROOT, "full", 0, rights::READ));
}
