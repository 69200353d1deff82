//! Attributes and times by path.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(attributes, times, wrong);

fn attributes() {
    put(ROOT, "file", b"12345");
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    assert_eq!(path_symlink("file", ROOT, "link"), Ok(()));
    let file = path_filestat_get(ROOT, 0, "file").unwrap();
    assert_eq!((file.filetype, file.size, file.links), (filetype::REGULAR_FILE, 5, 1));
    assert_eq!(path_filestat_get(ROOT, 0, "dir").unwrap().filetype, filetype::DIRECTORY);
    assert_eq!(path_filestat_get(ROOT, 0, "link").unwrap().filetype, filetype::SYMBOLIC_LINK);
    assert_eq!(path_filestat_get(ROOT, FOLLOW, "link").unwrap().inode, file.inode);
    let root = path_filestat_get(ROOT, 0, ".").unwrap();
    assert_eq!(path_filestat_get(ROOT, 0, "dir/..").unwrap().inode, root.inode);
    assert_eq!(fd_filestat_get(ROOT).unwrap().inode, root.inode);
    assert_eq!(path_filestat_get(ROOT, 0, "file/"), Err(NOTDIR));
    assert_eq!(path_filestat_get(ROOT, 0, "file/x"), Err(NOTDIR));
    assert_eq!(path_filestat_get(ROOT, 0, "file/.."), Err(NOTDIR));
    assert_eq!(path_filestat_get(ROOT, 0, "absent"), Err(NOENT));
    assert_eq!(path_filestat_get(ROOT, 0, "absent/.."), Err(NOENT));
    let now = clock_time_get(clock::REALTIME).unwrap();
    assert!(file.modified.abs_diff(now) < 60_000_000_000, "{} is not {now}", file.modified);
}

fn times() {
    const SECOND: u64 = 1_000_000_000;
    let both = fstflags::ATIM | fstflags::MTIM;
    assert_eq!(path_filestat_set_times(ROOT, 0, "file", 10 * SECOND, 20 * SECOND, both), Ok(()));
    let stat = path_filestat_get(ROOT, 0, "file").unwrap();
    assert_eq!((stat.accessed, stat.modified), (10 * SECOND, 20 * SECOND));
    // Through the link, then of the link itself.
    assert_eq!(path_filestat_set_times(ROOT, FOLLOW, "link", 0, 30 * SECOND, fstflags::MTIM), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "file").unwrap().modified, 30 * SECOND);
    assert_eq!(path_filestat_set_times(ROOT, 0, "link", 0, 40 * SECOND, fstflags::MTIM), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "link").unwrap().modified, 40 * SECOND);
    assert_eq!(path_filestat_get(ROOT, 0, "file").unwrap().modified, 30 * SECOND);
    assert_eq!(path_filestat_set_times(ROOT, 0, "dir", 0, 50 * SECOND, fstflags::MTIM), Ok(()));
    assert_eq!(path_filestat_get(ROOT, 0, "dir").unwrap().modified, 50 * SECOND);
    // A new entry is a change of the directory.
    put(ROOT, "dir/new", b"");
    assert!(path_filestat_get(ROOT, 0, "dir").unwrap().modified > 50 * SECOND);
    for flags in [fstflags::ATIM | fstflags::ATIM_NOW, fstflags::MTIM | fstflags::MTIM_NOW] {
        assert_eq!(path_filestat_set_times(ROOT, 0, "file", 1, 1, flags), Err(INVAL));
    }
    assert_eq!(path_filestat_set_times(ROOT, 0, "absent", 1, 1, both), Err(NOENT));
}

fn wrong() {
    assert_eq!(path_filestat_get(NO_FD, 0, "file"), Err(BADF));
    assert_eq!(path_filestat_set_times(NO_FD, 0, "file", 0, 0, 0), Err(BADF));
    let mut stat = Filestat::default();
    let (name, stat) = (b"file".as_ptr() as u32, &raw mut stat as u32);
    // SAFETY: the good addresses are those of the values above; the host must not write to the bad ones.
    unsafe {
        assert_eq!(done(raw::path_filestat_get(ROOT, 0, BAD_POINTER, 100, stat)), Err(FAULT));
        assert_eq!(done(raw::path_filestat_get(ROOT, 0, name, 4, BAD_POINTER)), Err(FAULT));
        let times = done(raw::path_filestat_set_times(ROOT, 0, BAD_POINTER, 100, 0, 0, 0));
        assert_eq!(times, Err(FAULT));
    }
}
