//! Hard links and symbolic links.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(symbolic, reading, hard, loops, wrong);

fn symbolic() {
    put(ROOT, "file", b"contents");
    assert_eq!(path_symlink("file", ROOT, "link"), Ok(()));
    assert_eq!(path_symlink("file", ROOT, "link"), Err(EXIST));
    let link = path_filestat_get(ROOT, 0, "link").unwrap();
    assert_eq!((link.filetype, link.size), (filetype::SYMBOLIC_LINK, 4));
    let target = path_filestat_get(ROOT, FOLLOW, "link").unwrap();
    assert_eq!((target.filetype, target.size), (filetype::REGULAR_FILE, 8));
    // Removing the link leaves the file.
    assert_eq!(path_unlink_file(ROOT, "link"), Ok(()));
    expect_contents(ROOT, "file", b"contents");
    assert_eq!(path_symlink("", ROOT, "empty"), Err(NOENT));
    assert_eq!(path_symlink("x", ROOT, "no/link"), Err(NOENT));
    match path_symlink("/etc/passwd", ROOT, "absolute") {
        Ok(()) => assert_eq!(path_filestat_get(ROOT, FOLLOW, "absolute"), Err(NOTCAPABLE)),
        refused => assert!(matches!(refused, Err(NOTCAPABLE | PERM)), "{refused:?}"),
    }
}

fn reading() {
    assert_eq!(path_symlink("twelve-bytes", ROOT, "read"), Ok(()));
    let mut buffer = [0xaa; 16];
    assert_eq!(path_readlink(ROOT, "read", &mut buffer), Ok(12));
    assert_eq!(&buffer, b"twelve-bytes\xaa\xaa\xaa\xaa");
    // A short buffer gets the beginning, as with readlink(2).
    let mut buffer = [0xaa; 6];
    assert_eq!(path_readlink(ROOT, "read", &mut buffer[..5]), Ok(5));
    assert_eq!(&buffer, b"twelv\xaa");
    assert_eq!(path_readlink(ROOT, "file", &mut buffer), Err(INVAL));
    assert_eq!(path_readlink(ROOT, "absent", &mut buffer), Err(NOENT));
    assert_eq!(path_readlink(ROOT, ".", &mut buffer), Err(INVAL));
}

fn hard() {
    assert_eq!(path_link(ROOT, 0, "file", ROOT, "second"), Ok(()));
    let (one, two) =
        (path_filestat_get(ROOT, 0, "file").unwrap(), path_filestat_get(ROOT, 0, "second").unwrap());
    assert_eq!((one.inode, one.device, one.links, two.links), (two.inode, two.device, 2, 2));
    assert_eq!(path_link(ROOT, 0, "file", ROOT, "second"), Err(EXIST));
    assert_eq!(path_link(ROOT, 0, "absent", ROOT, "third"), Err(NOENT));
    assert_eq!(path_unlink_file(ROOT, "file"), Ok(()));
    expect_contents(ROOT, "second", b"contents");
    assert_eq!(path_filestat_get(ROOT, 0, "second").unwrap().links, 1);
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    let dir = path_link(ROOT, 0, "dir", ROOT, "dir2");
    assert!(matches!(dir, Err(PERM | ACCES)), "{dir:?}");
    assert_eq!(path_link(ROOT, 0, "second", ROOT, "dir"), Err(EXIST));
    // Without following, the link itself gets a second name.
    assert_eq!(path_symlink("second", ROOT, "soft"), Ok(()));
    assert_eq!(path_link(ROOT, 0, "soft", ROOT, "soft2"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "soft2").unwrap().filetype, filetype::SYMBOLIC_LINK);
    let followed = path_link(ROOT, FOLLOW, "soft", ROOT, "hard2");
    match followed {
        Ok(()) => assert_eq!(path_filestat_get(ROOT, 0, "hard2").unwrap().filetype, filetype::REGULAR_FILE),
        refused => assert_eq!(refused, Err(INVAL)),
    }
}

fn loops() {
    assert_eq!(path_symlink("loop", ROOT, "loop"), Ok(()));
    assert_eq!(path_filestat_get(ROOT, FOLLOW, "loop"), Err(LOOP));
    assert_eq!(path_filestat_get(ROOT, 0, "loop/x"), Err(LOOP));
    assert_eq!(path_symlink("pong", ROOT, "ping"), Ok(()));
    assert_eq!(path_symlink("ping", ROOT, "pong"), Ok(()));
    assert_eq!(path_open(ROOT, FOLLOW, b"ping", 0, rights::READ, 0, 0), Err(LOOP));
    // Each step doubles the work of a naive resolver; a limit on the number of links stops it.
    assert_eq!(path_symlink("dir", ROOT, "x0"), Ok(()));
    let names = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"];
    for pair in names.windows(2) {
        let mut target = [b'/'; 64];
        let mut at = 0;
        for _ in 0..10 {
            target[at..at + 2].copy_from_slice(pair[0].as_bytes());
            target[at + 2..at + 6].copy_from_slice(b"/../");
            at += 6;
        }
        target[at..at + 2].copy_from_slice(pair[0].as_bytes());
        let target = core::str::from_utf8(&target[..at + 2]).unwrap();
        assert_eq!(path_symlink(target, ROOT, pair[1]), Ok(()));
    }
    assert_eq!(path_filestat_get(ROOT, FOLLOW, "x1").unwrap().filetype, filetype::DIRECTORY);
    assert_eq!(path_filestat_get(ROOT, FOLLOW, "x7"), Err(LOOP));
}

fn wrong() {
    let mut buffer = [0; 8];
    assert_eq!(path_readlink(NO_FD, "read", &mut buffer), Err(BADF));
    assert_eq!(path_symlink("x", NO_FD, "y"), Err(BADF));
    assert_eq!(path_link(NO_FD, 0, "second", ROOT, "third"), Err(BADF));
    assert_eq!(path_link(ROOT, 0, "second", NO_FD, "third"), Err(BADF));
    let (name, mut used) = (b"read".as_ptr() as u32, 0_u32);
    let used = &raw mut used as u32;
    // SAFETY: the good addresses are those of the values above; the host must not write to the bad ones.
    unsafe {
        assert_eq!(done(raw::path_readlink(ROOT, name, 4, BAD_POINTER, 100, used)), Err(FAULT));
        let room = buffer.as_mut_ptr() as u32;
        assert_eq!(done(raw::path_readlink(ROOT, name, 4, room, 8, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::path_readlink(ROOT, BAD_POINTER, 100, room, 8, used)), Err(FAULT));
        assert_eq!(done(raw::path_symlink(BAD_POINTER, 100, ROOT, name, 4)), Err(FAULT));
        assert_eq!(done(raw::path_symlink(name, 4, ROOT, BAD_POINTER, 100)), Err(FAULT));
        assert_eq!(done(raw::path_link(ROOT, 0, BAD_POINTER, 100, ROOT, name, 4)), Err(FAULT));
        assert_eq!(done(raw::path_link(ROOT, 0, name, 4, ROOT, BAD_POINTER, 100)), Err(FAULT));
    }
}
