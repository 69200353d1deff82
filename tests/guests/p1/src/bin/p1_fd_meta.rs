//! What is known of a descriptor and can be changed: kind, flags, rights, size, times, advice, storage.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(kinds, flags, rights_shrink, size, allocation, times, advice, syncs, wrong);

fn kinds() {
    assert_eq!(fd_fdstat_get(ROOT).unwrap().filetype, filetype::DIRECTORY);
    assert_eq!(fd_filestat_get(ROOT).unwrap().filetype, filetype::DIRECTORY);
    let file = create(ROOT, "meta");
    assert_eq!(fd_write(file, b"12345"), Ok(5));
    assert_eq!(fd_fdstat_get(file).unwrap().filetype, filetype::REGULAR_FILE);
    let stat = fd_filestat_get(file).unwrap();
    assert_eq!((stat.filetype, stat.size, stat.links), (filetype::REGULAR_FILE, 5, 1));
    assert_eq!(stat, Filestat { accessed: stat.accessed, ..path_filestat_get(ROOT, 0, "meta").unwrap() });
    // An open file outlives its name.
    assert_eq!(path_unlink_file(ROOT, "meta"), Ok(()));
    let gone = fd_filestat_get(file).unwrap();
    assert_eq!((gone.links, gone.size, gone.inode), (0, 5, stat.inode));
    let mut buffer = [0; 8];
    assert_eq!(fd_pread(file, &mut buffer, 0), Ok(5));
    assert_eq!(fd_close(file), Ok(()));
}

fn flags() {
    let file = create(ROOT, "flags");
    assert_eq!(fd_fdstat_get(file).unwrap().flags, 0);
    assert_eq!(fd_fdstat_set_flags(file, fdflags::APPEND | fdflags::NONBLOCK), Ok(()));
    assert_eq!(u32::from(fd_fdstat_get(file).unwrap().flags), fdflags::APPEND | fdflags::NONBLOCK);
    assert_eq!(fd_fdstat_set_flags(file, 0), Ok(()));
    assert_eq!(fd_fdstat_get(file).unwrap().flags, 0);
    assert_eq!(fd_fdstat_set_flags(file, 1 << 9), Err(INVAL));
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "flags"), Ok(()));
}

fn rights_shrink() {
    put(ROOT, "rights", b"abc");
    let file = open(ROOT, "rights", 0, rights::BOTH).unwrap();
    let before = fd_fdstat_get(file).unwrap();
    assert_ne!(before.rights & rights::FD_WRITE, 0);
    let kept = before.rights & !rights::FD_WRITE;
    assert_eq!(fd_fdstat_set_rights(file, kept, 0), Ok(()));
    assert_eq!(fd_fdstat_get(file).unwrap().rights, kept);
    assert!(matches!(fd_write(file, b"x"), Err(NOTCAPABLE | BADF)));
    assert_eq!(fd_fdstat_set_rights(file, before.rights, 0), Err(NOTCAPABLE), "rights never grow");
    assert_eq!(fd_fdstat_set_rights(file, u64::MAX, u64::MAX), Err(NOTCAPABLE));
    assert_eq!(fd_read(file, &mut [0; 8]), Ok(3));
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "rights"), Ok(()));
}

fn size() {
    let file = create(ROOT, "size");
    assert_eq!(fd_write(file, b"0123456789"), Ok(10));
    assert_eq!(fd_filestat_set_size(file, 4), Ok(()));
    assert_eq!(fd_filestat_set_size(file, 8), Ok(()));
    assert_eq!(fd_tell(file), Ok(10), "the position stays");
    let mut buffer = [0xaa; 16];
    assert_eq!(fd_pread(file, &mut buffer, 0), Ok(8));
    assert_eq!(&buffer[..8], b"0123\0\0\0\0");
    for size in [u64::MAX, 1 << 63] {
        let result = fd_filestat_set_size(file, size);
        assert!(matches!(result, Err(INVAL | FBIG)), "{size}: {result:?}");
    }
    assert_eq!(fd_filestat_get(file).unwrap().size, 8);
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "size"), Ok(()));
}

fn allocation() {
    let file = create(ROOT, "allocation");
    // `NOTSUP` is legal: some file systems of hosts cannot.
    match fd_allocate(file, 10, 90) {
        Ok(()) => {
            assert_eq!(fd_filestat_get(file).unwrap().size, 100);
            assert_eq!(fd_allocate(file, 0, 10), Ok(()));
            assert_eq!(fd_filestat_get(file).unwrap().size, 100, "never shortens");
            assert_eq!(fd_allocate(file, 0, 0), Err(INVAL));
            let far = fd_allocate(file, u64::MAX, 2);
            assert!(matches!(far, Err(INVAL | FBIG | OVERFLOW)), "{far:?}");
            let far = fd_allocate(file, 1 << 62, 1 << 62);
            assert!(matches!(far, Err(INVAL | FBIG | NOSPC | OVERFLOW)), "{far:?}");
            assert_eq!(fd_filestat_get(file).unwrap().size, 100);
        }
        other => assert_eq!(other, Err(NOTSUP)),
    }
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "allocation"), Ok(()));
}

fn times() {
    const SECOND: u64 = 1_000_000_000;
    let file = create(ROOT, "times");
    let (accessed, modified) = (1_000 * SECOND, 2_000 * SECOND);
    let both = fstflags::ATIM | fstflags::MTIM;
    assert_eq!(fd_filestat_set_times(file, accessed, modified, both), Ok(()));
    let stat = fd_filestat_get(file).unwrap();
    assert_eq!((stat.accessed, stat.modified), (accessed, modified));
    assert!(stat.changed > modified, "the change of the attributes is not forged");

    assert_eq!(fd_filestat_set_times(file, 5, 3_000 * SECOND, fstflags::MTIM), Ok(()));
    let stat = fd_filestat_get(file).unwrap();
    assert_eq!((stat.accessed, stat.modified), (accessed, 3_000 * SECOND));

    assert_eq!(fd_filestat_set_times(file, 5, 5, fstflags::MTIM_NOW), Ok(()));
    let stat = fd_filestat_get(file).unwrap();
    let now = clock_time_get(clock::REALTIME).unwrap();
    assert!(stat.modified.abs_diff(now) < 60 * SECOND, "{} is not {now}", stat.modified);
    assert_eq!(stat.accessed, accessed);

    assert_eq!(fd_filestat_set_times(file, 5, 5, 0), Ok(()));
    assert_eq!(fd_filestat_get(file).unwrap().modified, stat.modified);
    for flags in [fstflags::ATIM | fstflags::ATIM_NOW, fstflags::MTIM | fstflags::MTIM_NOW] {
        assert_eq!(fd_filestat_set_times(file, 5, 5, flags), Err(INVAL));
    }
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "times"), Ok(()));
}

fn advice() {
    let file = create(ROOT, "advice");
    assert_eq!(fd_write(file, b"0123456789"), Ok(10));
    for advice in 0..6 {
        assert_eq!(fd_advise(file, 0, 10, advice), Ok(()), "advice {advice}");
        assert_eq!(fd_advise(file, 5, 0, advice), Ok(()), "advice {advice} to the end");
    }
    assert_eq!(fd_advise(file, 0, 10, 6), Err(INVAL));
    assert_eq!(fd_advise(file, 0, 10, 0x100), Err(INVAL));
    assert_eq!(fd_filestat_get(file).unwrap().size, 10);
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "advice"), Ok(()));
}

fn syncs() {
    let file = create(ROOT, "syncs");
    assert_eq!(fd_write(file, b"x"), Ok(1));
    assert_eq!(fd_datasync(file), Ok(()));
    assert_eq!(fd_sync(file), Ok(()));
    assert_eq!(fd_sync(ROOT), Ok(()));
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "syncs"), Ok(()));
}

fn wrong() {
    for fd in [NO_FD, u32::MAX] {
        assert_eq!(fd_fdstat_get(fd), Err(BADF));
        assert_eq!(fd_fdstat_set_flags(fd, 0), Err(BADF));
        assert_eq!(fd_fdstat_set_rights(fd, 0, 0), Err(BADF));
        assert_eq!(fd_filestat_get(fd), Err(BADF));
        assert_eq!(fd_filestat_set_size(fd, 0), Err(BADF));
        assert_eq!(fd_filestat_set_times(fd, 0, 0, 0), Err(BADF));
        assert_eq!(fd_advise(fd, 0, 0, 0), Err(BADF));
        assert_eq!(fd_allocate(fd, 0, 1), Err(BADF));
        assert_eq!(fd_sync(fd), Err(BADF));
        assert_eq!(fd_datasync(fd), Err(BADF));
    }
    // Directories have no size to set, nor bytes to store.
    assert!(fd_filestat_set_size(ROOT, 0).is_err());
    assert!(fd_allocate(ROOT, 0, 10).is_err());
    // SAFETY: the host must not write anywhere.
    unsafe {
        assert_eq!(done(raw::fd_fdstat_get(ROOT, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::fd_filestat_get(ROOT, BAD_POINTER)), Err(FAULT));
    }
}
