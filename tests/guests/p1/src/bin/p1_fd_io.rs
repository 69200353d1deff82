//! Reading, writing, seeking: the position, the end, holes, vectors, and wrong descriptors.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(position, holes, vectors, positioned, overflow, append, kinds, bad_fd, bad_pointers);

fn position() {
    let file = create(ROOT, "position");
    assert_eq!(fd_write(file, b"hello world"), Ok(11));
    assert_eq!(fd_tell(file), Ok(11));
    assert_eq!(fd_seek(file, 6, whence::SET), Ok(6));
    let mut buffer = [0; 32];
    assert_eq!(fd_read(file, &mut buffer), Ok(5));
    assert_eq!(&buffer[..5], b"world");
    assert_eq!(fd_read(file, &mut buffer), Ok(0));
    assert_eq!(fd_seek(file, -11, whence::END), Ok(0));
    assert_eq!(fd_seek(file, 3, whence::CUR), Ok(3));
    assert_eq!(fd_seek(file, -3, whence::CUR), Ok(0));
    assert_eq!(fd_seek(file, -1, whence::CUR), Err(INVAL));
    assert_eq!(fd_seek(file, -12, whence::END), Err(INVAL));
    assert_eq!(fd_seek(file, i64::MIN, whence::SET), Err(INVAL));
    assert_eq!(fd_seek(file, 0, 3), Err(INVAL));
    assert_eq!(fd_tell(file), Ok(0));
    assert_eq!(fd_write(file, b"J"), Ok(1));
    assert_eq!(fd_close(file), Ok(()));
    expect_contents(ROOT, "position", b"Jello world");
}

fn holes() {
    let file = create(ROOT, "holes");
    assert_eq!(fd_seek(file, 100, whence::END), Ok(100));
    assert_eq!(fd_filestat_get(file).unwrap().size, 0, "seeking does not grow a file");
    assert_eq!(fd_write(file, b"x"), Ok(1));
    assert_eq!(fd_filestat_get(file).unwrap().size, 101);
    let mut buffer = [0xaa; 101];
    assert_eq!(fd_pread(file, &mut buffer, 0), Ok(101));
    assert_eq!(buffer[..100], [0; 100]);
    assert_eq!(buffer[100], b'x');
    assert_eq!(fd_close(file), Ok(()));
}

fn vectors() {
    let file = create(ROOT, "vectors");
    let parts = [Iovec::of(b"ab"), Iovec::of(b""), Iovec::of(b"cde"), Iovec::of(b"f")];
    assert_eq!(fd_write_vectored(file, &parts), Ok(6));
    assert_eq!(fd_seek(file, 0, whence::SET), Ok(0));
    let (mut one, mut two, mut three) = ([0; 1], [0; 3], [0xaa; 4]);
    let parts = [Iovec::of_mut(&mut one), Iovec::of_mut(&mut two), Iovec::of_mut(&mut three)];
    assert_eq!(fd_read_vectored(file, &parts), Ok(6));
    assert_eq!((&one, &two, &three), (b"a", b"bcd", b"ef\xaa\xaa"));
    assert_eq!(fd_close(file), Ok(()));
}

fn positioned() {
    let file = create(ROOT, "positioned");
    assert_eq!(fd_pwrite(file, b"3456", 3), Ok(4));
    assert_eq!(fd_pwrite(file, b"012", 0), Ok(3));
    assert_eq!(fd_tell(file), Ok(0), "the position is not moved");
    let mut buffer = [0; 8];
    assert_eq!(fd_pread(file, &mut buffer, 2), Ok(5));
    assert_eq!(&buffer[..5], b"23456");
    assert_eq!(fd_pread(file, &mut buffer, 7), Ok(0));
    assert_eq!(fd_pread(file, &mut buffer, 1_000_000), Ok(0));
    assert_eq!(fd_pread(file, &mut [], 0), Ok(0));
    assert_eq!(fd_close(file), Ok(()));
}

fn overflow() {
    let file = create(ROOT, "overflow");
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64] {
        let written = fd_pwrite(file, b"xyz", offset);
        assert!(matches!(written, Err(INVAL | FBIG | OVERFLOW)), "{offset}: {written:?}");
    }
    for offset in [u64::MAX, 1 << 63] {
        let read = fd_pread(file, &mut [0; 4], offset);
        assert!(matches!(read, Err(INVAL | OVERFLOW) | Ok(0)), "{offset}: {read:?}");
    }
    if fd_seek(file, i64::MAX, whence::SET).is_ok() {
        let written = fd_write(file, b"xyz");
        assert!(matches!(written, Err(INVAL | FBIG | OVERFLOW)), "{written:?}");
        let seek = fd_seek(file, i64::MAX, whence::CUR);
        assert!(matches!(seek, Err(INVAL | OVERFLOW)), "{seek:?}");
    }
    assert_eq!(fd_filestat_get(file).unwrap().size, 0);
    assert_eq!(fd_close(file), Ok(()));
}

fn append() {
    put(ROOT, "append", b"one");
    let file = path_open(ROOT, 0, b"append", 0, rights::BOTH, 0, fdflags::APPEND).unwrap();
    assert_eq!(fd_seek(file, 0, whence::SET), Ok(0));
    assert_eq!(fd_write(file, b"two"), Ok(3));
    assert_eq!(fd_tell(file), Ok(6));
    assert_eq!(fd_fdstat_set_flags(file, 0), Ok(()));
    assert_eq!(fd_seek(file, 0, whence::SET), Ok(0));
    assert_eq!(fd_write(file, b"O"), Ok(1));
    assert_eq!(fd_close(file), Ok(()));
    expect_contents(ROOT, "append", b"Onetwo");
}

fn kinds() {
    // A directory is neither read nor written.
    let read = fd_read(ROOT, &mut [0; 4]);
    assert!(matches!(read, Err(ISDIR | BADF | NOTCAPABLE)), "{read:?}");
    let written = fd_write(ROOT, b"x");
    assert!(matches!(written, Err(ISDIR | BADF | NOTCAPABLE)), "{written:?}");
    let written = fd_pwrite(ROOT, b"x", 0);
    assert!(matches!(written, Err(ISDIR | BADF | NOTCAPABLE)), "{written:?}");

    // What was opened for one is not for the other.
    let reader = open(ROOT, "append", 0, rights::READ).unwrap();
    assert!(matches!(fd_write(reader, b"x"), Err(BADF | NOTCAPABLE)));
    assert!(matches!(fd_pwrite(reader, b"x", 0), Err(BADF | NOTCAPABLE)));
    assert!(matches!(fd_filestat_set_size(reader, 0), Err(BADF | NOTCAPABLE | INVAL)));
    assert!(matches!(fd_allocate(reader, 0, 100), Err(BADF | NOTCAPABLE)));
    let writer = open(ROOT, "append", 0, rights::WRITE).unwrap();
    assert!(matches!(fd_read(writer, &mut [0; 4]), Err(BADF | NOTCAPABLE)));
    assert!(matches!(fd_pread(writer, &mut [0; 4], 0), Err(BADF | NOTCAPABLE)));
    assert_eq!(fd_close(reader), Ok(()));
    assert_eq!(fd_close(writer), Ok(()));
    expect_contents(ROOT, "append", b"Onetwo");
}

fn bad_fd() {
    for fd in [NO_FD, u32::MAX, 1 << 31] {
        assert_eq!(fd_read(fd, &mut [0; 4]), Err(BADF));
        assert_eq!(fd_write(fd, b"x"), Err(BADF));
        assert_eq!(fd_pread(fd, &mut [0; 4], 0), Err(BADF));
        assert_eq!(fd_pwrite(fd, b"x", 0), Err(BADF));
        assert_eq!(fd_seek(fd, 0, whence::SET), Err(BADF));
        assert_eq!(fd_tell(fd), Err(BADF));
        assert_eq!(fd_close(fd), Err(BADF));
    }
}

fn bad_pointers() {
    put(ROOT, "pointers", b"0123456789");
    let file = open(ROOT, "pointers", 0, rights::BOTH).unwrap();
    let mut buffer = [0_u8; 4];
    let good = [Iovec::of_mut(&mut buffer)];
    let half = [Iovec::of_mut(&mut buffer), Iovec { buffer: BAD_POINTER, length: 100 }];
    let mut count = 0_u32;
    let (good, half, count) = (good.as_ptr() as u32, half.as_ptr() as u32, &raw mut count as u32);
    // SAFETY: the good addresses are those of the variables above; the host must not write to the bad ones.
    unsafe {
        assert_eq!(done(raw::fd_read(file, BAD_POINTER, 1, count)), Err(FAULT));
        assert_eq!(done(raw::fd_read(file, good, 1, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::fd_read(file, half, 2, count)), Err(FAULT));
        assert_eq!(done(raw::fd_write(file, BAD_POINTER, 1, count)), Err(FAULT));
        assert_eq!(done(raw::fd_write(file, good, 1, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::fd_write(file, half, 2, count)), Err(FAULT));
        assert_eq!(done(raw::fd_pread(file, half, 2, 0, count)), Err(FAULT));
        assert_eq!(done(raw::fd_pwrite(file, half, 2, 0, count)), Err(FAULT));
        assert_eq!(done(raw::fd_seek(file, 5, whence::SET, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::fd_tell(file, BAD_POINTER)), Err(FAULT));
    }
    // All ranges are checked before a call has effects.
    assert_eq!(fd_tell(file), Ok(0));
    assert_eq!(fd_close(file), Ok(()));
    expect_contents(ROOT, "pointers", b"0123456789");
}
