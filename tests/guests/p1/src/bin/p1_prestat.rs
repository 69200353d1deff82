//! The preopens `/` and `/second`: their names and what has none.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(names, wrong, closed);

fn names() {
    assert_eq!(fd_prestat_get(3), Ok(1));
    let mut name = [0xaa; 16];
    assert_eq!(fd_prestat_dir_name(3, &mut name[..1]), Ok(()));
    assert_eq!(&name[..2], b"/\xaa");
    assert_eq!(fd_prestat_get(4), Ok(7));
    assert_eq!(fd_prestat_dir_name(4, &mut name[..7]), Ok(()));
    assert_eq!(&name[..8], b"/second\xaa");
    assert_eq!(fd_prestat_get(5), Err(BADF), "libc stops looking at the first that is none");
    // Two preopens are two trees: a path in one does not reach the other, nor can a file move.
    put(3, "here", b"1");
    assert_eq!(path_filestat_get(4, 0, "here"), Err(NOENT));
    assert_eq!(path_rename(3, "here", 4, "there"), Err(XDEV));
    assert_eq!(path_link(3, 0, "here", 4, "there"), Err(XDEV));
    assert_eq!(path_filestat_get(4, 0, "there"), Err(NOENT));
    let (one, two) = (fd_filestat_get(3).unwrap(), fd_filestat_get(4).unwrap());
    assert_ne!((one.device, one.inode), (two.device, two.inode));
    // The second is mounted in the first, so it is seen from there too.
    put(4, "inner", b"2");
    expect_contents(3, "second/inner", b"2");
    assert_eq!(path_remove_directory(3, "second"), Err(BUSY));
    assert_eq!(path_rename(3, "second", 3, "moved"), Err(BUSY));
    assert_eq!(path_filestat_get(4, 0, ".."), Err(NOTCAPABLE));
    assert_eq!(path_filestat_get(3, 0, "second/../here"), Err(NOTCAPABLE), "never out of an entered mount");
}

fn wrong() {
    let mut name = [0; 16];
    assert_eq!(fd_prestat_dir_name(NO_FD, &mut name), Err(BADF));
    assert_eq!(fd_prestat_get(NO_FD), Err(BADF));
    assert_eq!(fd_prestat_dir_name(4, &mut name[..3]), Err(NAMETOOLONG));
    // An ordinary directory is no preopen.
    assert_eq!(path_create_directory(3, "ordinary"), Ok(()));
    let dir = open_dir(3, "ordinary").unwrap();
    let prestat = fd_prestat_get(dir);
    assert!(matches!(prestat, Err(BADF | NOTSUP)), "{prestat:?}");
    assert_eq!(fd_close(dir), Ok(()));
    // SAFETY: the host must not write anywhere.
    unsafe {
        assert_eq!(done(raw::fd_prestat_get(3, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::fd_prestat_dir_name(4, BAD_POINTER, 7)), Err(FAULT));
    }
}

fn closed() {
    assert_eq!(fd_close(4), Ok(()));
    assert_eq!(fd_prestat_get(4), Err(BADF));
    assert_eq!(path_filestat_get(4, 0, "inner"), Err(BADF));
    assert_eq!(fd_prestat_get(3), Ok(1));
}
